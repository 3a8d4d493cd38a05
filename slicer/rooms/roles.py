"""Roles of the streams of one anchor that come by one connection: which is the main one of a kind.

A stream that its sender marks as slides (RFC 4796) is the auxiliary one. Of two that nothing tells
apart, the first is the main one: browsers write m-lines in the order in which a page adds tracks.
"""

from collections.abc import Iterable
from dataclasses import replace

from slicer.rtp.parameters import Role, RtpParameters, Slot


def assign_roles(streams: Iterable[RtpParameters]) -> tuple[RtpParameters, ...]:
    """The same streams, where the second in one slot has the other role."""
    found: list[RtpParameters] = []
    taken: set[Slot] = set()
    for stream in streams:
        other = Role.AUX if stream.role is Role.MAIN else Role.MAIN
        chosen = replace(stream, role=other) if stream.slot in taken else stream
        taken.add(chosen.slot)
        found.append(chosen)
    return tuple(found)
