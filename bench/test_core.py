"""What a packet and a cut cost in the core, stage by stage; each round handles BATCH packets."""

from collections import Counter
from collections.abc import Callable
from itertools import count, islice
from typing import TypeVar

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from slicer.rtp.mapping import SenderClock
from slicer.rtp.packet import Packet, parse
from slicer.rtp.ring import ReorderRing
from slicer.rtp.stream import Stream
from slicer.slicing.activity import Activity
from slicer.slicing.audio import AudioCutter
from slicer.slicing.bundle import Bundle
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, VIDEO, VIDEO_TRACK, datagram, opus, vp8
from tests.harness.rtp.packetize import vp8 as packetized

BATCH = 100
ROUNDS = 200
T = TypeVar("T")
# A header extension with a transport-wide number, as browsers send it with every packet.
EXTENSION = b"\xbe\xde\x00\x01\x31\x00\x05\x00"
PACKETS_A_FRAME = 6

pytestmark = pytest.mark.benchmark(group=f"core, {BATCH} packets")


def measure(
    benchmark: BenchmarkFixture, work: Callable[[T], object], make: Callable[[], T]
) -> None:
    """Time *work* on what *make* makes, fresh each round."""
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        work, setup=lambda: ((make(),), {}), rounds=ROUNDS, warmup_rounds=5
    )


def sounds() -> Callable[[], list[bytes]]:
    """Batches of one microphone, one after the other."""
    numbers = count()
    payload = opus(0) + bytes(60)
    return lambda: [datagram(payload, n, n * 960) for n in islice(numbers, BATCH)]


def sights(keyframes: bool = False) -> Callable[[], list[bytes]]:
    """Batches of one camera at 30 frames a second, six packets each."""
    numbers = count()

    def packet(number: int) -> bytes:
        frame, part = divmod(number, PACKETS_A_FRAME)
        payload = packetized(vp8(frame, keyframes, 1100 * PACKETS_A_FRAME), 1104, frame)[part]
        last = part == PACKETS_A_FRAME - 1
        return datagram(payload, number, frame * 3000, 2, 96, last, EXTENSION)

    return lambda: [packet(n) for n in islice(numbers, BATCH)]


def parsed(batch: Callable[[], list[bytes]]) -> Callable[[], list[Packet]]:
    return lambda: [parse(data) for data in batch()]


@pytest.mark.parametrize("make", [sounds(), sights()], ids=["plain", "with an extension"])
def test_parse(benchmark: BenchmarkFixture, make: Callable[[], list[bytes]]) -> None:
    measure(benchmark, lambda batch: [parse(data) for data in batch], make)


@pytest.mark.parametrize("order", ["in order", "reordered"])
def test_ring(benchmark: BenchmarkFixture, order: str) -> None:
    ring, numbers = ReorderRing(0.0, 0.2), count()

    def make() -> list[Packet]:
        batch = [Packet(111, False, next(numbers), 0, 1, b"x") for _ in range(BATCH)]
        if order == "reordered":
            batch[::2], batch[1::2] = batch[1::2], batch[::2]
        return batch

    def work(batch: list[Packet]) -> None:
        for packet in batch:
            ring.insert(packet)
        ring.pop(0.0)

    ring.insert(Packet(111, False, next(numbers), 0, 1, b"x"))
    measure(benchmark, work, make)


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
def test_stream(benchmark: BenchmarkFixture, asleep: bool) -> None:
    stream, now = Stream(AUDIO, SenderClock()), count(1)

    def work(batch: list[Packet]) -> None:
        arrival = next(now) * BATCH * 0.02
        for packet in batch:
            packet.arrival = arrival
            stream.insert(packet)
        stream.drain(arrival)

    if asleep:
        stream.doze()
    measure(benchmark, work, parsed(sounds()))


def bundle(work: str, plane: str) -> Bundle:
    """Of the reference, or of the native plane where it is built."""
    make = Bundle if plane == "reference" else pytest.importorskip("slicer._hot").Bundle
    made: Bundle = make(9)
    made.set_sections("ann", [AUDIO, VIDEO], 0.0)
    if work == "audio":
        made.attach(AUDIO_TRACK, AudioSpec(15), 0.0)
    elif work == "video asleep":
        made.attach(VIDEO_TRACK, VideoSpec(86_400), 0.0)
        made.receive(sights(keyframes=True)(), 0.0)
        made.handle_timer(0.1)
    elif work == "video awake":
        made.attach(VIDEO_TRACK, VideoSpec(1), 0.0)
    return made


@pytest.mark.parametrize("plane", ["reference", "native"])
@pytest.mark.parametrize("kind", ["audio", "video asleep", "video awake"])
def test_bundle(benchmark: BenchmarkFixture, kind: str, plane: str) -> None:
    made, now = bundle(kind, plane), count(1)
    seconds = BATCH * 0.02 if kind == "audio" else BATCH / PACKETS_A_FRAME / 30
    make = sounds() if kind == "audio" else sights()
    if kind == "video asleep":
        make()  # `bundle` had these numbers
    measure(benchmark, lambda batch: made.receive(batch, next(now) * seconds), make)
    assert (made.counters["asleep"] > 0) is (kind == "video asleep")


@pytest.mark.benchmark(group="core, one cut of 15 s")
def test_cut(benchmark: BenchmarkFixture) -> None:
    """The last packet of a slice: the packets before it are put in untimed."""
    stream = Stream(AUDIO, SenderClock())
    for number in range(751):
        packet = Packet(111, False, number, number * 960, 1, opus(number), arrival=number * 0.02)
        stream.insert(packet)
    packets = stream.flush()

    def make() -> AudioCutter:
        cutter = AudioCutter(AUDIO_TRACK, AudioSpec(15), Activity(), Counter())
        for ordered in packets[:749]:
            cutter.receive(ordered)
        return cutter

    measure(benchmark, lambda cutter: cutter.receive(packets[749]), make)
