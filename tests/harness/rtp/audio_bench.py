"""Packets put straight into a cutter of audio, and what holds of all its slices."""

import struct
from collections.abc import Sequence
from itertools import pairwise

from slicer.rtp.parameters import AUDIO_LEVEL, OPUS, Codec, Kind, RtpParameters
from slicer.slicing.outputs import AudioCut, TrackOutput, Transmit
from slicer.slicing.spec import AudioSpec
from tests.harness.rtp.call import AUDIO_TRACK, datagram
from tests.harness.rtp.parts import bundle_of

SECOND = 48_000


def check(slices: list[AudioCut]) -> None:
    """What holds for whatever comes: packets in order, slices that do not overlap."""
    for cut in slices:
        assert cut.start < cut.end
        assert cut.packets[-1].timestamp + cut.packets[-1].duration > cut.start
        assert cut.packets[0].timestamp < cut.end
        for a, b in pairwise(cut.packets):
            assert a.timestamp + a.duration <= b.timestamp
    for one, two in pairwise(slices):
        assert two.epoch > one.epoch or (two.epoch == one.epoch and two.start >= one.end)


class Bench:
    """A cutter and packets put straight into it, one behind the other."""

    def __init__(self, seconds: int = 1, codec: Codec = OPUS) -> None:
        self.bundle = bundle_of(
            "ann", [RtpParameters(Kind.AUDIO, {111: codec}, extensions={5: AUDIO_LEVEL})]
        )
        self.bundle.attach(AUDIO_TRACK, AudioSpec(seconds), 0.0)
        self.codec = codec
        self.sequence = 0
        self.now = 0.0
        self.cuts: list[AudioCut] = []

    def put(self, timestamp: int, payload: bytes = b"\xf8", extension: bytes = b"") -> None:
        self.put_all([timestamp], payload, extension)

    def put_all(self, timestamps: Sequence[int], payload: bytes, extension: bytes = b"") -> None:
        self.now = max(self.now, timestamps[-1] / self.codec.clock_rate)
        batch = [
            datagram(payload, self.sequence + i, at, extension=extension)
            for i, at in enumerate(timestamps)
        ]
        self.sequence += len(batch)
        self.take(self.bundle.receive(batch, self.now))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.bundle.handle_timer(self.now))

    def take(self, outputs: list[TrackOutput | Transmit]) -> None:
        self.cuts += [output for output in outputs if isinstance(output, AudioCut)]

    def counted(self) -> dict[str, int]:
        return dict(self.bundle.counters)

    def end(self) -> list[AudioCut]:
        self.take(self.bundle.flush(self.now))
        check(self.cuts)
        return self.cuts


def level(dB: int, spoken: bool = False, profile: int = 0xBEDE) -> bytes:
    """The header extension of RFC 6464: the bit V, and dB below overload."""
    value = spoken << 7 | dB
    element = [0x50, value, 0, 0] if profile == 0xBEDE else [5, 1, value, 0]
    return struct.pack("!HH", profile, 1) + bytes(element)
