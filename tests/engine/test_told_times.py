"""A name told before its report: what corrects it, where, and for how long."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from slicer import (
    AudioSpec,
    Engine,
    SliceParams,
    SliceSettled,
    SliceStored,
    TaskFinished,
    TaskSpec,
)
from slicer.engine.told_times import ToldTimes
from slicer.media.slice import SliceInfo
from slicer.rtp import rtcp
from slicer.rtp.parameters import OPUS, VP8, Kind
from slicer.slicing.outputs import AudioCut, PictureCut, Settled, TrackKey
from slicer.slicing.report_wait import MAX_UNSETTLED
from tests.harness.clock import EPOCH
from tests.harness.rooms.captures import rtp, rtpdump
from tests.harness.rooms.replay import OPUS_PACKET, OPUS_TYPE

TRACK = TrackKey("t", "ada", Kind.AUDIO)
LATER = EPOCH + timedelta(seconds=0.8)


def cut(start: int, provisional: bool = True, epoch: int = 0) -> AudioCut:
    return AudioCut(TRACK, OPUS, start, start + 1, (), 0.0, epoch, provisional)


def info(key: str, track: TrackKey = TRACK) -> SliceInfo:
    return SliceInfo(key, track, EPOCH, 1.0)


def settled(start: int, epoch: int = 0, track: TrackKey = TRACK) -> Settled:
    return Settled(track, epoch, start, 0.8)


def test_a_slice_on_its_way_is_told_with_the_corrected_time() -> None:
    times = ToldTimes()
    times.add(cut(7), info("a"))
    event = times.settle(settled(7), LATER, EPOCH, {"a"})
    assert event == SliceSettled("t", EPOCH, replace(info("a"), began=LATER), EPOCH, late=False)
    made = replace(info("a"), size=9)
    assert times.tell(made) == replace(made, began=LATER)
    times.end_slice("a")
    assert times.tell(made) == made


def test_a_slice_that_was_told_is_corrected_late() -> None:
    times = ToldTimes()
    for start, key in enumerate("ab"):
        times.add(cut(start), info(key))
        assert times.tell(info(key)) == info(key)
    times.end_slice("b")
    for start, key in enumerate("ab"):  # "a" waits for its confirmation
        event = times.settle(settled(start), LATER, EPOCH, {"a"})
        assert event is not None
        assert (event.slice.key, event.late) == (key, True)
    assert times.tell(info("b")) == info("b"), "nothing is kept of what is done with"


def test_epochs_tracks_and_pictures_are_told_apart() -> None:
    times, sight = ToldTimes(), TRACK._replace(kind=Kind.VIDEO)
    times.add(cut(7), info("a"))
    times.add(cut(7, epoch=1), info("b"))
    times.add(PictureCut(sight, VP8, 7, 5, (), 0.0, provisional=True), info("c", sight))
    found = [
        times.settle(one, LATER, EPOCH, set())
        for one in (settled(7, 1), settled(7, track=sight), settled(7))
    ]
    assert [one and one.slice.key for one in found] == ["b", "c", "a"]


def test_what_nothing_corrects_is_not_kept() -> None:
    times = ToldTimes()
    times.add(cut(1, provisional=False), info("sure"))
    times.add(cut(2), info("ended"))
    times.end_track(TRACK)
    times.add(cut(3), info("oldest"))
    for number in range(MAX_UNSETTLED):
        times.add(cut(10 + number), info(str(number)))
    found = [times.settle(settled(start), LATER, EPOCH, set()) for start in (1, 2, 3, 3, 10)]
    assert [one and one.slice.key for one in found] == [None, None, None, None, "0"]


def stalled(path: Path) -> str:
    """A capture of 12 s, with reports, of a sender whose media clock stands still for 0.8 s."""
    began, stall = 1_736_174_000.0, 6.5
    packets = list[tuple[float, bytes]]()
    for index in range(600):
        at = index / 50 + (0.8 if index / 50 >= stall else 0.0)
        if index % 150 == 1:  # every 3 s
            ntp = int((at + began + 2_208_988_800) * 2**32)
            report = rtcp.SenderReport(1, ntp, index * 960, index, index * 61)
            packets.append((at, rtcp.build([report])))
        packets.append((at, rtp(OPUS_TYPE, index, index * 960, OPUS_PACKET, 1)))
    path.write_bytes(rtpdump(*packets, began=began))
    return f"replay://{path}?speed=max&audio={OPUS_TYPE}:opus"


@pytest.mark.parametrize("wait", [0.0, 4.0])
async def test_a_stall_is_put_right_in_events_and_manifest(tmp_path: Path, wait: float) -> None:
    """As a replay gives it: with no wait the names are told at once, and wrong by 0.8 s."""
    params = SliceParams(AudioSpec(1, report_wait=wait), None)
    store = tmp_path / "out"
    spec = TaskSpec(stalled(tmp_path / "ada.rtpdump"), store.as_uri(), params, manifest=True)
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(spec)
        told = []
        async for event in events:
            told.append(event)
            if isinstance(event, TaskFinished):
                break
    corrected = {one.slice.key: one.slice.began for one in told if isinstance(one, SliceSettled)}
    assert any(
        abs((one.slice.began - one.told).total_seconds() - 0.8) < 0.01
        for one in told
        if isinstance(one, SliceSettled)
    ) == (wait == 0.0)
    stored = {one.slice.key: one.slice.began for one in told if isinstance(one, SliceStored)}
    told_last = stored | {key: corrected[key] for key in stored if key in corrected}
    begun = [told_last[key] for key in sorted(told_last)]
    places = [(one - begun[0]).total_seconds() for one in begun[:-1]]  # the last has no report
    truth = [number + (0.8 if number > 6.5 else 0.0) for number in range(len(places))]
    assert places == pytest.approx(truth, abs=0.01)
    entries = json.loads((store / task / "manifest.json").read_bytes())["slices"]
    assert {one["key"]: one["began"] for one in entries} == {
        key: began.isoformat(timespec="milliseconds") for key, began in told_last.items()
    }
    late = {one.slice.key for one in told if isinstance(one, SliceSettled) and one.late}
    assert all(stored[key] == corrected[key] for key in corrected.keys() - late)
