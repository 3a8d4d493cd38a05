"""Retransmission packets (RFC 4588): the original packet from a repaired one."""

from slicer.rtp.packet import Packet


def restore(packet: Packet, payload_type: int, ssrc: int) -> Packet | None:
    """The original packet: its sequence number is the first two octets of the payload (section 4).

    None for a packet that repeats nothing (padding that probes the bandwidth).
    """
    if len(packet.payload) <= 2:
        return None
    return Packet(
        payload_type,
        packet.marker,
        int.from_bytes(packet.payload[:2]),
        packet.timestamp,
        ssrc,
        packet.payload[2:],
        packet.profile,
        packet.extension,
        packet.arrival,
        packet.orientation,
        packet.level,
    )
