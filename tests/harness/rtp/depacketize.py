"""Feeds a depacketizer as a stream does, packets lost or not; knows no codec but by its name."""

import base64
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from slicer.rtp.codecs.frame import Frame, VideoDepacketizer
from slicer.rtp.parameters import Codec
from tests.harness.media.video import Encoded
from tests.harness.rtp.packetize import annexb, payloads
from tests.harness.rtp.parts import VIDEO

TICKS = 3000


class Sent(NamedTuple):
    """One payload on its way, and which frame it is of."""

    payload: bytes
    timestamp: int
    marker: bool
    frame: int


def depacketizer(codec: str) -> VideoDepacketizer:
    """A fresh one from the table."""
    return VIDEO[codec].depacketizer(Codec(codec, 90_000))


def described(codec: str, sets: Sequence[bytes]) -> Codec:
    """The codec with its parameter sets in the fmtp line."""
    texts = [base64.b64encode(nal).decode() for nal in sets]
    if codec == "h264":
        return Codec(codec, 90_000, 1, {"sprop-parameter-sets": ",".join(texts)})
    names = ("sprop-vps", "sprop-sps", "sprop-pps")
    return Codec(codec, 90_000, 1, dict(zip(names, texts, strict=True)))


def sent(codec: str, units: Iterable[Encoded], mtu: int) -> list[Sent]:
    """The payloads of a stream of access units, 30 a second."""
    result = []
    for index, unit in enumerate(units):
        parts = payloads(codec, unit.data, mtu, index)
        last = len(parts) - 1
        result += [Sent(p, index * TICKS, at == last, index) for at, p in enumerate(parts)]
    return result


def received(
    depacketizer: VideoDepacketizer, packets: Sequence[Sent], lost: Collection[int] = ()
) -> list[Frame]:
    """The frames that come out when the packets with these indices do not arrive."""
    frames, contiguous = [], True
    for index, packet in enumerate(packets):
        if index in lost:
            contiguous = False
            continue
        frame = depacketizer.push(packet.payload, packet.timestamp, packet.marker, contiguous)
        contiguous = True
        if frame is not None:
            frames.append(frame)
    return frames


def canonical(codec: str, data: bytes) -> bytes:
    """An access unit with start codes of one length, which RTP does not carry."""
    if codec in {"h264", "h265"}:
        return b"".join(b"\0\0\0\1" + nal for nal in annexb(data))
    return data
