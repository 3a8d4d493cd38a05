"""RTCP compounds read and written by the native plane, with the faces of the reference's functions.

The native plane has no packets as objects: it reads sender reports and goodbyes and looks only
whether the rest is well-formed, and it writes bytes. So what it reads comes back as the reference's
packets, and what it has no writer for is the reference's: sender reports, goodbyes, unknown ones,
several sources in one description, rates that are not the reporter's, several keyframe requests in
one packet, feedback that holds more than the reporter gives. Its numbers are of the wire's size:
what the wire cannot hold only the reference can be asked for.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from slicer.rtp import rtcp

_parts = import_module("slicer._parts")

Write = Callable[[Any], None]


def parse_rtcp(data: bytes) -> list[rtcp.RtcpPacket]:
    """The reference's packets; ValueError where both planes refuse them."""
    try:
        packets = rtcp.parse(data)
    except ValueError:
        assert not _parts.rtcp_well_formed(data)
        raise
    assert _parts.rtcp_well_formed(data)
    return packets


def build_rtcp(packets: Iterable[rtcp.RtcpPacket]) -> bytes:
    """The compound of these packets, each written natively where that can be."""
    return b"".join(_written(packet) for packet in packets)


def feedback_for(
    sender_ssrc: int, media_ssrc: int, count: int, arrivals: Iterable[tuple[int, float | None]]
) -> list[rtcp.TransportFeedback]:
    """The feedbacks that the native plane writes of these arrivals, read again."""
    writer = _parts.RtcpWriter()
    writer.transport_feedback(sender_ssrc, media_ssrc, count, list(arrivals))
    compound = writer.compound()
    feedbacks = parse_rtcp(compound) if compound else []
    found = [feedback for feedback in feedbacks if isinstance(feedback, rtcp.TransportFeedback)]
    assert found == feedbacks
    return found


def _written(packet: rtcp.RtcpPacket) -> bytes:
    write = writer_of(packet)
    if write is None:
        return rtcp.build([packet])
    writer = _parts.RtcpWriter()
    write(writer)
    compound: bytes = writer.compound()
    return compound


def writer_of(packet: rtcp.RtcpPacket) -> Write | None:
    """What writes this packet natively, if anything does."""
    match packet:
        case rtcp.ReceiverReport(ssrc, blocks) if len(blocks) <= rtcp.MAX_COUNT:
            return lambda to: to.receiver_report(ssrc, blocks)
        case rtcp.SourceDescription(((ssrc, cname),)) if "\0" not in cname:
            text = cname.encode()
            return (lambda to: to.description(ssrc, text)) if len(text) <= 255 else None
        case rtcp.Remb(sender, bitrate, ssrcs) if 0 <= bitrate < 2**32 and len(ssrcs) <= 255:
            return lambda to: to.remb(sender, bitrate, ssrcs)
        case rtcp.Nack(sender, media, sequences) if len(sequences) <= 512:
            return lambda to: to.nack(sender, media, sequences)
        case rtcp.PictureLossIndication(sender, media):
            return lambda to: to.picture_loss(sender, media)
        case rtcp.FullIntraRequest(sender, ((media, number),)):
            return lambda to: to.full_intra(sender, media, number)
        case rtcp.TransportFeedback():
            return _feedback_writer(packet)
        case _:
            return None


def _feedback_writer(feedback: rtcp.TransportFeedback) -> Write | None:
    """Only for what one feedback of a reporter can hold."""
    base, deltas = feedback.base_sequence, feedback.deltas
    came = [delta for delta in deltas if delta is not None]
    if not came or len(deltas) > 500 or not 0 <= came[0] <= 255:
        return None
    arrivals = [(base + at, seconds) for at, (_, seconds) in enumerate(feedback.arrivals())]
    sender, media, count = feedback.sender_ssrc, feedback.media_ssrc, feedback.count
    return lambda to: to.transport_feedback(sender, media, count, arrivals)
