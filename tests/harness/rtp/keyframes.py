"""Which packets of a sender begin a keyframe."""

import struct


def starts_vp8_keyframe(packet: bytes, payload_type: int) -> bool:
    """RFC 7741 sections 4.2 and 4.3; aiortc sends an extended descriptor with a picture id."""
    if packet[1] & 0x7F != payload_type:
        return False
    extension = struct.unpack_from("!H", packet, 14)[0] * 4 + 4 if packet[0] & 0x10 else 0
    payload = packet[12 + extension :]
    begins = payload[0] & 0x17 == 0x10
    return begins and payload[0] & 0x80 != 0 and payload[4] & 1 == 0
