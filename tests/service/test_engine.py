"""The engine as an embedder uses it: create, modify, describe, delete, events; on a replayed room.

Tests with real publishers are in tests/real.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

import slicer
from slicer import (
    AudioSpec,
    BadInput,
    Engine,
    Kind,
    LeaveCode,
    LimitReached,
    Settings,
    SliceLost,
    SliceParams,
    SliceStored,
    State,
    StorageRefused,
    Subscription,
    TaskFinished,
    TaskHasFinished,
    TaskNotExist,
    TaskSpec,
    TaskState,
    TrackStarted,
)
from slicer.settings import EngineSettings, OutboxSettings
from tests.harness.replay import talk
from tests.harness.slices import decode_ogg

SOUND = SliceParams(AudioSpec(2), None)


def spec_of(tmp_path: Path, seconds: float = 5.0, **changed: object) -> TaskSpec:
    room = talk(tmp_path / "ada.rtpdump", seconds)
    spec = TaskSpec(room, (tmp_path / "out").as_uri(), SOUND, app=200806, room_id="150")
    return replace(spec, **changed)  # type: ignore[arg-type]


def live(tmp_path: Path, **changed: object) -> TaskSpec:
    """A room where nobody is, and nobody needs to be: it does not end by itself."""
    return replace(spec_of(tmp_path), room="whip://127.0.0.1:0/lobby", **changed)  # type: ignore[arg-type]


async def test_the_whole_job(tmp_path: Path) -> None:
    async with slicer.Engine() as engine, engine.events() as events:
        task = await engine.create(spec_of(tmp_path))
        told = []
        async for event in events:
            told.append(event)
            if isinstance(event, TaskFinished):
                break
    # Uploads do not wait for each other, so they are told as they end.
    stored = sorted((one for one in told if isinstance(one, SliceStored)), key=lambda one: one.key)
    assert [event.seconds for event in stored] == pytest.approx([2.0, 2.0, 1.0])
    first = told[0]
    assert isinstance(first, TaskState)
    assert (first.task, first.state) == (task, State.RUNNING)
    assert [(one.anchor, one.kind) for one in told if isinstance(one, TrackStarted)] == [
        ("ada", Kind.AUDIO)
    ]
    finished = told[-1]
    assert isinstance(finished, TaskFinished)
    assert finished.code is LeaveCode.DISMISSED_BY_SERVER
    assert (finished.stored, finished.lost) == (3, 0)
    root = f"{task}/ada/audios/200806_150_ada_202501061433"
    assert [event.key for event in stored] == [f"{root}{at}.ogg" for at in ("20", "22", "24")]
    for event in stored:
        data = (tmp_path / "out" / event.key).read_bytes()
        assert len(data) == event.size
        assert decode_ogg(data).shape[0] == event.seconds * 48_000


async def test_finished_waits_for_the_last_slice_and_can_be_asked_again(tmp_path: Path) -> None:
    async with Engine() as engine:
        task = await engine.create(spec_of(tmp_path))
        finished = await engine.finished(task)
        assert (finished.stored, finished.lost) == (3, 0)
        assert await engine.finished(task) == finished
        with pytest.raises(TaskHasFinished):
            engine.describe(task)
        with pytest.raises(TaskHasFinished):
            engine.delete(task)


async def test_a_task_nobody_knows(tmp_path: Path) -> None:
    async with Engine() as engine:
        with pytest.raises(TaskNotExist, match="no task nobody"):
            engine.describe("nobody")
        with pytest.raises(TaskNotExist):
            engine.modify("nobody", Subscription())
        with pytest.raises(TaskNotExist):
            await engine.finished("nobody")


async def test_describe_and_modify(tmp_path: Path) -> None:
    async with Engine() as engine:
        task = await engine.create(live(tmp_path))
        status = engine.describe(task)
        assert (status.state, status.anchors, status.tracks) == (State.RUNNING, (), ())
        lists = Subscription.of(block_audio=["bo"], allow_audio=["a.*$"])
        engine.modify(task, lists)
        assert engine.describe(task).subscription == lists
        engine.delete(task)
        assert (await engine.finished(task)).code is LeaveCode.STOPPED


async def test_the_same_robot_again_ends_its_earlier_task(tmp_path: Path) -> None:
    async with Engine() as engine:
        first = await engine.create(live(tmp_path))
        other = await engine.create(live(tmp_path, user="another"))
        second = await engine.create(live(tmp_path))
        assert (await engine.finished(first)).code is LeaveCode.REPLACED
        assert engine.describe(second).state is State.RUNNING
        assert engine.describe(other).state is State.RUNNING


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"room": "ftp://x/y"}, "room"),
        ({"room": "whip://127.0.0.1:8080/"}, "room"),
        ({"room": "whip://127.0.0.1/lobby"}, "room"),
        ({"to": "gopher://x"}, "storage"),
        ({"to": "s3://UPPER/x"}, "storage"),
        ({"prefix": ("../up",)}, "prefix"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_starts(
    tmp_path: Path, changed: dict[str, object], field: str
) -> None:
    async with Engine() as engine, engine.events() as events:
        with pytest.raises(BadInput) as refused:
            await engine.create(replace(spec_of(tmp_path), **changed))  # type: ignore[arg-type]
        assert refused.value.field.startswith(field)
        assert "allowed" in str(refused.value)
    assert [event async for event in events] == []
    assert not (tmp_path / "out").exists()


async def test_a_store_that_would_refuse_is_found_out_before_the_room(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    async with Engine() as engine:
        with pytest.raises(StorageRefused):
            await engine.create(spec_of(tmp_path))


async def test_more_tasks_than_allowed(tmp_path: Path) -> None:
    async with Engine(Settings(engine=EngineSettings(max_tasks=1))) as engine:
        await engine.create(live(tmp_path))
        with pytest.raises(LimitReached, match=r"engine\.max_tasks"):
            await engine.create(live(tmp_path, user="second"))


async def test_leaving_the_engine_delivers_what_was_cut(tmp_path: Path) -> None:
    async with Engine() as engine:
        events = engine.events()
        await engine.create(spec_of(tmp_path, room=talk(tmp_path / "long.rtpdump", 600)))
        async for event in events:
            if isinstance(event, SliceStored):
                break
    rest = [event async for event in events]
    assert isinstance(rest[-1], TaskFinished)
    assert rest[-1].code is LeaveCode.STOPPED
    assert rest[-1].lost == 0
    assert rest[-1].stored == len(list((tmp_path / "out").rglob("*.ogg")))


async def test_a_store_that_breaks_loses_nothing_in_silence(tmp_path: Path) -> None:
    settings = Settings(outbox=OutboxSettings(drain=0.2))
    async with Engine(settings) as engine:
        events = engine.events()
        spec = spec_of(tmp_path)
        task = await engine.create(spec)
        out = tmp_path / "out"
        for path in sorted(out.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        out.rmdir()
        out.write_text("the folder is gone")
        closing = asyncio.ensure_future(engine.close())
        told = [event async for event in events]
        await closing
    finished = told[-1]
    assert isinstance(finished, TaskFinished)
    lost = [event for event in told if isinstance(event, SliceLost)]
    stored = [event for event in told if isinstance(event, SliceStored)]
    assert (finished.stored, finished.lost) == (len(stored), len(lost))
    assert all(event.task == task and event.key for event in lost)


async def test_close_twice_and_create_after(tmp_path: Path) -> None:
    async with Engine() as engine:
        await engine.close()
        await engine.close()
        with pytest.raises(LimitReached, match="closing"):
            await engine.create(spec_of(tmp_path))
