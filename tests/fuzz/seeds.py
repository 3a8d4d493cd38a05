"""Writes real payloads as inputs of the target `depacketizers`: tests/fuzz/seeds.py FOLDER."""

import sys
from pathlib import Path

from tests.harness.media.video import encoded
from tests.harness.rtp.depacketize import Sent, sent

CODECS = {"vp8": 0, "vp9": 1, "h264": 2, "av1": 3, "h265": 8}
"""The first byte of an input of this codec."""
MARKER, CONTIGUOUS, NEXT_FRAME = 1, 2, 4


def written(codec: str, packets: list[Sent]) -> bytes:
    """The input that is this stream, nothing of it lost."""
    result, before = bytes([CODECS[codec]]), 0
    for packet in packets:
        flags = CONTIGUOUS | MARKER * packet.marker | NEXT_FRAME * (packet.timestamp != before)
        result += bytes([flags]) + len(packet.payload).to_bytes(2, "big") + packet.payload
        before = packet.timestamp
    return result


def main(folder: Path) -> None:
    """A small stream of each codec, in large and in small payloads."""
    folder.mkdir(parents=True, exist_ok=True)
    for codec in CODECS:
        units = encoded(codec, 4, 64, 64, 2)
        for mtu in (60, 1200):
            (folder / f"{codec}-{mtu}").write_bytes(written(codec, sent(codec, units, mtu)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
