"""Slices as bytes: who is given which, when one is done with, slow readers, a killed process."""

import asyncio
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from slicer.delivery.outbox import Outbox
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.slices import SLICES, SliceStore, SliceStreams, of_task, put
from slicer.delivery.spool.settings import SpoolSettings
from slicer.engine.engine import Engine
from slicer.engine.events import RobotLeft, SliceLost, SliceStored
from slicer.engine.salvage import send
from slicer.engine.settings import Settings
from slicer.engine.spec import TaskSpec
from slicer.errors import BadInput
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.slicing.spec import AudioSpec, SliceParams
from slicer.storage import Receipt
from slicer.storage.null import NullStorage
from tests.harness.media.slices import decode_ogg
from tests.harness.rooms.replay import talk
from tests.test_readme import PROGRAM

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs/embedding.md").read_text()
EACH_SECOND = SliceParams(AudioSpec(1, report_wait=0), None)


def file(key: str, task: str = "t") -> File:
    info = SliceInfo(key, TrackKey(task, "ada", Kind.AUDIO), NOW, 15.0, 3)
    return File(info, b"abc", "audio/ogg")


def given(streams: SliceStreams, *files: File) -> list[asyncio.Task[Receipt]]:
    store = SliceStore(streams)
    return [asyncio.ensure_future(put(store, one)) for one in files]


async def test_a_slice_is_stored_once_the_next_is_asked_for() -> None:
    streams = SliceStreams()
    async with streams.open("t") as reader:
        first, second = given(streams, file("1"), file("2"))
        info, data = await anext(reader)
        assert (info.key, data, streams.unread, first.done()) == ("1", b"abc", 2, False)
        await anext(reader)
        assert await first == Receipt("1", 3, "")
        assert not second.done()
    assert await second == Receipt("2", 3, "")
    assert streams.unread == 0


async def test_it_is_given_again_where_the_reader_fails() -> None:
    streams = SliceStreams()
    (stored,) = given(streams, file("1"))

    async def failing() -> None:
        async with streams.open(None) as reader:
            await anext(reader)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert streams.unread == 1
    async with streams.open("t") as reader:
        assert (await anext(reader))[0].key == "1"
    await stored
    with pytest.raises(StopAsyncIteration):  # its block has ended
        await anext(reader)


async def test_each_is_given_to_one_reader_and_tasks_take_turns() -> None:
    streams = SliceStreams()
    all_of_them, one = streams.open(None), streams.open("b")
    stored = given(streams, file("a1", "a"), file("a2", "a"), file("b1", "b"), file("b2", "b"))
    await asyncio.sleep(0)
    keys = [(await anext(all_of_them))[0].key for _ in range(2)]
    assert keys == ["a1", "b1"]
    assert (await anext(one))[0].key == "b2"
    assert (await anext(all_of_them))[0].key == "a2"
    for stream in (all_of_them, one):
        stream.close()
        stream.close()
    await asyncio.gather(*stored)


async def test_an_iteration_ends_with_its_task_and_with_the_engine() -> None:
    streams = SliceStreams()
    (stored,) = given(streams, file("1"))
    await asyncio.sleep(0)
    one, other, of_all = streams.open("t"), streams.open("u"), streams.open(None)
    streams.end("t")
    assert [info.key async for info, _ in one] == ["1"]  # what is there comes first
    await stored
    waits = [asyncio.ensure_future(anext(stream)) for stream in (other, of_all)]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    streams.close()
    for wait in waits:
        with pytest.raises(StopAsyncIteration):
            await wait
    assert [one async for one in streams.open("v")] == []
    assert [one async for one in SliceStreams().open("v", ended=True)] == []


async def test_what_the_outbox_takes_back_is_given_to_nobody() -> None:
    streams = SliceStreams()
    first, second = given(streams, file("1"), file("2"))
    await asyncio.sleep(0)
    for one in (first, second):
        one.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert streams.unread == 0
    assert streams.take("t") is None
    assert streams.take(None) is None
    (third,) = given(streams, file("3"))
    reader = streams.open("t")
    await anext(reader)
    third.cancel()  # while the reader has it: it may finish in peace
    await asyncio.gather(third, return_exceptions=True)
    reader.close(done=False)
    assert streams.take("t") is None


async def test_what_is_no_slice_and_what_is_no_reader() -> None:
    transcript = File(ManifestInfo("t/x.json", "t", NOW), b"{}", "application/json")
    store = SliceStore(SliceStreams())
    assert await put(store, transcript) == Receipt("t/x.json", 2, "")
    await store.check()
    await store.close()
    assert store.label == SLICES
    assert await put(NullStorage(), file("k")) == Receipt("k", 3, "")


def test_the_url_is_one_word() -> None:
    assert of_task("to", "slices:", "t1") == "slices:t1"
    assert of_task("to", "null:", "t1") == "null:"
    with pytest.raises(BadInput, match="to: got 'slices:t2'; allowed: slices: and nothing behind"):
        of_task("to", "slices:t2", "t1")


async def test_a_task_without_any_store(tmp_path: Path) -> None:
    spec = TaskSpec(talk(tmp_path / "talk.rtpdump", 5), SLICES, EACH_SECOND, task="mine")
    async with Engine() as engine, engine.slices("mine") as slices, engine.events() as events:
        await engine.create(spec)
        found = [(info, data) async for info, data in slices]
        finished = await engine.finished("mine")
        assert [one async for one in engine.slices("mine")] == []  # it has ended
        (unread,) = [one for one in engine.metrics() if one.name == "slices_unread"]
        with pytest.raises(BadInput, match="manifest"):
            await engine.create(TaskSpec(spec.room, SLICES, manifest=True))
        await engine.close()
        stored = [event async for event in events if isinstance(event, SliceStored)]
    assert (finished.stored, finished.lost, unread.value) == (5, 0, 0)
    assert [info for info, _ in found] == [event.slice for event in stored]
    assert {event.destination for event in stored} == {SLICES}
    assert sum(len(decode_ogg(data)) for _, data in found) == pytest.approx(5 * 48_000, rel=0.02)


