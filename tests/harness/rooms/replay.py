"""Captures of an invented conversation, as files that an engine can replay."""

from collections.abc import Sequence
from pathlib import Path

from tests.harness.rooms.captures import rtp, rtpdump
from tests.harness.rtp.packetize import vp8

OPUS_TYPE, VP8_TYPE = 111, 96
BEGAN = 1_736_174_000.0
# CELT, full band, 20 ms; what follows is noise to a decoder, but of the right length.
OPUS_PACKET = bytes([0xF8]) + bytes(range(60))


def talk(path: Path, seconds: float, ssrc: int = 1) -> str:
    """Write *seconds* of Opus as an rtpdump; gives its room URL (as fast as it goes)."""
    path.write_bytes(rtpdump(*_spoken(seconds, ssrc), began=BEGAN))
    return f"replay://{path}?speed=max&audio={OPUS_TYPE}:opus"


def show(path: Path, keyframes: Sequence[bytes], ssrc: int = 2) -> str:
    """Write VP8 keyframes, one a second, as an rtpdump; gives its room URL (as fast as it goes)."""
    path.write_bytes(rtpdump(*_shown(keyframes, ssrc), began=BEGAN))
    return f"replay://{path}?speed=max&video={VP8_TYPE}:vp8"


def converse(path: Path, keyframes: Sequence[bytes]) -> None:
    """Write both, of one anchor: a second of Opus for each keyframe."""
    both = sorted([*_spoken(len(keyframes), 1), *_shown(keyframes, 2)])
    path.write_bytes(rtpdump(*both, began=BEGAN))


def _spoken(seconds: float, ssrc: int) -> list[tuple[float, bytes]]:
    return [
        (index / 50, rtp(OPUS_TYPE, index, index * 960, OPUS_PACKET, ssrc))
        for index in range(round(seconds * 50))
    ]


def _shown(keyframes: Sequence[bytes], ssrc: int) -> list[tuple[float, bytes]]:
    packets, sequence = list[tuple[float, bytes]](), 0
    for second, frame in enumerate(keyframes):
        payloads = vp8(frame, picture=second)
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            packet = rtp(VP8_TYPE, sequence, second * 90_000, payload, ssrc, marker=last)
            packets.append((second + index / 1000, packet))
            sequence += 1
    return packets
