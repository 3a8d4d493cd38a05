"""Pictures out of groups that go on: made in order, bounded, and what is given up is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from functools import cache, partial

import pytest
import pytest_asyncio

from slicer.delivery import decoding as module
from slicer.delivery.decoding import Decoding
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.errors import MediaError
from slicer.media.decoder import GroupDecoder
from slicer.media.slice import File, make
from slicer.rtp.parameters import Codec, Kind
from slicer.slicing.outputs import GroupFrames, PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat
from slicer.threads import ThreadPool
from tests.harness.delivery.spooling import info_of
from tests.harness.media.encoder import encode_pictures, read_image
from tests.harness.media.picture import Painter, read_frame_number

TRACK = TrackKey("t", "ada", Kind.VIDEO)
CODEC = Codec("h264", 90_000)
FRAMES = 30


@cache
def group() -> tuple[bytes, ...]:
    painter = Painter(width=320, height=180)
    return tuple(encode_pictures("h264", [painter.draw(number) for number in range(FRAMES)]))


class Bench:
    """Lanes over one thread, and what came of each picture: its number, or why there is none."""

    def __init__(self, max_decoders: int = 8) -> None:
        self.threads = ThreadPool("encoding", 1, PRIORITIES)
        self.pool = EncodingPool(self.threads)
        self.decoding = Decoding(self.pool, max_decoders)
        self.came: list[int | str | None] = []
        self.gate = threading.Event()
        self.gate.set()

    def picture(
        self,
        first: int,
        end: int,
        keyframe: int = 0,
        continues: bool = True,
        track: TrackKey = TRACK,
        frames: tuple[bytes, ...] | None = None,
    ) -> None:
        taken = group()[first:end] if frames is None else frames
        cut = PictureCut(track, CODEC, end, end, taken, 0.0, 0, keyframe, first, continues)
        assert self.decoding.takes(cut)
        encode = partial(make, cut, info_of(f"{end}.png"), ImageFormat.PNG)
        self.decoding.make(cut, partial(self._gated, encode), self._done)

    def ahead(self, first: int, end: int, keyframe: int = 0) -> None:
        self.decoding.feed(GroupFrames(TRACK, CODEC, end, group()[first:end], 0, keyframe, first))

    async def settle(self) -> list[int | str | None]:
        async with asyncio.timeout(20):
            while self.decoding.busy:
                await asyncio.sleep(0.001)
        came, self.came = self.came, []
        return came

    def _gated(self, encode: Callable[..., File], decoder: GroupDecoder | None) -> File:
        assert self.gate.wait(10)
        return encode(decoder=decoder)

    def _done(self, file: Callable[[], File], size: int) -> None:
        try:
            made = file()
        except MediaError as error:
            self.came.append(str(error))
            assert size == 0
        else:
            assert len(made.data) == size > 0
            self.came.append(read_frame_number(read_image(made.data)))


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.gate.set()
    await made.decoding.close()
    made.threads.shut_down()


async def test_pictures_of_one_group_come_in_order(bench: Bench) -> None:
    bench.picture(0, 1)
    bench.picture(1, 10)
    bench.ahead(10, 15)
    bench.ahead(15, 18)
    bench.picture(18, 20)
    assert await bench.settle() == [0, 9, 19]
    assert bench.decoding.decoders == 1
    assert bench.decoding.waiting_bytes == 0
    bench.picture(20, 30)
    assert await bench.settle() == [29]


async def test_a_file_can_be_had_again(bench: Bench) -> None:
    cut = PictureCut(TRACK, CODEC, 0, 0, group()[:1], 0.0, 0, 0, 0, True)
    files: list[Callable[[], File]] = []
    encode = partial(make, cut, info_of("a.png"), ImageFormat.PNG)
    bench.decoding.make(cut, encode, lambda file, _size: files.append(file))
    assert files == []  # never from within
    await bench.settle()
    assert files[0]().data == files[0]().data


async def test_the_next_group_has_a_decoder_of_its_own(bench: Bench) -> None:
    bench.picture(0, 5)
    bench.picture(0, 3, keyframe=900)
    bench.picture(3, 4, keyframe=900)
    assert await bench.settle() == [4, 2, 3]
    assert bench.decoding.decoders == 1
    assert bench.decoding.given_up.total() == 0


async def test_while_a_lane_works_a_keyframe_alone_waits_its_turn(bench: Bench) -> None:
    alone = PictureCut(TRACK, CODEC, 0, 0, group()[:1], 0.0, 0, 900)
    assert not bench.decoding.takes(alone)
    bench.picture(0, 5)
    bench.picture(0, 1, keyframe=900, continues=False)
    assert await bench.settle() == [4, 0]
    assert bench.decoding.decoders == 0
    assert not bench.decoding.takes(alone)


async def test_a_broken_frame_costs_the_rest_of_its_group(bench: Bench) -> None:
    bench.picture(0, 5)
    bench.picture(5, 6, frames=(group()[5][:20],))
    bench.picture(6, 10)
    bench.picture(0, 3, keyframe=900)
    first, *broken, last = await bench.settle()
    assert (first, last) == (4, 2)
    assert len(broken) == 2
    assert broken[0] == broken[1]
    assert bench.decoding.given_up == {"broken": 1, "behind": 0, "crowded": 0}


@pytest.mark.parametrize("keyframe", [0, 900])
async def test_missing_frames_cost_the_rest_of_their_group(bench: Bench, keyframe: int) -> None:
    """Frames on the way were dropped: of this group, or the next one's beginning."""
    bench.picture(0, 5)
    bench.picture(6 if keyframe == 0 else 5, 10, keyframe)
    bench.picture(10, 12, keyframe)
    assert await bench.settle() == [4, *["frames of its group are missing"] * 2]
    assert bench.decoding.given_up["broken"] == 1
    assert bench.decoding.decoders == 0


