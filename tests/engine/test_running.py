"""A task from its creation to its last slice, with an outbox that does what it is told."""

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from slicer.delivery.delivery import Delivery
from slicer.delivery.judging import Judge, Unjudged
from slicer.engine import running as module
from slicer.engine.cut_rate import BURST, WORDS
from slicer.engine.events import (
    AnchorTrouble,
    PicturesMissing,
    SliceLost,
    SliceSettled,
    SliceStored,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackStarted,
)
from slicer.engine.running import LATE, RECORDED, RunningTask
from slicer.errors import StorageUnavailable
from slicer.media import slice as media
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.media.thumbnail import SIZE
from slicer.moderation import Segment, Verdict
from slicer.rtp.parameters import OPUS, VP8, Kind
from slicer.slicing import outputs
from slicer.slicing.audio import PREROLL
from slicer.slicing.facts import AnchorLeft, TrackPublished
from slicer.slicing.outputs import (
    AudioCut,
    AudioPacket,
    EndReason,
    GroupFrames,
    Missing,
    PictureCut,
    PictureMissing,
    Settled,
    State,
    TrackKey,
)
from slicer.storage import Receipt
from tests.harness.clock import settle
from tests.harness.delivery.spooling import info_of
from tests.harness.engine.running_task import TRACK, cut, running
from tests.harness.media.encoder import encode_pictures, read_image
from tests.harness.media.picture import Painter, read_frame_number
from tests.harness.moderation.stage import Stage


def stored(task: RunningTask, delivery: Delivery) -> Awaitable[None] | None:
    assert delivery.make is not None
    file = delivery.make()
    assert isinstance(file.info, SliceInfo)
    receipt = Receipt(file.info.key, file.info.size, "etag")
    return task.on_stored(file.info, file.data, receipt, "memory:")


async def test_an_anchor_that_is_cut_too_often_costs_itself_alone() -> None:
    task, box, _, told = running()
    task.driver.deliver(TrackPublished("eve", Kind.AUDIO))
    for second in range(300):
        task.driver.deliver(cut(began=1000.0 + second))
    task.driver.deliver(cut(TrackKey("t", "eve", Kind.AUDIO)))
    left_out = 300 - int(BURST)
    assert [one.info.key.split("/")[1] for one in box.deliveries] == ["ada"] * int(BURST) + ["eve"]
    (trouble,) = [one for one in told if isinstance(one, AnchorTrouble)]
    assert (trouble.anchor, trouble.reason, trouble.count) == ("ada", WORDS, 1)
    task.driver.deliver(AnchorLeft("ada", "gone"))
    trouble = [one for one in told if isinstance(one, AnchorTrouble)][-1]
    left_out += 1  # its last one, as it leaves
    assert trouble.count == left_out - 1
    assert (task.lost, task.pending) == (left_out, int(BURST) + 1)
    assert not [one for one in told if isinstance(one, SliceLost)]


async def test_a_slice_from_cut_to_stored() -> None:
    task, box, _, told = running()
    task.driver.deliver(cut())
    assert task.pending == 1
    assert box.deliveries[0].info.key == "t/ada/audios/1_lobby_ada_20250106143143.ogg"
    assert box.deliveries[0].light
    stored(task, box.deliveries[0])
    event = told[-1]
    assert isinstance(event, SliceStored)
    assert (event.slice.track, event.slice.key) == (TRACK, box.deliveries[0].info.key)
    assert (event.slice.seconds, event.etag, event.destination) == (0.02, "etag", "memory:")
    assert (task.stored, task.lost, task.pending) == (1, 0, 0)


@pytest.mark.parametrize(("preroll", "skipped"), [(PREROLL, 7_680), (0.02, 960), (0, 0)])
async def test_audio_files_carry_the_preroll_that_is_set(preroll: float, skipped: int) -> None:
    task, box, _, _ = running()
    task.preroll = preroll
    packets = tuple(AudioPacket(at, 960, b"\xf8\xff\xfe") for at in range(-7_680, 48_000, 960))
    task.on_cut(AudioCut(TRACK, OPUS, 0, 48_000, packets, 1000.0))
    make = box.deliveries[-1].make
    assert make is not None
    head = make().data
    assert int.from_bytes(head[head.index(b"OpusHead") + 10 :][:2], "little") == skipped


async def test_two_cuts_of_one_second_have_two_names() -> None:
    task, box, _, _ = running()
    task.driver.deliver(cut())
    task.driver.deliver(cut(began=1000.5))
    assert [each.info.key[-8:] for each in box.deliveries] == ["3143.ogg", "43_1.ogg"]


