"""The whole job on one machine: a room, two anchors, lists in force, a contact sheet."""

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import process_time
from urllib.parse import urlsplit

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from slicer.demo.contact_sheet import Entry, render
from slicer.demo.progress import Progress, bytes_text
from slicer.demo.publisher import VideoCodec, publish
from slicer.engine.engine import Engine
from slicer.engine.events import Event, SliceSettled, SliceStored, TaskFinished
from slicer.engine.settings import Settings
from slicer.engine.spec import TaskSpec
from slicer.errors import BadInput, RoomError, counted
from slicer.media.slice import SliceInfo
from slicer.rooms.whip.room import WhipConnector
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import whose
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription

ROOM = "whip://127.0.0.1:0/demo"
AUDIO_SECONDS, VIDEO_SECONDS = 5, 2
ANCHORS: Sequence[tuple[str, str, VideoCodec]] = (
    ("anchor-blue", "anchor-blue.webm", "VP8"),
    ("anchor-amber", "anchor-amber.mp4", "H264"),
)
FIRST_LISTS = Subscription.of(allow_audio=["anchor-.*$"], block_video=["anchor-amber"])
SECOND_LISTS = Subscription.of(allow_audio=["anchor-blue"])
CONNECT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What is played, where slices go, and for how many seconds."""

    samples: Path
    to: Path
    seconds: int

    def __post_init__(self) -> None:
        for _, name, _ in ANCHORS:
            if not (self.samples / name).is_file():
                raise BadInput("--samples", str(self.samples), f"a folder with {name} in it")


async def demo(
    options: DemoOptions, settings: Settings, console: Console, progress: Progress
) -> int:
    """Run it, show it, leave a contact sheet beside the slices. Gives the number of slices lost."""
    try:
        options.to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"a folder that can be made and written ({error.strerror})"
        raise BadInput("--to", str(options.to), allowed) from None
    spec = TaskSpec(
        room=ROOM,
        to=options.to.absolute().as_uri(),
        params=SliceParams(
            AudioSpec(AUDIO_SECONDS), VideoSpec(VIDEO_SECONDS), FIRST_LISTS, max_idle=None
        ),
        images=ImageFormat.JPEG,
        prefix=(f"{datetime.now(UTC):%Y%m%d-%H%M%S}",),
    )
    async with Engine(settings) as engine:
        events = engine.events()
        task = await engine.create(spec)
        rooms = engine.connector("whip")
        assert isinstance(rooms, WhipConnector)
        endpoint = rooms.endpoint(urlsplit(ROOM))
        with progress:
            progress.note(f"room     {endpoint}")
            watching = asyncio.ensure_future(_watch(events, progress))
            async with _anchors(options.samples, endpoint) as publishing:
                await play(engine, task, options.seconds, progress, publishing)
            stored, finished = await watching
    sheet = _write_sheet(options.to, stored, finished.at)
    _print_table(console, stored)
    cpu = process_time() / options.seconds * 100
    console.print(f"\nslicer itself used {cpu:.0f} % of one core, start-up included")
    console.print(f"slices:        {options.to}/", highlight=False)
    console.print(f"contact sheet: {sheet}  (open it in a browser)", highlight=False)
    return finished.lost


async def play(
    engine: Engine, task: str, seconds: int, progress: Progress, publishing: Sequence[BaseProcess]
) -> None:
    """Half the time under the first lists, half under the second; then the robot leaves."""
    progress.note("lists    audio: allow anchor-.*$        video: block anchor-amber")
    waited = 0.0
    while len(engine.describe(task).anchors) < len(ANCHORS):
        if not all(child.is_alive() for child in publishing):
            raise RoomError("the demo's anchors could not publish; see the messages above")
        if waited > CONNECT_TIMEOUT:
            found = f"{len(engine.describe(task).anchors)} of {len(ANCHORS)} anchors"
            why = "this machine is too busy, or UDP on loopback is blocked"
            raise RoomError(f"{found} are in the room after {CONNECT_TIMEOUT:g} s: {why}")
        waited += 0.1
        await asyncio.sleep(0.1)
    await asyncio.sleep(seconds / 2)
    engine.modify(task, SECOND_LISTS)
    progress.note("modified audio: allow anchor-blue only  video: nobody blocked")
    await asyncio.sleep(seconds / 2)
    engine.delete(task)
    await engine.finished(task)


async def _watch(
    events: AsyncIterator[Event], progress: Progress
) -> tuple[list[SliceInfo], TaskFinished]:
    stored: dict[str, SliceInfo] = {}
    async for event in events:
        progress.show(event)
        if isinstance(event, SliceStored):
            stored[event.slice.key] = event.slice
        if isinstance(event, SliceSettled) and event.slice.key in stored:
            before = stored[event.slice.key]
            stored[before.key] = replace(before, began=event.slice.began)
        if isinstance(event, TaskFinished):
            return list(stored.values()), event
    raise AssertionError("an engine closed without ending its task")


@asynccontextmanager
async def _anchors(samples: Path, endpoint: str) -> AsyncIterator[list[BaseProcess]]:
    """The anchors publish from processes of their own, as they would from machines of their own."""
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=_publish, args=(f"{endpoint}/{user}", str(samples / name), codec))
        for user, name, codec in ANCHORS
    ]
    for child in children:
        child.start()
    try:
        yield [*children]
    finally:
        for child in children:
            child.terminate()
            await asyncio.to_thread(child.join, 5.0)
            child.kill()


def _publish(url: str, file: str, codec: VideoCodec) -> None:
    asyncio.run(_publish_until_terminated(url, file, codec))


async def _publish_until_terminated(url: str, file: str, codec: VideoCodec) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    publication = await publish(url, file, video_codec=codec)
    await ended.wait()
    await publication.close()


def _write_sheet(folder: Path, stored: Sequence[SliceInfo], ended: datetime) -> Path:
    """The contact sheet, beside the slices."""
    entries = [
        Entry(one.key, one.anchor, one.kind, one.began, one.seconds, one.size, one.role)
        for one in stored
    ]
    began = min((one.began for one in stored), default=ended)
    sheet = folder / "contact-sheet.html"
    sheet.write_text(render("rtc-slicer demo", entries, began, ended), encoding="utf-8")
    return sheet


def _print_table(console: Console, stored: Sequence[SliceInfo]) -> None:
    table = Table(
        title=f"{counted(len(stored), 'slice')} landed", title_justify="left", box=SIMPLE_HEAD
    )
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    for column in ("anchor", "kind", "began (UTC)", "length", "size", "file"):
        table.add_column(column, no_wrap=True)
    for one in sorted(stored, key=lambda one: (one.anchor, one.kind, one.began)):
        name = one.key.rpartition("/")[2]
        table.add_row(
            whose(one.anchor, one.role),
            "audio" if one.kind is Kind.AUDIO else "picture",
            f"{one.began:%H:%M:%S.%f}"[:-3],
            f"{one.seconds:6.3f} s" if one.kind is Kind.AUDIO else "",
            f"{bytes_text(one.size):>6}",
            f"…{name[-18:]}",
        )
    console.print(table)
