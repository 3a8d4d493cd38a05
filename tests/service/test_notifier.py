"""What is told of a task: each event its message, in order, at least once and kept once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.engine.engine import Engine
from slicer.engine.events import (
    AnchorDropped,
    AnchorTrouble,
    AnchorWaits,
    Event,
    FactsDiscarded,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackRefused,
    TrackStarted,
)
from slicer.engine.spec import TaskSpec
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.service.encryption import Encryption
from slicer.service.notifier import PATIENCE, Notifier
from slicer.service.registry import Record, Registry
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.slicing.outputs import EndReason, State, TrackKey
from slicer.slicing.spec import AudioSpec, SliceParams
from slicer.webhooks.queue import Webhook
from tests.harness.clock import ManualClock, settle
from tests.harness.moderation.scripted import BLOCK, PASS
from tests.harness.rooms.replay import talk
from tests.harness.service.orders import KEYS, live_order, moderation_order, slice_order

AT = datetime(2025, 1, 6, tzinfo=UTC)
RECORD = Record("t", 200806, slice_order(), 1000.0, 5000.0)
TRACK = TrackKey("t", "ada", Kind.AUDIO)
STORED = SliceStored("t", AT, SliceInfo("t/a.ogg", TRACK, AT, 15.0, 9), "etag")
EVENTS: list[Event] = [
    TaskState("t", AT, State.RUNNING),
    TrackStarted("t", AT, "ada", Kind.AUDIO),
    STORED,
    TaskTrouble("t", AT, "refused"),
    TaskTrouble("t", AT, "refused"),
    SliceLost("t", AT, SliceInfo("t/c.ogg", TRACK, AT), "why"),
    AnchorWaits("t", AT, "zoe"),
    TaskState("t", AT, State.RECONNECTING),
    RobotLeft("t", AT, EndReason.REPLACED),
    TaskFinished("t", AT, EndReason.REPLACED, 2, 1),
]


@dataclass
class Desk:
    registry: Registry
    notifier: Notifier
    told: dict[str, Webhook]

    @property
    def events(self) -> list[int]:
        return [message.event for message in self.told.values()]

    def payload(self, number: int) -> object:
        return json.loads(list(self.told.values())[number].payload)["Payload"]


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    registry = await SqliteRegistry.open(tmp_path, Encryption([Fernet.generate_key().decode()]))
    await registry.add(RECORD)
    told: dict[str, Webhook] = {}

    async def tell(message: Webhook) -> None:
        told.setdefault(message.id, message)

    yield Desk(registry, Notifier(registry, tell, ManualClock()), told)
    await registry.close()


async def test_a_tasks_life(desk: Desk) -> None:
    await desk.notifier.begin(RECORD)
    for event in EVENTS:
        await desk.notifier.note(RECORD, event)
    assert desk.events == [1001, 1006, 1006, 1006, 1006, 1006, 1002, 1005]
    assert desk.payload(6) == {"LeaveCode": 101}
    assert desk.payload(7) == {"Status": 1}
    assert desk.payload(3) == {"Code": 2, "Message": "a slice of ada is lost: t/c.ogg: why"}


@pytest.mark.parametrize(
    ("event", "code", "text"),
    [
        (TaskState("t", AT, State.RECONNECTING, "ICE failed"), 4, "the room was lost: ICE failed;"),
        (AnchorDropped("t", AT, "zoe", "full"), 4, "zoe is dropped: full"),
        (StoreRecovered("t", AT, "cos://b/"), 6, "cos://b/ takes slices again"),
        (FactsDiscarded("t", AT, 3), 4, "3 facts of the room discarded"),
        (PicturesMissing("t", AT, "zoe", "late"), 7, "there are no pictures of zoe: late"),
        (AnchorTrouble("t", AT, "zoe", "packets that", 7), 4, "zoe: packets that (7)"),
        (TrackRefused("t", AT, "zoe", Kind.VIDEO, "H.265"), 5, "video of zoe is refused: H.265"),
    ],
)
async def test_what_is_decided_against_an_anchor(
    desk: Desk, event: Event, code: int, text: str
) -> None:
    await desk.notifier.note(RECORD, event)
    payload = desk.payload(0)
    assert isinstance(payload, dict)
    assert payload["Code"] == code
    assert payload["Message"].startswith(text)


@pytest.mark.parametrize(
    ("milliseconds", "late", "told"),
    [(800, True, True), (-11, True, True), (10, True, False), (800, False, False)],
)
async def test_a_start_time_that_was_told_and_is_wrong(
    desk: Desk, milliseconds: int, late: bool, told: bool
) -> None:
    """Where the callback is yet to come it has the right one; the promise is 10 ms."""
    began = AT + timedelta(milliseconds=milliseconds)
    slice = replace(STORED.slice, began=began)
    await desk.notifier.note(RECORD, SliceSettled("t", AT, slice, AT, late))
    assert desk.events == [1006] * told
    if told:
        before = round(AT.timestamp() * 1000)
        times = f"{before + milliseconds}, not {before}"
        text = f"StartTimeMs of t/a.ogg is {times}: its sender's report came late"
        assert desk.payload(0) == {"Code": 12, "Message": text}


async def test_what_is_told_again_is_kept_once(desk: Desk) -> None:
    for _ in range(2):
        await desk.notifier.begin(RECORD)
        await desk.notifier.confirm(STORED)
        await desk.notifier.note(RECORD, EVENTS[-2])
        await desk.notifier.note(RECORD, EVENTS[-1])
    assert desk.events == [1001, 1003, 1004, 1002, 1005]


@pytest.mark.parametrize(("told", "events"), [(1, [1003, 1004]), (3, [1004])])
async def test_what_the_worker_before_has_told_is_not_told_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, told: int, events: list[int]
) -> None:
    monkeypatch.setattr(desk.registry, "told", lambda _: told)
    await desk.notifier.begin(RECORD)
    await desk.notifier.confirm(STORED)
    assert desk.events == events
    later = AsyncMock()
    await desk.registry.end("t", 1.0)  # what its worker had cut is delivered once it is back
    await Notifier(desk.registry, later, ManualClock()).confirm(STORED)
    assert [call.args[0].event for call in later.await_args_list] == events


async def test_a_stored_slice_is_told_by_one_road(desk: Desk) -> None:
    """Its event comes by the stream as well, and adds nothing."""
    added: list[int] = []

    async def tell(message: Webhook) -> None:
        added.append(message.event)

    notifier = Notifier(desk.registry, tell, ManualClock())
    for number in range(10):
        slice = replace(STORED.slice, key=f"t/{number}.ogg")
        event = replace(STORED, slice=slice)
        await notifier.note(RECORD, event)
        await notifier.confirm(event)
    assert Counter(added) == {1003: 1, 1004: 10}


async def test_no_file_is_told_before_the_first_upload_although_the_disk_is_full(
    desk: Desk,
) -> None:
    clock, told, full = ManualClock(), list[int](), [OSError("disk full")]

    async def tell(message: Webhook) -> None:
        await asyncio.sleep(0)
        if full and message.event == 1003:
            raise full.pop()
        told.append(message.event)

    notifier = Notifier(desk.registry, tell, clock)
    others = [replace(STORED, slice=replace(STORED.slice, key=f"t/{n}.ogg")) for n in range(3)]
    confirming = asyncio.gather(*map(notifier.confirm, others))
    await settle()
    assert told == []
    clock.advance(PATIENCE)
    await confirming
    assert told == [1003, 1004, 1004, 1004]


async def test_ten_slices_of_an_engine_are_ten_messages_and_the_last_one_follows(
    tmp_path: Path, desk: Desk
) -> None:
    added: list[int] = []

    async def tell(message: Webhook) -> None:
        await asyncio.sleep(0.01)  # a queue on a disk takes its time
        added.append(message.event)

    notifier = Notifier(desk.registry, tell, ManualClock())
    room = talk(tmp_path / "ada.rtpdump", 10.0)
    params = SliceParams(AudioSpec(1), None)
    spec = TaskSpec(room, (tmp_path / "out").as_uri(), params, task="t")
    async with Engine(confirm=notifier.confirm) as engine, engine.events("t") as events:
        await engine.create(spec)
        async for event in events:
            await notifier.note(RECORD, event)
    assert Counter(added)[1004] == 10
    assert added[-1] == 1005
    assert Counter(added)[1005] == 1


async def test_moderation_tells_no_files(desk: Desk) -> None:
    record = replace(RECORD, task="m", order=moderation_order())
    await desk.registry.add(record)
    await desk.notifier.begin(record)
    for event in EVENTS:
        await desk.notifier.note(record, event)
    await desk.notifier.confirm(replace(STORED, task="m"))
    assert set(desk.events) == {1101, 1102, 1105, 1106}


async def test_a_confirmation_waits_for_the_first_message(desk: Desk) -> None:
    desk.notifier.expect("t")
    confirming = asyncio.ensure_future(desk.notifier.confirm(STORED))
    await settle()
    assert not confirming.done()
    await desk.notifier.begin(RECORD)
    await confirming
    assert desk.events == [1001, 1003, 1004]


async def test_a_file_s_url_etag_and_checksum_are_told_where_they_are_asked_for(desk: Desk) -> None:
    async def tell(message: Webhook) -> None:
        desk.told.setdefault(message.id, message)

    await desk.notifier.confirm(STORED)
    plain = desk.payload(1)
    assert isinstance(plain, dict)
    assert not {"Url", "ETag", "Sha256"} & plain.keys()
    desk.told.clear()
    notifier = Notifier(desk.registry, tell, ManualClock(), etags=True)
    await notifier.confirm(
        replace(STORED, etag="abc", url="https://b.example/k?signed", sha256="e3")
    )
    told = {"Url": "https://b.example/k?signed", "ETag": "abc", "Sha256": "e3"}
    assert desk.payload(1) == plain | told


async def test_slices_of_an_earlier_process_are_told(desk: Desk) -> None:
    await desk.notifier.confirm(STORED)
    await desk.notifier.confirm(replace(STORED, task="nobody"))
    assert desk.events == [1003, 1004]
    await desk.registry.end("t", 1.0)
    await desk.notifier.confirm(replace(STORED, slice=replace(STORED.slice, key="t/late.ogg")))
    assert desk.events == [1003, 1004, 1004]


async def test_a_task_that_never_began(desk: Desk) -> None:
    desk.notifier.expect("nobody")
    confirming = asyncio.ensure_future(desk.notifier.confirm(replace(STORED, task="nobody")))
    await settle()
    desk.notifier.over("nobody")
    await confirming
    assert desk.events == []


async def test_keys_are_found_while_a_task_has_them(desk: Desk) -> None:
    assert desk.notifier.lookup("s3://slices", "t") == KEYS
    assert desk.notifier.lookup("s3://slices", "nobody") is None
    await desk.registry.end("t", 1.0)
    assert desk.notifier.lookup("s3://slices", "t") is None


async def test_a_full_disk_delays_and_loses_nothing(desk: Desk) -> None:
    clock = ManualClock()
    failures, told = [OSError("disk full")] * 2, list[int]()

    async def tell(message: Webhook) -> None:
        if failures:
            raise failures.pop()
        told.append(message.event)

    notifier = Notifier(desk.registry, tell, clock)
    beginning = asyncio.ensure_future(notifier.begin(RECORD))
    for _ in range(2):
        await settle()
        clock.advance(PATIENCE - 0.1)
        await settle()
        assert told == []
        clock.advance(0.1)
    await beginning
    await notifier.note(RECORD, EVENTS[-1])
    assert told == [1001, 1005]


@pytest.mark.parametrize("hits_only", [False, True])
async def test_verdicts_and_those_who_have_none(desk: Desk, hits_only: bool) -> None:
    ordered = moderation_order()
    assert ordered.moderation is not None
    moderation = replace(ordered.moderation, hits_only=hits_only)
    record = replace(RECORD, task="m", order=replace(ordered, moderation=moderation))
    await desk.registry.add(record)
    await desk.notifier.begin(record)
    slices = [SliceInfo(f"m/{n}.png", TrackKey("m", "ada", Kind.VIDEO), AT, 0.0, 9) for n in "abcd"]
    for event in (
        SliceJudged("m", AT, slices[0], PASS, False),
        SliceJudged("m", AT, slices[1], BLOCK, False),
        SliceUnjudged("m", AT, slices[2], "too large", False),
        SliceUnjudged("m", AT, slices[3], "left out", False, by_choice=True),
    ):
        await desk.notifier.confirm_verdict(event)
    if hits_only:
        assert desk.events == [1101, 1103, 1104, 1106]
    else:
        assert desk.events == [1101, 1103, 1104, 1104, 1106, 1106]
        left = desk.payload(5)
        assert left == {"Code": 11, "Message": "a slice of ada is not judged: m/d.png: left out"}


async def test_a_stream_s_messages_echo_what_the_customer_gave(desk: Desk) -> None:
    record = replace(RECORD, task="s", order=live_order())
    await desk.registry.add(record)
    await desk.notifier.begin(record)
    (message,) = desk.told.values()
    info = json.loads(message.payload)
    assert (message.event, info["RoomId"], info["UserId"]) == (1101, 150, "live")
    assert info["DataId"] == "mine"
    assert info["SourceInfo"] == {"RoomId": "150", "RoomIdType": 1}