async def test_the_last_event_comes_after_the_last_slice_and_the_parting() -> None:
    task, box, lobby, told = running()
    task.driver.deliver(cut())
    task.stop(EndReason.STOPPED)
    await settle()
    assert lobby.left.is_set()
    assert not task.finished.done()
    for each in box.deliveries:
        stored(task, each)
    finished = task.finished.result()
    assert (finished.reason, finished.stored, finished.lost) == (EndReason.STOPPED, 2, 0)
    assert told[-1] == finished
    kinds = [type(event) for event in told]
    assert kinds[:2] == [TaskState, TrackStarted]
    assert kinds.index(TrackEnded) < kinds.index(TaskFinished)
    assert [event.state for event in told if isinstance(event, TaskState)][-1] is State.ENDED


async def test_what_the_outbox_refuses_is_lost_and_said_so() -> None:
    task, box, _, told = running()
    box.full = True
    task.driver.deliver(cut())
    lost = told[-1]
    assert isinstance(lost, SliceLost)
    assert "full" in lost.reason
    task.stop(EndReason.IDLE)
    await settle()
    assert task.finished.result().lost == 2


async def test_a_store_that_was_found_failing_is_told_and_loses_nothing() -> None:
    task, box, _, told = running()
    task.driver.deliver(cut())
    error = StorageUnavailable("", "no connection", "it is tried again")
    task.on_store_trouble(error)
    assert isinstance(told[-1], TaskTrouble)
    assert "no connection" in told[-1].reason
    assert box.troubles == [("t", error)]
    assert task.pending == 1


async def test_stopping_twice_is_stopping_once() -> None:
    task, box, _, told = running()
    task.stop(EndReason.STOPPED)
    task.stop(EndReason.REPLACED)
    await settle()
    stored(task, box.deliveries[0])
    assert task.finished.result().reason is EndReason.STOPPED
    assert sum(isinstance(event, TaskFinished) for event in told) == 1


def picture(began: float) -> PictureCut:
    return PictureCut(TrackKey("t", "ada", Kind.VIDEO), VP8, 0, 0, (b"frame",), began)


async def test_no_picture_of_a_capture_is_late() -> None:
    """One without a clock is placed now, and played in less time than it took."""
    task, box, _, _ = running(room="replay:///talk.rtpdump?speed=max")
    task.driver.deliver(picture(1000.0 - LATE))
    assert [each.due for each in box.deliveries] == [inf]


async def test_a_live_picture_is_due_a_while_after_it_was_taken() -> None:
    task, box, _, _ = running()
    now = 1000.0
    for one in (picture(now - 0.2), picture(now - RECORDED - 1), cut(began=now)):
        task.driver.deliver(one)
    assert [each.due for each in box.deliveries] == [now - 0.2 + LATE, inf, inf]
    assert task.late == 0
    task.on_late()
    assert task.late == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_task_finishes_after_who_keeps_events_has_the_last_one(fails: bool) -> None:
    answer = asyncio.get_running_loop().create_future()

    async def confirm(_event: SliceStored) -> None:
        await answer

    task, box, _, told = running(confirm)
    task.stop(EndReason.STOPPED)
    await settle()
    waits = stored(task, box.deliveries[0])
    assert waits is not None
    waiting = asyncio.ensure_future(waits)
    await settle()
    assert isinstance(told[-1], SliceStored)
    assert not task.finished.done()
    if fails:
        answer.set_exception(OSError("the queue is full"))
    else:
        answer.set_result(None)
    await asyncio.wait([waiting])
    finished = task.finished.result()
    counts = (finished.stored, finished.kept, finished.lost)
    assert counts == ((0, 1, 0) if fails else (1, 0, 0)), "once, and the next start tells it again"


async def test_a_slice_of_an_earlier_process_is_waited_for_and_takes_nobodys_place() -> None:
    task, box, _, told = running()
    early = info_of("t/early.ogg", task="t")
    unknown = info_of("t/unknown.ogg", task="t")
    task.adopt(early.key)
    task.stop(EndReason.STOPPED)
    await settle()
    assert task.pending == 2
    task.on_stored(unknown, b"", Receipt(unknown.key, 0, "etag"), "memory:")
    task.on_stored(early, b"", Receipt(early.key, 0, "etag"), "memory:")
    assert not task.finished.done(), "its own slice is still on its way"
    stored(task, box.deliveries[0])
    assert task.finished.done()
    assert isinstance(told[-1], TaskFinished)


