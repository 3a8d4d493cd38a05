"""Captures of an invented conversation, as files that an engine can replay."""

from collections.abc import Sequence
from pathlib import Path

from tests.harness.rooms.captures import rtp, rtpdump
from tests.harness.rtp.packetize import vp8

OPUS_TYPE, VP8_TYPE = 111, 96
# CELT, full band, 20 ms; what follows is noise to a decoder, but of the right length.
OPUS_PACKET = bytes([0xF8]) + bytes(range(60))


def talk(path: Path, seconds: float, ssrc: int = 1) -> str:
    """Write *seconds* of Opus as an rtpdump; gives its room URL (as fast as it goes)."""
    packets = (
        (index / 50, rtp(OPUS_TYPE, index, index * 960, OPUS_PACKET, ssrc))
        for index in range(round(seconds * 50))
    )
    path.write_bytes(rtpdump(*packets, began=1_736_174_000.0))
    return f"replay://{path}?speed=max&audio={OPUS_TYPE}:opus"


def show(path: Path, keyframes: Sequence[bytes], ssrc: int = 2) -> str:
    """Write VP8 keyframes, one a second, as an rtpdump; gives its room URL (as fast as it goes)."""
    packets, sequence = list[tuple[float, bytes]](), 0
    for second, frame in enumerate(keyframes):
        payloads = vp8(frame, picture=second)
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            packet = rtp(VP8_TYPE, sequence, second * 90_000, payload, ssrc, marker=last)
            packets.append((second + index / 1000, packet))
            sequence += 1
    path.write_bytes(rtpdump(*packets, began=1_736_174_000.0))
    return f"replay://{path}?speed=max&video={VP8_TYPE}:vp8"
