"""The engine as an embedder uses it: create, modify, describe, delete, events; on a replayed room.

Tests with real publishers are in tests/real.
"""

import asyncio
import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

import slicer
from slicer import (
    AudioSpec,
    BadInput,
    EndReason,
    Engine,
    Kind,
    LimitReached,
    ModerationSettings,
    RoomError,
    Settings,
    SliceLost,
    SliceParams,
    SliceSpooled,
    SliceStored,
    State,
    StorageRefused,
    Subscription,
    TaskEnded,
    TaskFinished,
    TaskNotExist,
    TaskSpec,
    TaskState,
    TaskTrouble,
    TrackStarted,
)
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.folder import SpooledFile
from slicer.delivery.spool.settings import SpoolSettings
from slicer.delivery.spool.spool import Spool
from slicer.engine.events import RobotLeft
from slicer.engine.settings import EngineSettings
from slicer.rooms import CONNECTORS
from slicer.slicing.facts import AnchorJoined, TrackPublished
from tests.harness.media.slices import decode_ogg
from tests.harness.rooms.replay import talk
from tests.harness.rooms.scripted import CONNECTOR, ScriptedConnector, ScriptedRoom

AUDIO_TRACK = SliceParams(AudioSpec(2), None)


def spec_of(tmp_path: Path, seconds: float = 5.0, **changed: object) -> TaskSpec:
    room = talk(tmp_path / "ada.rtpdump", seconds)
    spec = TaskSpec(room, (tmp_path / "out").as_uri(), AUDIO_TRACK, app=200806, room_id="150")
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
    stored = sorted(
        (one.slice for one in told if isinstance(one, SliceStored)), key=lambda one: one.key
    )
    assert [slice.seconds for slice in stored] == pytest.approx([2.0, 2.0, 1.0])
    first = told[0]
    assert isinstance(first, TaskState)
    assert (first.task, first.state) == (task, State.RUNNING)
    assert [(one.anchor, one.kind) for one in told if isinstance(one, TrackStarted)] == [
        ("ada", Kind.AUDIO)
    ]
    finished = told[-1]
    assert isinstance(finished, TaskFinished)
    assert finished.reason is EndReason.ROOM_GONE
    assert (finished.stored, finished.lost) == (3, 0)
    root = f"{task}/ada/audios/200806_150_ada_202501061433"
    assert [slice.key for slice in stored] == [f"{root}{at}.ogg" for at in ("20", "22", "24")]
    for slice in stored:
        data = (tmp_path / "out" / slice.key).read_bytes()
        assert len(data) == slice.size
        assert decode_ogg(data).shape[0] == slice.seconds * 48_000


async def test_a_model_folder_that_is_none_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(moderation=ModerationSettings(local_whisper=str(tmp_path)))
    with pytest.raises(
        BadInput, match=r"moderation\.local_whisper: .* \(faster-whisper\); model\.bin is not there"
    ):
        await Engine(settings).__aenter__()


async def test_finished_waits_for_the_last_slice_and_can_be_asked_again(tmp_path: Path) -> None:
    async with Engine() as engine:
        task = await engine.create(spec_of(tmp_path))
        finished = await engine.finished(task)
        assert (finished.stored, finished.lost) == (3, 0)
        assert await engine.finished(task) == finished
        with pytest.raises(TaskEnded):
            engine.describe(task)
        with pytest.raises(TaskEnded):
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
        assert (await engine.finished(task)).reason is EndReason.STOPPED


async def test_the_same_robot_again_ends_its_earlier_task(tmp_path: Path) -> None:
    async with Engine() as engine:
        first = await engine.create(live(tmp_path))
        other = await engine.create(live(tmp_path, user="another"))
        elsewhere = await engine.create(live(tmp_path, app=7))
        second = await engine.create(live(tmp_path))
        assert (await engine.finished(first)).reason is EndReason.REPLACED
        assert engine.describe(second).state is State.RUNNING
        assert engine.describe(other).state is State.RUNNING
        assert engine.describe(elsewhere).state is State.RUNNING


async def test_events_of_a_task_that_has_ended_are_its_last_one(tmp_path: Path) -> None:
    async with Engine() as engine:
        task = await engine.create(spec_of(tmp_path))
        finished = await engine.finished(task)
        async with engine.events(task) as events:
            assert [event async for event in events] == [finished]