@pytest.mark.parametrize("kept", [False, True])
async def test_the_manifest_goes_last_and_counts_as_no_slice(kept: bool) -> None:
    task, box, _, told = running(manifest=True)
    task.stop(EndReason.STOPPED)
    await settle()
    stored(task, box.deliveries[0])
    info = box.deliveries[1].info
    assert isinstance(info, ManifestInfo)
    assert (info.key, info.task) == ("t/manifest.json", "t")
    assert not task.finished.done()
    if kept:
        task.on_manifest_settled(info.key)
        assert not any(isinstance(event, TaskTrouble) for event in told)
    else:
        task.on_manifest_lost(info.key, "503")
        assert isinstance(told[-2], TaskTrouble)
        assert told[-2].reason == "no manifest: 503"
    finished = task.finished.result()
    assert (finished.stored, finished.lost, finished.kept) == (1, 0, 0)


@pytest.mark.parametrize("repeats", [False, True])
async def test_a_picture_can_be_compared_before_it_is_encoded_where_verdicts_are_repeated(
    repeats: bool,
) -> None:
    task, box, _, _ = running()
    task.judge = Judge(Stage(repeat_distance=4 if repeats else 0).judging)
    (frame,) = encode_pictures("vp8", [Painter().draw(1)])
    track = TrackKey("t", "ada", Kind.VIDEO)
    task.driver.deliver(PictureCut(track, VP8, 0, 0, (frame,), 1000.0))
    task.driver.deliver(cut())
    picture, audio = box.deliveries
    assert audio.make_unless is None
    if not repeats:
        assert picture.make_unless is None
        return
    assert picture.make_unless is not None
    assert picture.make is not None
    small = picture.make_unless(lambda small: len(small) == SIZE)
    assert small == picture.make().thumbnail
    assert picture.make_unless(lambda _small: False) == picture.make()


HEARD = Verdict(text="go away", transcript=(Segment(0.5, 1.0, "go away"),))


@pytest.mark.parametrize("full", [False, True])
async def test_a_transcript_goes_with_its_slice(full: bool) -> None:
    task, box, _, told = running()
    task.transcripts, box.full = True, full
    slice = info_of("t/ada/a.ogg", task="t")
    for outcome, keep in (
        (HEARD, False),
        (Unjudged("too loud"), True),
        (replace(HEARD, transcript=()), True),
        (HEARD, True),
    ):
        confirmed = task.on_judged(slice, outcome, keep)
        assert confirmed is not None
        await confirmed
    assert (task.judged, task.unjudged) == (3, 1)
    key = "t/ada/a.json"
    if full:
        (trouble,) = [event for event in told if isinstance(event, TaskTrouble)]
        assert trouble.reason == f"no {key}: the outbox takes nothing more"
    else:
        (delivery,) = box.deliveries
        assert delivery.info.key == key
        assert key in task.pending_keys
        task.on_manifest_settled(key)
    assert not task.pending
    task.transcripts = False
    confirmed = task.on_judged(slice, HEARD, True)
    assert confirmed is not None
    await confirmed
    assert len(box.deliveries) == (not full)


async def test_a_report_that_comes_late_corrects_what_is_told_from_there_on() -> None:
    task, box, _, told = running(manifest=True)
    for began in (1000.0, 1001.0):
        task.driver.deliver(replace(cut(began=began), start=round(began), provisional=True))
    stored(task, box.deliveries[0])
    for start in (1000, 1001):
        task.driver.deliver(Settled(TRACK, 0, start, start + 0.8))
    settled = [event for event in told if isinstance(event, SliceSettled)]
    assert [event.late for event in settled] == [True, False]
    assert [(event.slice.began - event.told).total_seconds() for event in settled] == [0.8, 0.8]
    stored(task, box.deliveries[1])
    assert isinstance(told[-1], SliceStored)
    assert told[-1].slice.began == settled[1].slice.began
    assert told[-1].slice.key == box.deliveries[1].info.key
    task.stop(EndReason.STOPPED)
    await settle()
    stored(task, box.deliveries[2])
    make = box.deliveries[3].make
    assert make is not None
    entries = {one["key"]: one.get("began") for one in json.loads(make().data)["slices"]}
    for event in settled:
        assert entries[event.slice.key] == event.slice.began.isoformat(timespec="milliseconds")


async def test_what_is_settled_of_a_track_that_ended_is_nobodys() -> None:
    task, _, _, told = running()
    before = len(told)
    task.driver.deliver(Settled(TRACK, 0, 7, 0.8))
    assert len(told) == before


