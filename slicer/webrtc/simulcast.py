"""Simulcast in descriptions (RFC 8853, RFC 8851): the layers that we take of what is offered.

All layers are accepted, for the description does not say which is the largest, and the sender may
stop any of them while the path is narrow. Which one is taken is decided by what comes
(`slicer.rtp.layers`). Of alternatives for one layer ("1,2"), the first is accepted.
"""

import re
from collections.abc import Collection, Iterator
from itertools import islice

from slicer.rtp.parameters import MAX_LAYERS
from slicer.webrtc.sdp import Section

# RFC 8851 section 10, no longer than fits into a one-byte header extension (RFC 8285 4.2).
_RID = re.compile(r"(~?)([A-Za-z0-9_-]{1,16})")


def layers(section: Section, payload_types: Collection[int]) -> tuple[str, ...]:
    """The RIDs of the layers that a peer may send of these payload types, in the offer's order."""
    known, wanted = _restrictions(section), {str(number) for number in payload_types}
    names = dict.fromkeys(name for _, name in _offered(section) if name in known)
    usable = (name for name in names if "pt=" not in _narrowed(known[name], wanted))
    return tuple(islice(usable, MAX_LAYERS))


def answered(section: Section, rids: Collection[str], payload_types: Collection[int]) -> list[str]:
    """The lines of an answer that accepts these layers, with their restrictions."""
    if not rids:
        return []
    known, wanted = _restrictions(section), {str(number) for number in payload_types}
    lines = []
    for rid in rids:
        restrictions = ";".join(_narrowed(known[rid], wanted))
        lines.append(f"a=rid:{rid} recv {restrictions}".rstrip())
    # One that is paused stays so until the sender goes on with it.
    paused = {name: mark for mark, name in _offered(section)}
    return [*lines, f"a=simulcast:recv {';'.join(paused[rid] + rid for rid in rids)}"]


def _offered(section: Section) -> Iterator[tuple[str, str]]:
    """Each layer of `a=simulcast:send`, as the mark of a paused one ("~" or "") and its RID."""
    # RFC 8853 5.1 has one line for both directions; some senders write one for each.
    words = " ".join(section.attributes.all("simulcast")).split()
    for direction, streams in zip(words[::2], words[1::2], strict=False):
        if direction == "send":
            found = (_RID.fullmatch(one.partition(",")[0]) for one in streams.split(";"))
            yield from ((one[1], one[2]) for one in found if one)


def _restrictions(section: Section) -> dict[str, list[str]]:
    """What `a=rid` says of each layer that is sent, by its RID."""
    known = {}
    for value in section.attributes.all("rid"):
        rid, *rest = value.split(maxsplit=2) or [""]
        if rest[:1] == ["send"]:
            known[rid] = [one for one in "".join(rest[1:]).split(";") if one]
    return known


def _narrowed(restrictions: list[str], payload_types: Collection[str]) -> list[str]:
    """The restrictions, of payload types those that were agreed on."""
    narrowed = []
    for one in restrictions:
        name, _, value = one.partition("=")
        kept = ",".join(number for number in value.split(",") if number in payload_types)
        narrowed.append(f"pt={kept}" if name == "pt" else one)
    return narrowed