async def test_a_checksum_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    settings = Settings(outbox=OutboxSettings(checksums=True))
    spec = TaskSpec(talk(tmp_path / "talk.rtpdump", 2), SLICES, EACH_SECOND, task="t")
    async with Engine(settings) as engine, engine.events("t") as events, engine.slices() as slices:
        await engine.create(spec)
        _, data = await anext(slices)
        slices.close()
        stored = await anext(events)
        while not isinstance(stored, SliceStored):
            stored = await anext(events)
        assert stored.sha256 == sha256(data).hexdigest()
        engine.delete("t")
        rest = asyncio.ensure_future(engine.close())
        async for _ in engine.slices():
            pass
        await rest


async def test_a_slow_reader_costs_its_own_task_alone_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads, and the outbox is full: what is cut then is lost, with the reason. The replay
    does not wait, as no live room does."""
    monkeypatch.setattr(Outbox, "crowded", False)
    settings = Settings(outbox=OutboxSettings(count=4, uploads=2, drain=0.1))
    room = talk(tmp_path / "talk.rtpdump", 12)
    async with Engine(settings) as engine:
        events = engine.events("slow")
        await engine.create(TaskSpec(room, SLICES, EACH_SECOND, user="a", task="slow"))
        short = talk(tmp_path / "short.rtpdump", 3)
        other = await engine.create(TaskSpec(short, SLICES, EACH_SECOND, user="b"))
        async with engine.slices(other) as slices:
            read = [info async for info, _ in slices]
        told = [await anext(events)]
        while not isinstance(told[-1], RobotLeft):
            told.append(await anext(events))
        (unread,) = [one for one in engine.metrics() if one.name == "slices_unread"]
    told += [event async for event in events]
    lost = [event for event in told if isinstance(event, SliceLost)]
    assert (len(read), unread.value) == (3, 1)  # a track is stored one after the other
    full = [event for event in lost if "the outbox is full" in event.reason]
    share = [event for event in lost if "its share of the outbox" in event.reason]
    assert len(lost) == 12
    assert len(full) + len(share) >= 8
    assert lost[-1].reason.endswith("not acknowledged before the end; it is lost")


async def test_a_replay_waits_for_its_reader(tmp_path: Path) -> None:
    settings = Settings(outbox=OutboxSettings(count=20))
    spec = TaskSpec(talk(tmp_path / "talk.rtpdump", 90), SLICES, EACH_SECOND)
    async with Engine(settings) as engine:
        task = await engine.create(spec)
        async with engine.slices(task) as slices:
            read = [info async for info, _ in slices]
        assert (len(read), (await engine.finished(task)).lost) == (90, 0)


LIFE = """
import asyncio, hashlib, os, signal, sys
import slicer

async def main(spool, room):
    settings = slicer.Settings(spool=slicer.SpoolSettings(spool, reserve_bytes=0))
    async with slicer.Engine(settings) as engine:
        if not room:
            asyncio.get_running_loop().create_task(ended(engine))
        params = slicer.SliceParams(slicer.AudioSpec(1, report_wait=0), None)
        spec = slicer.TaskSpec(room, "slices:", params, task="t")
        async with engine.events() as events, engine.slices() as slices:
            if room:
                await engine.create(spec)
                safe = 0
                async for event in events:
                    safe += isinstance(event, slicer.SliceSpooled)
                    if safe == 20:
                        break
            async for info, data in slices:
                print(info.key, hashlib.sha256(data).hexdigest(), flush=True)
                if room:
                    safe -= 1
                    if safe == 14:
                        os.kill(os.getpid(), signal.SIGKILL)

async def ended(engine):
    await engine.settled("t")
    await engine.close()

asyncio.run(main(*sys.argv[1:]))
"""


def lines(spool: Path, room: str) -> tuple[int, list[str]]:
    run = subprocess.run(
        [sys.executable, "-c", LIFE, str(spool), room],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode in {0, -signal.SIGKILL}, run.stderr
    return run.returncode, run.stdout.splitlines()


async def test_after_kill_9_each_is_given_at_least_once(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    code, first = lines(spool, talk(tmp_path / "talk.rtpdump", 20))
    assert (code, len(first)) == (-signal.SIGKILL, 6)
    # Who sends a spool by hand has no reader: they stay.
    settings = Settings(spool=SpoolSettings(str(spool), reserve_bytes=0))
    assert await send(settings, lambda _url, _task: None, lambda _event: None, 1.0) >= 15
    code, second = lines(spool, "")
    assert code == 0
    assert first[-1] in second  # its reader was not done with it: the same key and the same bytes
    assert len(set(first) | set(second)) == 20
    assert len(second) <= 20
    assert not list(spool.rglob("*.slice"))


def test_the_documented_program(tmp_path: Path) -> None:
    (text,) = [one for one in PROGRAM.findall(PAGE) if "engine.slices" in one]
    text = text.replace("whip://127.0.0.1:8080/lobby", talk(tmp_path / "talk.rtpdump", 16))
    text = text.replace("/var/lib/slicer/spool", str(tmp_path / "spool"))
    run = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True
    )
    told = re.findall(r"^(\S+) audio .+ (1[.0-9]*|15\.0) (\d+)$", run.stdout, re.MULTILINE)
    assert len(told) == 2, run.stdout
