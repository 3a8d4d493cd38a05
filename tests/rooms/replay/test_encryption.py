"""Ciphertext is known by its looks; no honest stream, however odd, is taken for it."""

import random

import pytest

from slicer.rooms.replay.encryption import SAMPLE, Sample
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import AV1, G722, H264, H265, OPUS, PCMA, PCMU, VP8, VP9, Codec

HEADERS = {
    OPUS.name: [0x78, 0xF8, 0x0B, 0x4B, 0xE8, 0xFC],
    VP8.name: [0x90, 0x80, 0x10, 0x00, 0xB0, 0xA0],
    VP9.name: [0x88, 0x8C, 0x84, 0x80, 0xAC, 0xA8],
    H264.name: [0x67, 0x68, 0x65, 0x7C, 0x5C, 0x41, 0x61, 0x06],
    H265.name: [0x40, 0x42, 0x44, 0x26, 0x02, 0x62, 0x4E],
    AV1.name: [0x08, 0x10, 0x18, 0x50, 0x90, 0xD0],
}
STRUCTURED = [OPUS, VP8, VP9, H264, H265, AV1]
SAMPLED = [PCMU, PCMA, G722]


def sampled(
    codec: Codec, payloads: list[bytes], step: int = 160, lost: frozenset[int] = frozenset()
) -> bool | None:
    sample = Sample()
    for index, payload in enumerate(payloads):
        if index not in lost:
            sample.take(Packet(96, False, index & 0xFFFF, index * step, 1, payload), codec)
    return sample.encrypted()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("codec", STRUCTURED, ids=lambda codec: codec.name)
@pytest.mark.parametrize("count", [16, 40, SAMPLE, 300])
def test_payloads_with_a_header(codec: Codec, count: int, seed: int) -> None:
    chance = random.Random(seed)
    headers = HEADERS[codec.name]
    honest = [bytes([chance.choice(headers)]) + chance.randbytes(80) for _ in range(count)]
    assert sampled(codec, honest) is False
    assert sampled(codec, [chance.randbytes(90) for _ in range(count)]) is True


@pytest.mark.parametrize("codec", SAMPLED, ids=lambda codec: codec.name)
@pytest.mark.parametrize("step", [80, 160, 240])
@pytest.mark.parametrize("tag", [4, 10, 14, 16])
def test_payloads_without_a_header(codec: Codec, step: int, tag: int) -> None:
    chance = random.Random(tag)
    lost = frozenset({3, 9, 10})
    assert sampled(codec, [chance.randbytes(step) for _ in range(40)], step, lost) is False
    assert sampled(codec, [chance.randbytes(step + tag) for _ in range(40)], step, lost) is True


def test_silence_suppression_is_no_encryption() -> None:
    """Talk in between, comfort noise of a byte, packets that another packetization sends."""
    payloads = [bytes(160 if index % 5 else 1) for index in range(60)]
    assert sampled(PCMU, payloads) is False
    assert sampled(PCMU, [bytes(1) for _ in range(60)]) is False
    assert sampled(PCMU, [bytes(80 + 7 * (index % 20)) for index in range(60)]) is None


@pytest.mark.parametrize("codec", [OPUS, PCMU])
@pytest.mark.parametrize("count", [0, 1, 8])
def test_few_packets_do_not_tell(codec: Codec, count: int) -> None:
    assert sampled(codec, [random.Random(1).randbytes(170)] * count) is None


def test_empty_payloads_do_not_tell() -> None:
    assert sampled(VP8, [b""] * 100) is None
