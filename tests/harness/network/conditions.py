"""Bad networks, and what is sliced of a publisher behind each: lengths, beeps, frame numbers.

Two senders of libwebrtc for each network, one with a microphone, one with a camera, each by a path
of its own. What was lost on the way is counted by the path; the rest is read from the files.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from slicer import AnchorLeft, AudioSpec, Kind, SliceParams, VideoSpec
from tests.harness.end_to_end import Landed, Studio
from tests.harness.media.content import SAMPLE_RATE, find_beeps, is_grey, read_frame_number
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.libwebrtc import libwebrtc
from tests.harness.rooms.relay import Impairment, Relay, relay
from tests.harness.rooms.whip_front import whip_front

SECONDS, SLICES = 3, 4
"""Of an audio slice, and how many are waited for once the network is as it is to be."""
FPS, ROUND = 15, 300
OPUS, VIDEO, REPEATED = 111, 96, 97


@dataclass(frozen=True)
class Condition:
    """A network. *outage*: seconds in the midst of it in which nothing passes; *moves*: whether the
    publisher's address changes."""

    name: str
    impairment: Impairment = field(default_factory=Impairment)
    outage: float = 0.0
    moves: bool = False


CONDITIONS = (
    Condition("none"),
    *(Condition(f"loss of {share} %", Impairment(loss=share / 100)) for share in (1, 5, 10, 20)),
    Condition("loss of 5 %, in bursts of 5", Impairment(loss=0.05, burst=5)),
    *(Condition(f"jitter of {ms} ms", Impairment(jitter=ms / 1000)) for ms in (50, 200, 500)),
    Condition("reordering: 25 % late by up to 60 ms", Impairment(late=0.25, delay=0.06)),
    Condition("duplication of 10 %", Impairment(duplicate=0.1)),
    Condition("bottleneck of 300 kbit/s", Impairment(rate=300_000)),
    *(Condition(f"outage of {seconds:g} s", outage=seconds) for seconds in (0.5, 5.0, 40.0)),
    Condition("another address", moves=True),
)


@dataclass(frozen=True)
class Outcome:
    """What was stored. *whole*: audio slices but the last of their track, by length in seconds;
    *off*: seconds that the beep farthest from its place is off; *seconds*: of audio in the files;
    *filled*: packets of audio that were left to the decoder; *lost*, *repeated*: packets of audio
    and of video that the path dropped, and of video those sent again that passed; *pictures*: the
    numbers of their frames; *damaged*: pictures without one, or grey; *left*: whether the anchor
    was given up meanwhile.
    """

    condition: Condition
    lengths: tuple[float, ...]
    exact: bool
    beeps: int
    off: float
    seconds: float
    filled: int
    lost: tuple[int, int]
    repeated: int
    pictures: tuple[int | None, ...]
    damaged: int
    left: bool

    @property
    def steps(self) -> list[int]:
        """Frames from each picture to the next; FPS for one a second."""
        numbers = [number for number in self.pictures if number is not None]
        return [(after - before) % ROUND for before, after in pairwise(numbers)]


@dataclass(frozen=True)
class _Publisher:
    condition: Condition
    kind: Kind
    path: Relay

    @property
    def anchor(self) -> str:
        return f"{CONDITIONS.index(self.condition)}-{self.kind}"


async def measure(
    stage: Studio,
    devices: tuple[Path, Path],
    conditions: Sequence[Condition],
    slices: int = SLICES,
) -> list[Outcome]:
    """All of these at a time, in one room; *slices*: how many of audio are waited for."""
    task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(1)))
    async with _publishers(stage, devices, conditions) as publishers:
        await stage.until(lambda: all(_count(stage, task, one) for one in publishers))
        await asyncio.gather(*(_impair(stage, task, one, slices) for one in publishers))
    assert (await stage.finish(task)).lost == 0
    sound = {one.condition: one for one in publishers if one.kind is Kind.AUDIO}
    sight = {one.condition: one for one in publishers if one.kind is Kind.VIDEO}
    return [await _outcome(stage, task, sound[one], sight[one]) for one in conditions]


@asynccontextmanager
async def _publishers(
    stage: Studio, devices: tuple[Path, Path], conditions: Sequence[Condition]
) -> AsyncIterator[list[_Publisher]]:
    found: list[_Publisher] = []
    camera, microphone = devices
    async with AsyncExitStack() as stack:
        for condition in conditions:
            for kind, file in ((Kind.AUDIO, microphone), (Kind.VIDEO, camera)):
                path = await stack.enter_async_context(relay(len(found)))
                one = _Publisher(condition, kind, path)
                url = await stack.enter_async_context(whip_front(path, stage.url(one.anchor)))
                await stack.enter_async_context(libwebrtc(url, file))
                found.append(one)
        yield found


def _count(stage: Studio, task: str, one: _Publisher) -> int:
    return len(stage.stored(task, one.anchor, one.kind))


async def _impair(stage: Studio, task: str, one: _Publisher, slices: int) -> None:
    """Make the network what it is to be; return once enough was stored of it."""
    condition, path = one.condition, one.path
    wanted = slices * (1 if one.kind is Kind.AUDIO else SECONDS)

    async def more(count: int) -> None:
        there = _count(stage, task, one)
        done = lambda: _count(stage, task, one) >= there + count or _left(stage, one)  # noqa: E731
        await stage.until(done, seconds=60 + condition.outage)

    path.impairment = condition.impairment
    if condition.outage or condition.moves:
        await more(wanted // 2)
        if condition.moves:
            await path.move()
        path.impairment = replace(condition.impairment, loss=1.0 if condition.outage else 0.0)
        await asyncio.sleep(condition.outage)
        path.impairment = condition.impairment
        await more(wanted // 2)
    else:
        await more(wanted)
    path.impairment = Impairment()


def _left(stage: Studio, one: _Publisher) -> bool:
    return any(event.anchor == one.anchor for event in stage.told(AnchorLeft))


async def _outcome(stage: Studio, task: str, sound: _Publisher, sight: _Publisher) -> Outcome:
    audio = await stage.landed(task, sound.anchor, Kind.AUDIO)
    landed = await stage.landed(task, sight.anchor, Kind.VIDEO)
    parts = [mono(decode_ogg(one.data)) for one in audio]
    exact = all(
        part.size == round(one.told.seconds * SAMPLE_RATE)
        for part, one in zip(parts, audio, strict=True)
    )
    beeps = find_beeps(np.concatenate(parts))
    shown = [read_picture(one.data) for one in landed]
    numbers = tuple(read_frame_number(one) for one in shown)
    grey = sum(is_grey(one) for one in shown)
    return Outcome(
        sound.condition,
        tuple(one.told.seconds for one in audio[:-1]),
        exact,
        len(beeps),
        max((abs(at - beeps[0] - round(at - beeps[0])) for at in beeps), default=0.0),
        sum(part.size for part in parts) / SAMPLE_RATE,
        sum(_concealed(one) for one in audio),
        (sound.path.dropped[OPUS], sight.path.dropped[VIDEO]),
        sight.path.passed[REPEATED],
        numbers,
        grey + numbers.count(None),
        _left(stage, sound) or _left(stage, sight),
    )


def _concealed(one: Landed) -> int:
    """Packets of a file that are a TOC byte alone: lost, and left to the decoder."""
    with av.open(io.BytesIO(one.data), "r", format="ogg") as container:
        return sum(packet.size == 1 for packet in container.demux(audio=0))
