"""RTCP compounds (RFC 3550 6.1, reduced-size ones too: RFC 5506): bytes to packets and back."""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from slicer.rtp.rtcp.feedback import (
    PAYLOAD_FEEDBACK_TYPE,
    TRANSPORT_FEEDBACK_TYPE,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    Remb,
    is_remb,
)
from slicer.rtp.rtcp.reports import (
    Bye,
    Parts,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    dlsr_units,
    ntp_middle,
    ntp_seconds,
)
from slicer.rtp.rtcp.transport_feedback import TransportFeedback, feedback_for

__all__ = [
    "MAX_COUNT",
    "Bye",
    "Feedback",
    "FullIntraRequest",
    "Nack",
    "PictureLossIndication",
    "ReceiverReport",
    "Remb",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "TransportFeedback",
    "Unknown",
    "build",
    "dlsr_units",
    "feedback_for",
    "is_rtcp",
    "ntp_middle",
    "ntp_seconds",
    "parse",
]

_HEADER = 4
MAX_COUNT = 31
"""Most report blocks, chunks or sources in one packet."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A packet of another type, kept as it is; *count* is the five bits beside the version."""

    packet_type: int
    count: int
    body: bytes

    def pack(self) -> Parts:
        """As it came."""
        return (self.packet_type, self.count, self.body)


Feedback = Nack | PictureLossIndication | FullIntraRequest | Remb | TransportFeedback
RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Bye | Feedback | Unknown

_REPORTS: Mapping[int, Callable[[int, bytes], RtcpPacket]] = {
    SenderReport.PACKET_TYPE: SenderReport.unpack,
    ReceiverReport.PACKET_TYPE: ReceiverReport.unpack,
    SourceDescription.PACKET_TYPE: SourceDescription.unpack,
    Bye.PACKET_TYPE: Bye.unpack,
}
_FEEDBACK: Mapping[tuple[int, int], Callable[[bytes], RtcpPacket]] = {
    Nack.FORMAT: Nack.unpack,
    TransportFeedback.FORMAT: TransportFeedback.unpack,
    PictureLossIndication.FORMAT: PictureLossIndication.unpack,
    FullIntraRequest.FORMAT: FullIntraRequest.unpack,
    Remb.FORMAT: Remb.unpack,
}


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram that is RTP or RTCP is RTCP: types 192 to 223 (RFC 5761 4)."""
    return len(data) >= _HEADER and data[0] >> 6 == 2 and 192 <= data[1] <= 223


def parse(data: bytes) -> list[RtcpPacket]:
    """All packets of a compound, in order. Raises ValueError where any of them is malformed."""
    packets: list[RtcpPacket] = []
    position = 0
    while position < len(data) or not packets:
        if len(data) - position < _HEADER or data[position] >> 6 != 2:
            raise ValueError("no RTCP header where one should be")
        first, packet_type, words = struct.unpack_from("!BBH", data, position)
        end = position + _HEADER + 4 * words
        if end > len(data):
            raise ValueError("RTCP packet is longer than its datagram")
        body = data[position + _HEADER : end]
        if first & 0x20:
            body = _unpadded(body)
        packets.append(_read(packet_type, first & 0x1F, body))
        position = end
    return packets


def build(packets: Iterable[RtcpPacket]) -> bytes:
    """The compound of these packets. Raises ValueError where one holds what the wire cannot."""
    compound = b""
    for packet in packets:
        try:
            packet_type, count, body = packet.pack()
            header = struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4)
        except struct.error as error:
            raise ValueError(f"{type(packet).__name__}: {error}") from None
        if count > MAX_COUNT or len(body) % 4:
            raise ValueError(f"{type(packet).__name__} does not fit into an RTCP packet")
        compound += header + body
    return compound


def _unpadded(body: bytes) -> bytes:
    """RFC 3550 6.4.1: the last byte says how many to ignore, itself included."""
    if not body or not 0 < body[-1] <= len(body):
        raise ValueError("malformed RTCP padding")
    return body[: -body[-1]]


def _read(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    try:
        if packet_type in _REPORTS:
            return _REPORTS[packet_type](count, body)
        feedback = (packet_type, count)
        if feedback in _FEEDBACK and (feedback != Remb.FORMAT or is_remb(body)):
            return _FEEDBACK[feedback](body)
    except struct.error:
        raise ValueError(f"RTCP packet of type {packet_type} is cut off") from None
    if packet_type in (TRANSPORT_FEEDBACK_TYPE, PAYLOAD_FEEDBACK_TYPE) and len(body) < 8:
        raise ValueError("RTCP feedback without its SSRCs")
    return Unknown(packet_type, count, body)