async def test_lines_of_the_log_say_what_they_are_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "slicer.engine.running")
    task, box, _, _ = running()
    task.on_output(outputs.TrackRefused("bo", Kind.VIDEO, "it is encrypted"))
    task.on_output(outputs.AnchorDropped("eve", "one too many"))
    task.stop(EndReason.STOPPED)
    await settle()
    for each in box.deliveries:
        stored(task, each)
    assert task.finished.done()
    told = {
        one.getMessage(): (one.levelname, *(one.__dict__[name] for name in ("task", "anchor")))
        for one in caplog.records
    }
    assert told == {
        "- task t is running": ("INFO", "t", ""),
        "+ task t cuts audio of ada": ("DEBUG", "t", "ada"),
        "! task t: video of bo is refused: it is encrypted": ("WARNING", "t", "bo"),
        "! task t: eve is dropped: one too many": ("WARNING", "t", "eve"),
        "- task t: audio of ada: the task ended: stopped": ("DEBUG", "t", "ada"),
        "- task t is ended": ("DEBUG", "t", ""),
        "- task t has finished (stopped): 1 slice stored, 0 lost": ("INFO", "t", ""),
    }


async def test_a_task_that_goes_on_has_not_finished(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "slicer.engine.running")
    task, box, _, _ = running()
    task.stop(EndReason.STOPPED, resumed=True)
    await settle()
    for each in box.deliveries:
        assert isinstance(each.info, SliceInfo)
        task.on_kept(each.info)
    assert task.finished.done()
    last = caplog.records[-1].getMessage()
    said = "- task t goes on at the next start: 0 slices stored, 0 lost, 1 kept for the next start"
    assert last == said


async def test_a_task_that_ended_before_does_not_go_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "slicer.engine.running")
    task, box, _, _ = running()
    task.stop(EndReason.STOPPED)
    task.stop(EndReason.STOPPED, resumed=True)
    await settle()
    for each in box.deliveries:
        stored(task, each)
    assert "has finished (stopped)" in caplog.records[-1].getMessage()


async def test_pictures_that_cannot_be_had_are_told(caplog: pytest.LogCaptureFixture) -> None:
    task, _, _, told = running()
    track = TrackKey("t", "ada", Kind.VIDEO)
    task.driver.deliver(PictureMissing(track, Missing.PARAMETER_SETS))
    event = told[-1]
    assert isinstance(event, PicturesMissing)
    assert (event.anchor, event.reason) == ("ada", "its keyframes come without parameter sets")
    assert "no pictures of ada: its keyframes come without parameter sets" in caplog.text


async def test_a_picture_of_a_group_that_goes_on_is_made_before_it_is_offered() -> None:
    task, box, _, _ = running()
    track = TrackKey("t", "ada", Kind.VIDEO)
    units = encode_pictures("vp8", [Painter().draw(number) for number in range(4)])
    first = PictureCut(track, VP8, 0, 0, (units[0],), 1000.0, continues=True)
    task.driver.deliver(first)
    task.driver.deliver(GroupFrames(track, VP8, 2, tuple(units[1:3]), 0, 0, 1))
    third = PictureCut(track, VP8, 3, 3, (units[3],), 1005.0, first=3, continues=True)
    task.driver.deliver(third)
    assert box.deliveries == []
    assert task.pending == 2
    async with asyncio.timeout(10):
        while len(box.deliveries) < 2:
            await asyncio.sleep(0)
    made = [delivery.make() for delivery in box.deliveries if delivery.make is not None]
    assert [read_frame_number(read_image(file.data)) for file in made] == [0, 3]
    assert [delivery.size for delivery in box.deliveries] == [len(file.data) for file in made]


async def test_a_picture_that_there_is_no_room_for_is_lost_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the next one of its group is whole: its frames are decoded all the same."""
    made: list[str] = []

    def make(cut: PictureCut, info: SliceInfo, *about: Any, **more: Any) -> File:
        made.append(info.key)
        return media.make(cut, info, *about, **more)

    monkeypatch.setattr(module, "make", make)
    task, box, _, told = running()
    track = TrackKey("t", "ada", Kind.VIDEO)
    units = encode_pictures("vp8", [Painter().draw(number) for number in range(3)])
    box.full = True
    for number in (0, 1):
        cut = PictureCut(
            track, VP8, number, number, (units[number],), 1000.0, first=number, continues=True
        )
        task.driver.deliver(cut)
    lost = [event.reason for event in told if isinstance(event, SliceLost)]
    assert lost == ["the outbox is full"] * 2
    assert task.pending == 0
    box.full = False
    task.driver.deliver(PictureCut(track, VP8, 2, 2, (units[2],), 1010.0, first=2, continues=True))
    async with asyncio.timeout(10):
        while not box.deliveries:
            await asyncio.sleep(0)
    (delivery,) = box.deliveries
    assert delivery.make is not None
    assert made == [delivery.info.key]
    assert read_frame_number(read_image(delivery.make().data)) == 2