async def test_what_is_lost_or_tried_again_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be written to: trouble once, and the slices that are given up."""
    spec = spec_of(tmp_path, check_store=False)
    (tmp_path / "out").write_text("a file stands where the folder should be")
    settings = Settings(outbox=OutboxSettings(drain=0.0))
    async with Engine(settings) as engine:
        task = await engine.create(spec)
        await asyncio.sleep(0.5)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any(line.startswith(f"! task {task} of application 200806: file:///") for line in lines)
    assert any("lost after being taken" in line for line in lines)


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


async def test_a_store_need_not_be_asked_before(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(live(tmp_path, check_store=False))
        told = [await anext(events), await anext(events)]
        assert isinstance(told[-1], TaskTrouble)
        assert "a file stands where a folder is needed" in told[-1].reason
        assert engine.describe(task).state is State.RUNNING


async def test_a_task_that_is_forgotten_may_come_again_under_its_id(tmp_path: Path) -> None:
    async with Engine() as engine:
        spec = spec_of(tmp_path, 2.0, task="mine")
        await engine.create(spec)
        await engine.forget("mine")
        with pytest.raises(TaskNotExist):
            engine.describe("mine")
        assert await engine.create(spec) == "mine"
        await engine.finished("mine")
        assert [one async for one in engine.slices("mine")] == [], "its store was a folder"


async def test_a_task_may_have_its_id_given(tmp_path: Path) -> None:
    async with Engine() as engine:
        assert await engine.create(live(tmp_path, task="mine")) == "mine"
        with pytest.raises(BadInput, match="task: got 'mine'; allowed: an id that no task"):
            await engine.create(live(tmp_path, task="mine", user="another"))
        assert engine.describe("mine").state is State.RUNNING


async def test_the_robots_leaving_is_told_before_the_end(tmp_path: Path) -> None:
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(spec_of(tmp_path))
        await engine.finished(task)
        await engine.close()
        told = [event async for event in events]
    (left,) = [event for event in told if isinstance(event, RobotLeft)]
    assert (left.task, left.reason) == (task, EndReason.ROOM_GONE)
    assert told.index(left) < len(told) - 1
    assert isinstance(told[-1], TaskFinished)


async def test_more_tasks_than_allowed(tmp_path: Path) -> None:
    async with Engine(Settings(engine=EngineSettings(max_tasks=1))) as engine:
        await engine.create(live(tmp_path))
        with pytest.raises(LimitReached, match=r"engine\.max_tasks"):
            await engine.create(live(tmp_path, user="second"))


async def test_leaving_the_engine_delivers_what_was_cut(tmp_path: Path) -> None:
    settings = Settings(outbox=OutboxSettings(count=20))  # so the replay waits for the store
    async with Engine(settings) as engine:
        events = engine.events()
        await engine.create(spec_of(tmp_path, room=talk(tmp_path / "long.rtpdump", 600)))
        async for event in events:
            if isinstance(event, SliceStored):
                break
    rest = [event async for event in events]
    assert isinstance(rest[-1], TaskFinished)
    assert rest[-1].reason is EndReason.STOPPED
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
    assert all(event.task == task and event.slice.key for event in lost)


async def test_close_twice_and_create_after(tmp_path: Path) -> None:
    async with Engine() as engine:
        await engine.close()
        await engine.close()
        with pytest.raises(LimitReached, match="closing"):
            await engine.create(spec_of(tmp_path))


def spooling(tmp_path: Path, **changed: object) -> Settings:
    outbox = OutboxSettings(**changed)  # type: ignore[arg-type]
    return Settings(outbox=outbox, spool=SpoolSettings(str(tmp_path / "spool"), reserve_bytes=0))


def broken(folder: Path) -> None:
    """Nothing can be stored there."""
    folder.write_text("a file where the folder should be")


async def test_what_one_engine_leaves_in_the_spool_the_next_one_sends(tmp_path: Path) -> None:
    out = tmp_path / "out"
    broken(out)
    settings = spooling(tmp_path, drain=0.2)
    async with Engine(settings) as engine:
        events = engine.events()
        task = await engine.create(spec_of(tmp_path, check_store=False))
        spooled = []
        async for event in events:
            if isinstance(event, SliceSpooled):
                spooled.append(event.slice.key)
            if len(spooled) == 3:
                break
        await engine.close()
        finished = await engine.finished(task)
    assert (finished.stored, finished.lost, finished.kept) == (0, 0, 3)
    out.unlink()
    async with Engine(settings) as engine, engine.events() as events:
        stored = []
        async for event in events:
            assert isinstance(event, SliceStored)
            assert event.task == task
            stored.append(event.slice.key)
            if len(stored) == 3:
                break
    assert sorted(stored) == sorted(spooled)
    assert all(decode_ogg((out / key).read_bytes()).shape[0] for key in stored)
    assert not list((tmp_path / "spool").rglob("*.slice"))


async def test_a_spool_that_cannot_be_is_told_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken(tmp_path / "spool")
    settings = spooling(tmp_path)
    waived = replace(settings, spool=replace(settings.spool, required=False))
    async with Engine(waived) as engine:
        task = await engine.create(spec_of(tmp_path))
        assert (await engine.finished(task)).stored == 3
    assert "no spool" in caplog.text


async def test_a_spool_that_cannot_be_stops_the_start(tmp_path: Path) -> None:
    broken(tmp_path / "spool")
    with pytest.raises(BadInput, match=r"spool\.folder: .* \(File exists\), or spool\.required"):
        async with Engine(spooling(tmp_path)):
            pass


async def test_a_spool_that_cannot_be_read_stops_the_start_and_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(_: Spool) -> dict[Path, list[SpooledFile]]:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "found", unreadable)
        with pytest.raises(BadInput, match=r"spool\.folder: .*Input/output error"):
            async with Engine(spooling(tmp_path)):
                pass
    async with Engine(spooling(tmp_path)):
        pass


async def test_a_spool_that_others_may_write_to_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o777)
    settings = spooling(tmp_path)
    waived = replace(settings, spool=replace(settings.spool, required=False))
    with pytest.raises(BadInput, match=r"spool\.folder: .* of mode 0777"):
        async with Engine(waived):
            pass


async def test_a_spool_that_another_engine_has(tmp_path: Path) -> None:
    async with Engine(spooling(tmp_path)):
        with pytest.raises(BadInput, match=r"spool\.folder"):
            async with Engine(spooling(tmp_path)):
                pass


async def test_a_backup_takes_what_the_store_does_not(tmp_path: Path) -> None:
    broken(tmp_path / "out")
    settings = spooling(tmp_path, backup_after=0.0)
    async with Engine(settings) as engine, engine.events() as events:
        backup = (tmp_path / "backup").as_uri()
        spec = spec_of(tmp_path, backup=backup, check_store=False)
        task = await engine.create(spec)
        assert (await engine.finished(task)).stored == 3
        await engine.close()
        stored = [event async for event in events if isinstance(event, SliceStored)]
    assert {event.destination for event in stored} == {backup}
    assert all((tmp_path / "backup" / event.slice.key).exists() for event in stored)


async def test_a_manifest_names_what_was_cut(tmp_path: Path) -> None:
    async with Engine() as engine:
        task = await engine.create(spec_of(tmp_path, manifest=True, prefix=("here",)))
        finished = await engine.finished(task)
    assert (finished.stored, finished.lost) == (3, 0), "it counts as no slice"
    out = tmp_path / "out"
    manifest = json.loads((out / "here" / task / "manifest.json").read_bytes())
    assert [one["seconds"] for one in manifest["slices"]] == pytest.approx([2.0, 2.0, 1.0])
    for one in manifest["slices"]:
        data = (out / one["key"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == one["sha256"]


async def test_a_spooled_slice_is_kept_until_its_event_is_safe(tmp_path: Path) -> None:
    safe = asyncio.Event()

    async def confirm(_event: SliceStored) -> None:
        await safe.wait()

    async with Engine(spooling(tmp_path), confirm=confirm) as engine, engine.events() as events:
        task = await engine.create(spec_of(tmp_path))
        finished, stored = asyncio.ensure_future(engine.finished(task)), 0
        async for event in events:
            stored += isinstance(event, SliceStored)
            if stored == 3:
                break
        assert len(list((tmp_path / "spool").rglob("*.slice"))) == 3
        assert not finished.done(), "nor does the task finish before"
        safe.set()
        assert ((await finished).stored, (await finished).kept) == (3, 0)
    assert not list((tmp_path / "spool").rglob("*.slice"))


async def test_a_create_that_fails_leaves_nothing_and_the_earlier_task_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(_room: ScriptedRoom) -> None:
        raise RoomError("the room is closed")

    monkeypatch.setitem(CONNECTORS, "scripted", CONNECTOR)
    params = replace(AUDIO_TRACK, max_idle=1)
    spec = replace(live(tmp_path), room="scripted://open", params=params)
    async with Engine() as engine:
        events = engine.events()
        first = await engine.create(spec)
        here = (AnchorJoined("ada"), TrackPublished("ada", Kind.AUDIO))
        ScriptedConnector.rooms["open"].tell(*here)
        monkeypatch.setattr(ScriptedRoom, "enter", closed)
        with pytest.raises(RoomError):
            await engine.create(replace(spec, task="second"))
        assert engine.describe(first).state is State.RUNNING
        await asyncio.sleep(1.2)  # the failed one would be alone for too long by now
        engine.delete(first)
        await engine.finished(first)
    heard = [event async for event in events]
    assert {event.task for event in heard} == {first}


async def test_an_engine_that_was_not_entered_says_so(tmp_path: Path) -> None:
    engine = Engine()
    for use in (
        lambda: engine.describe("t"),
        lambda: engine.modify("t", Subscription()),
        lambda: engine.delete("t"),
        lambda: engine.streams("t"),
        lambda: engine.connector("whip"),
        engine.metrics,
        engine.resend,
    ):
        with pytest.raises(RuntimeError, match="engine: not entered; use `async with"):
            use()
    for wait in (engine.create(live(tmp_path)), engine.finished("t")):
        with pytest.raises(RuntimeError, match="engine: not entered; use `async with"):
            await wait
    await engine.close()


async def test_an_engine_is_entered_once() -> None:
    async with Engine() as engine:
        with pytest.raises(RuntimeError, match="entered before"):
            await engine.__aenter__()
    with pytest.raises(RuntimeError, match="entered before"):
        await engine.__aenter__()


@pytest.mark.parametrize("user", ["a b", "", ".", "..", "a/b", "a" * 65, "ä"])
async def test_a_robot_that_no_room_would_take(tmp_path: Path, user: str) -> None:
    async with Engine() as engine:
        with pytest.raises(BadInput, match=r"user: got .*; allowed: 1 to 64 of A-Z"):
            await engine.create(live(tmp_path, user=user))
