"""Redundant audio (RFC 2198): the packets that one packet carries; nothing is decoded.

Theory of operation. The payload begins with a header for each block; the blocks follow in the same
order, the oldest first:

    1 | payload type (7) | timestamp offset (14) | length (10)   a block that repeats earlier audio
    0 | payload type (7)                                         the primary: all bytes left over

A header tells when a block's audio was, and not which packet carried it first. Senders repeat the
packets just before, without a gap, so the n-th block before the primary has its sequence number
less n. That is right in a pause too (DTX), where time goes on and numbers do not.
"""

from dataclasses import replace

from slicer.rtp.packet import Packet

MAX_REDUNDANT = 9
"""Blocks before the primary; libwebrtc sends one, and can be told to send up to nine."""


def undo(packet: Packet, payload_type: int) -> list[Packet]:
    """The primary packet, then those that it repeats, the newest first; all as on the wire.

    Of the blocks before the primary, only those of *payload_type* are given that are neither empty
    nor as late as the primary. They have no header extension: that one is the packet's own. Raises
    ValueError.
    """
    blocks, position = _headers(packet.payload)
    end = position + sum(length for _, _, length in blocks)
    if end > len(packet.payload):
        raise ValueError("redundant blocks are longer than their packet")
    primary = replace(
        packet, payload_type=packet.payload[position - 1], payload=packet.payload[end:]
    )
    packets = [primary]
    for back, (kind, offset, length) in enumerate(reversed(blocks), 1):
        start = end - length
        if kind == payload_type and offset and length:
            packets.append(_repeated(packet, back, offset, kind, packet.payload[start:end]))
        end = start
    return packets


def _headers(payload: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Payload type, timestamp offset and length of each redundant block; where the blocks begin."""
    blocks, position = list[tuple[int, int, int]](), 0
    while position < len(payload) and payload[position] & 0x80:
        if position + 4 > len(payload):
            raise ValueError("a redundant block's header is cut off")
        if len(blocks) == MAX_REDUNDANT:
            raise ValueError(f"more than {MAX_REDUNDANT} redundant blocks")
        word = int.from_bytes(payload[position : position + 4])
        blocks.append((word >> 24 & 0x7F, word >> 10 & 0x3FFF, word & 0x3FF))
        position += 4
    if position == len(payload):
        raise ValueError("no header of a primary block")
    return blocks, position + 1


def _repeated(packet: Packet, back: int, offset: int, payload_type: int, payload: bytes) -> Packet:
    return Packet(
        payload_type,
        False,
        (packet.sequence - back) & 0xFFFF,
        (packet.timestamp - offset) & 0xFFFFFFFF,
        packet.ssrc,
        payload,
        arrival=packet.arrival,
    )
