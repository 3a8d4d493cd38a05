"""What an anchor's counters say that a user must know: which of them, in words, and when."""

from collections import Counter
from collections.abc import Iterator
from math import inf

LOOK = 10.0
"""Seconds between two looks at an anchor's counters."""
QUIET = 60.0
"""Seconds for which a reason that was told is not told again."""

TROUBLES = {
    "srtp_authentication": ("packets that cannot be decrypted: with other keys, or damaged", 10),
    "srtp_malformed": ("packets that are no SRTP", 10),
    "srtp_oversized": ("packets too large to be decrypted", 1),
    "parallel_ssrc": ("packets of a second source in one track, of which the first is kept", 50),
    "report_disbelieved": ("sender reports that contradict the media: times may be wrong", 3),
    "unknown_payload_type": ("packets of a payload type that was not agreed on", 50),
    "unknown_mid": ("packets of a track that was not agreed on", 50),
    "unroutable": ("packets that fit more than one track, and name none", 50),
    "malformed_payload": ("packets whose payload cannot be read", 10),
    "picture_late": ("pictures late by more than 0.75 s: they waited for a keyframe", 1),
    "overlap": ("audio packets left out: they overlap the ones before", 50),
    "slice_full": ("audio slices cut early: they had reached 64 MiB", 1),
    "clock_jumped": ("jumps of the sender's media clock: slices ended early", 1),
    "sections_refused": ("tracks beyond those that a connection may have", 1),
    "wait_full": ("cuts named before their sender report came: times may be wrong", 1),
    "receive_buffer_full": ("packets lost because they were not read in time", 10),
    "others_dropped": ("STUN and DTLS datagrams that were not read in time", 10),
    "rtcp_unsent": ("reports and requests that could not be sent", 10),
    "cuts_dropped": ("cuts lost because they were not taken in time", 1),
    "out_of_memory": ("times without memory: packets, requests or slices dropped", 1),
}
"""Counter → what it counts, and how many of them within a look are news. What is not here is either
told by an event of its own, or a part of any call: docs/operations.md says of each counter why."""


class Watch:
    """Looks at one anchor's counters. *before*: what they were when it began; *now* in seconds that
    never step back."""

    def __init__(self, before: Counter[str] | None = None) -> None:
        self._before: Counter[str] = Counter(before)
        self._told: dict[str, float] = {}

    def look(self, counters: Counter[str], now: float) -> Iterator[tuple[str, int]]:
        """The words for what rose since the last look, each with by how much."""
        for name, (words, news) in TROUBLES.items():
            if now < self._told.get(name, -inf) + QUIET:
                continue  # what rises meanwhile is told after it
            rose = counters[name] - self._before[name]
            self._before[name] = counters[name]
            if rose >= news:
                self._told[name] = now
                yield words, rose
