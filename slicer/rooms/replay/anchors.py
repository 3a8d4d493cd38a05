"""Whose media is whose: the streams of a capture, put together to anchors.

Theory of operation. A stream is what one SSRC sends in one flow. Its anchor is found from what the
capture tells, the surest first:

1. A CNAME (RFC 3550 6.5.1, or a=ssrc beside the capture) is one endpoint's: streams from one
   address with equal CNAMEs belong together, in other flows too; in one flow, those with different
   ones do not.
2. In one flow without CNAMEs, two audio streams at a time are two speakers. The flow comes from a
   server, then, and nothing tells whose a video stream in it is: each is by itself. With one audio
   stream at a time the flow comes from a client, and all of it is one anchor's: video layers,
   retransmissions, and an audio stream that another SSRC goes on with.
3. Two flows from one address to another, one with audio only and one with video only, are one
   caller's two ports, where there are no others between these addresses.

Two audio streams at one time are never one anchor's: an anchor has one audio track, and the second
speaker would be lost. Retransmissions alone are nobody's.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from slicer.rooms.replay.network import Endpoints
from slicer.rtp.parameters import Kind

OVERLAP = 1.0
"""Seconds that two streams go on beside each other, or half of the shorter one: at a time."""


@dataclass(slots=True)
class Heard:
    """What was seen of one SSRC in one flow. *first*, *last*: seconds of the capture; *repairs*:
    all of it is retransmission (RFC 4588)."""

    flow: Endpoints
    ssrc: int
    kind: Kind
    first: float
    last: float
    packets: int = 1
    cname: str = ""
    repairs: bool = False


def grouped(streams: Sequence[Heard], *, together: bool = False) -> list[list[Heard]]:
    """The streams of each anchor, in the order in which the anchors begin.

    *together*: all are said to be one anchor's, as far as they can be.
    """
    by_flow: dict[Endpoints, list[Heard]] = defaultdict(list)
    for stream in streams:
        by_flow[stream.flow].append(stream)
    groups = [group for those in by_flow.values() for group in _of_one_flow(those)]
    groups = [[*streams]] if together else _joined(groups)
    groups = [part for group in groups for part in _speakers(group)]
    groups = [group for group in groups if not all(stream.repairs for stream in group)]
    return sorted(groups, key=lambda group: min(stream.first for stream in group))


def _of_one_flow(streams: list[Heard]) -> Iterator[list[Heard]]:
    """Rules 1 and 2, within a flow."""
    named: dict[str, list[Heard]] = defaultdict(list)
    for stream in streams:
        named[stream.cname].append(stream)
    unnamed = named.pop("", [])
    if len(named) == 1 and len(_audio_at_once(streams)) < 2:
        yield streams
        return
    yield from named.values()
    if len(_audio_at_once(unnamed)) < 2 and not named:
        yield unnamed
    else:
        yield from ([stream] for stream in unnamed)


def _joined(groups: list[list[Heard]]) -> list[list[Heard]]:
    """Rules 1 and 3, across flows."""
    named: dict[tuple[str, str], list[Heard]] = {}
    pairs: dict[tuple[str, str], list[list[Heard]]] = defaultdict(list)
    joined: list[list[Heard]] = []
    for group in groups:
        ends = _addresses(group[0].flow)
        cname = next((stream.cname for stream in group if stream.cname), "")
        if cname and (other := named.get((ends[0], cname))):
            other += group
            continue
        if cname:
            named[ends[0], cname] = group
        joined.append(group)
    for group in joined:
        pairs[_addresses(group[0].flow)].append(group)
    for between in pairs.values():
        if len(between) == 2 and _two_ports(*between):
            between[0].extend(between[1])
            joined.remove(between[1])
    return joined


def _two_ports(one: list[Heard], other: list[Heard]) -> bool:
    """Whether these are the audio and the video of one caller."""
    kinds = {stream.kind for stream in one}, {stream.kind for stream in other}
    return (
        len(kinds[0]) == len(kinds[1]) == 1
        and kinds[0] != kinds[1]
        and one[0].flow != other[0].flow
        and not {stream.cname for stream in (*one, *other)} - {""}
        and any(_beside(a, b) for a in one for b in other)
    )


def _speakers(group: list[Heard]) -> list[list[Heard]]:
    """Split where several speak at a time: the first one keeps the video."""
    speakers = _audio_at_once(group)
    if len(speakers) < 2:
        return [group]
    rest = [stream for stream in group if stream.kind is Kind.VIDEO]
    return [[*speakers[0], *rest], *speakers[1:]]


def _audio_at_once(streams: Iterable[Heard]) -> list[list[Heard]]:
    """The audio streams in as few rows as there are speakers: those of a row follow each other."""
    rows: list[list[Heard]] = []
    for stream in sorted(streams, key=lambda one: one.first):
        if stream.kind is not Kind.AUDIO:
            continue
        free = (row for row in rows if not any(_beside(stream, other) for other in row))
        row = next(free, None)
        if row is None:
            rows.append([stream])
        else:
            row.append(stream)
    return rows


def _beside(one: Heard, other: Heard) -> bool:
    shared = min(one.last, other.last) - max(one.first, other.first)
    shorter = min(one.last - one.first, other.last - other.first)
    return shared >= min(OVERLAP, shorter / 2)


def _addresses(flow: Endpoints) -> tuple[str, str]:
    return flow.source.rpartition(":")[0], flow.destination.rpartition(":")[0]
