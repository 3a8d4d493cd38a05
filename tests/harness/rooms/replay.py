"""Captures of an invented conversation, as files that an engine can replay."""

from pathlib import Path

from tests.harness.rooms.captures import rtp, rtpdump

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
