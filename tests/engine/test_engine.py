"""The engine as an embedder uses it: create, modify, describe, delete, events; on a replayed room.

Tests with real publishers are in tests/real.
"""

import asyncio
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
    TrackEnded,
    TrackStarted,
)
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.settings import SpoolSettings
from slicer.engine.events import RobotLeft
from slicer.engine.settings import EngineSettings
from slicer.rooms import CONNECTORS
from slicer.slicing import facts
from slicer.slicing.facts import (
    AnchorJoined,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import TrackKey
from tests.harness.media.slices import decode_ogg
from tests.harness.rooms.replay import talk
from tests.harness.rooms.scripted import CONNECTOR, ScriptedConnector

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
    async with Engine(spooling(tmp_path)) as engine:
        task = await engine.create(spec_of(tmp_path))
        assert (await engine.finished(task)).stored == 3
    assert "no spool" in caplog.text


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


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTORS, "scripted", CONNECTOR)


def in_scripted_room(tmp_path: Path, name: str, max_idle: int | None = None) -> TaskSpec:
    params = SliceParams(AudioSpec(2), None, max_idle=max_idle)
    return TaskSpec(f"scripted://{name}", (tmp_path / "out").as_uri(), params)


ADA = (AnchorJoined("ada"), TrackPublished("ada", Kind.AUDIO))


async def test_a_task_comes_back_with_its_room(tmp_path: Path, scripted: None) -> None:
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(in_scripted_room(tmp_path, "open"))
        room = ScriptedConnector.rooms["open"]
        room.tell(*ADA, RoomLost("ICE consent lost"))
        assert engine.describe(task).state is State.RECONNECTING
        assert engine.describe(task).anchors == ()
        room.tell(RoomEntered(), *ADA)
        assert engine.describe(task).state is State.RUNNING
        assert engine.describe(task).tracks == (("ada", Kind.AUDIO),)
        room.cut(TrackKey(task, "ada", Kind.AUDIO))
        engine.delete(task)
        finished = await engine.finished(task)
        await engine.close()
        told = [event async for event in events]
    assert (finished.reason, finished.stored, finished.lost) == (EndReason.STOPPED, 3, 0)
    states = [(one.state, one.reason) for one in told if isinstance(one, TaskState)]
    assert states == [
        (State.RUNNING, ""),
        (State.RECONNECTING, "ICE consent lost"),
        (State.RUNNING, ""),
        (State.ENDED, ""),
    ]
    ends = [one.reason for one in told if isinstance(one, TrackEnded)]
    assert ends == ["the room was lost: ICE consent lost", "the task ended: stopped"]
    assert len(list((tmp_path / "out").rglob("*.ogg"))) == 3
    assert room.left


@pytest.mark.parametrize(
    ("name", "told", "reason"),
    [
        ("closed", (), EndReason.ROOM_UNREACHABLE),
        ("closed", (RoomLost("refused"),), EndReason.ROOM_UNREACHABLE),
        ("open", (RoomLost("broke"),), EndReason.ROOM_UNREACHABLE),
        ("open", (RoomLost("broke"), RoomEntered()), EndReason.IDLE),
        ("closed", (RoomLost("refused"), RoomEntered()), EndReason.IDLE),
        ("closed", (Stopped(EndReason.KICKED),), EndReason.KICKED),
        ("open", (Stopped(EndReason.ROOM_GONE),), EndReason.ROOM_GONE),
        ("open", (RoomLost("broke"), Stopped(EndReason.ROOM_GONE)), EndReason.ROOM_GONE),
    ],
)
async def test_every_way_out_of_a_room_that_is_lost_or_shut(
    tmp_path: Path, scripted: None, name: str, told: tuple[Fact, ...], reason: EndReason
) -> None:
    async with Engine() as engine:
        task = await engine.create(in_scripted_room(tmp_path, name, max_idle=1))
        finished = asyncio.ensure_future(engine.finished(task))
        ScriptedConnector.rooms[name].tell(*told)
        assert (await finished).reason is reason


async def test_what_is_decided_against_an_anchor_is_told_with_its_reason(
    tmp_path: Path, scripted: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(in_scripted_room(tmp_path, "open"))
        room = ScriptedConnector.rooms["open"]
        refused = facts.TrackRefused("ada", Kind.VIDEO, "H.265 is not supported")
        room.tell(*ADA, refused, facts.AnchorLeft("ada", "nothing received for 15 s"))
        await engine.close()
        told = [event async for event in events]
    assert [(one.anchor, one.reason) for one in told if isinstance(one, slicer.TrackRefused)] == [
        ("ada", "H.265 is not supported")
    ]
    assert [(one.anchor, one.reason) for one in told if isinstance(one, slicer.AnchorLeft)] == [
        ("ada", "nothing received for 15 s")
    ]
    assert f"! task {task}: video of ada is refused: H.265 is not supported" in caplog.messages
    assert f"- task {task}: ada left: nothing received for 15 s" in caplog.messages


@pytest.mark.parametrize("gate", ["slow", "slow/enter"])
@pytest.mark.parametrize("way", ["delete", "replace", "close"])
async def test_a_task_that_ends_while_its_room_opens_does_not_stay_there(
    tmp_path: Path, scripted: None, monkeypatch: pytest.MonkeyPatch, gate: str, way: str
) -> None:
    opened = asyncio.Event()
    monkeypatch.setitem(ScriptedConnector.gates, gate, opened)
    monkeypatch.setattr(ScriptedConnector, "rooms", {})
    spec = replace(in_scripted_room(tmp_path, "slow"), task="t")
    async with Engine() as engine:
        created = asyncio.ensure_future(engine.create(spec))
        while "slow" not in ScriptedConnector.rooms:
            await asyncio.sleep(0.01)
        room = ScriptedConnector.rooms.pop("slow")
        second = closed = None
        if way == "delete":
            engine.delete("t")
        elif way == "replace":
            second = asyncio.ensure_future(engine.create(replace(spec, task="")))
        else:
            closed = asyncio.ensure_future(engine.close())
        await asyncio.sleep(0.05)
        opened.set()
        assert await created == "t"
        assert room.left
        assert (await engine.finished("t")).stored == 0
        for other in (second, closed):
            await (other or asyncio.sleep(0))


async def test_a_room_that_refuses_leaves_no_task_that_ends_later(
    tmp_path: Path, scripted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = asyncio.Event()
    monkeypatch.setitem(ScriptedConnector.gates, "full/enter", opened)
    async with Engine() as engine, engine.events() as events:
        spec = in_scripted_room(tmp_path, "full", max_idle=1)
        created = asyncio.ensure_future(engine.create(spec))
        await asyncio.sleep(0.05)
        ScriptedConnector.rooms["full"].refuses = True
        opened.set()
        with pytest.raises(slicer.RoomError, match="full"):
            await created
        await asyncio.sleep(1.2)
        await engine.close()
        assert [event async for event in events] == []