async def test_frames_that_come_too_fast_are_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LANE_BYTES", sum(map(len, group()[:20])))
    bench.gate.clear()
    bench.picture(0, 12)
    await asyncio.sleep(0)
    assert bench.decoding.crowded
    bench.picture(12, 20)
    bench.picture(20, 25)
    bench.picture(25, 30)
    bench.ahead(25, 30)
    bench.gate.set()
    slow = "frames come faster than they are decoded"
    assert await bench.settle() == [11, 19, slow, slow]
    assert bench.decoding.given_up == {"broken": 0, "behind": 1, "crowded": 0}
    assert not bench.decoding.crowded
    bench.picture(0, 3, keyframe=900)
    assert await bench.settle() == [2]


async def test_all_lanes_together_are_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 2 * sum(map(len, group()[:10])))
    tracks = [TRACK._replace(anchor=anchor) for anchor in ("bob", "cy", "dee")]
    bench.gate.clear()
    for track in tracks:
        bench.picture(0, 10, track=track)
    bench.gate.set()
    came = await bench.settle()
    assert sorted(map(str, came)) == ["9", "9", "frames come faster than they are decoded"]


async def test_decoders_are_bounded_and_the_first_picture_of_a_group_needs_none() -> None:
    bench = Bench(max_decoders=2)
    tracks = [TRACK._replace(anchor=anchor) for anchor in ("bob", "cy", "dee")]
    for track in tracks:
        bench.picture(0, 5, track=track)
        bench.picture(5, 10, track=track)
    came = await bench.settle()
    assert sorted(map(str, came)) == ["2 decoders are kept", "4", "4", "4", "9", "9"]
    assert bench.decoding.decoders == 2
    assert bench.decoding.given_up["crowded"] == 1
    bench.decoding.end(tracks[0])
    assert bench.decoding.decoders == 1
    bench.picture(0, 5, 900, track=tracks[2])
    bench.picture(5, 10, 900, track=tracks[2])
    assert await bench.settle() == [4, 9]
    bench.threads.shut_down()


async def test_a_track_that_ends_keeps_no_decoder(bench: Bench) -> None:
    bench.picture(0, 5)
    bench.decoding.end(TRACK)
    assert await bench.settle() == [4]
    assert bench.decoding.decoders == 0
    bench.decoding.end(TRACK)
    bench.picture(0, 5)
    assert await bench.settle() == [4]
    assert bench.decoding.decoders == 1
    bench.decoding.end(TRACK)
    assert bench.decoding.decoders == 0


async def test_what_is_not_made_before_the_end_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.01)
    bench.gate.clear()
    bench.picture(0, 5)
    bench.picture(5, 10)
    await bench.decoding.close()
    assert bench.came == ["not made before the end"] * 2
    assert bench.decoding.waiting_bytes == 0
