"""What WebRTC has done in this process. Who reads it need not import WebRTC."""

import asyncio
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

HANDSHAKES = "handshakes_"
"""How counters of a connection begin that say what became of ICE and DTLS together."""
OUTCOMES = ("connected", "ice_failed", "dtls_failed", "closed")
"""How they go on; closed: by us, before they came to an end."""

PACKETS = "packets_"
"""How counters of a room that reads by a media path of its own begin: what became of each packet,
one of FATES. Of WebRTC, whose path is one for all rooms, PathCounts has the same."""
FATES = ("media", "refused", "other")


@dataclass(slots=True)
class PathCounts:
    """What a media path has done. *looks*: how often it has looked at its sockets; datagrams, by
    what became of them: *media* was given to a bundle, *refused* is no SRTP of the peer's, *other*
    is STUN and DTLS."""

    looks: int = 0
    media: int = 0
    refused: int = 0
    other: int = 0


class Counting(Protocol):
    """A media path."""

    @property
    def counts(self) -> PathCounts:
        """What it has done up to now."""
        ...

    @property
    def cpu(self) -> float | None:
        """Seconds of CPU that the path's own thread has used; None where it has none."""
        ...


_counting: "WeakKeyDictionary[asyncio.AbstractEventLoop, Counting]" = WeakKeyDictionary()


def count_by(path: Counting) -> None:
    """The running loop reads its sockets by this path."""
    _counting[asyncio.get_running_loop()] = path


def counted() -> tuple[PathCounts, float]:
    """What the running loop's path has done, and seconds of CPU of its thread; zeros where no
    connection has needed one, or it has no thread."""
    path = _counting.get(asyncio.get_running_loop())
    return (PathCounts(), 0.0) if path is None else (path.counts, path.cpu or 0.0)


def outcome_of(reason: str) -> str:
    """Which of OUTCOMES it is that a transport's `connect` gives this reason."""
    if not reason:
        return "connected"
    return "dtls_failed" if reason.startswith("DTLS") else "ice_failed"
