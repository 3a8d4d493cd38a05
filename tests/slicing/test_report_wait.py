"""Names wait for their report: no longer than they may, not where none comes, and none is lost."""

import itertools

import pytest

from slicer.slicing.outputs import AudioCut, Cut, PictureCut
from slicer.slicing.report_wait import CORRECTED, MAX_UNSETTLED, MAX_WAITING
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import (
    AUDIO,
    AUDIO_TRACK,
    VIDEO,
    VIDEO_TRACK,
    Call,
    Network,
    Sender,
)
from tests.harness.rtp.parts import bundle_of

PATH = 0.02  # seconds from a capture to its arrival
TICK = 0.01
FRAME = 1 / 30


class Watched:
    """An anchor with audio (ssrc 1) and video (ssrc 2), each cut every second."""

    def __init__(self, wait: float, reports: float = 1.7) -> None:
        self.bundle = bundle_of("ann", [AUDIO, VIDEO])
        self.bundle.attach(AUDIO_TRACK, AudioSpec(1, wait), 0.0)
        self.bundle.attach(VIDEO_TRACK, VideoSpec(1, wait), 0.0)
        self.audio = Sender(AUDIO, ssrc=1, reports=reports)
        self.video = Sender(VIDEO, ssrc=2, every=FRAME, reports=reports)
        self.call = Call(self.bundle, [self.audio, self.video], Network(delay=PATH), tick=TICK)
        self.told: list[tuple[float, Cut]] = []

    def run(self, seconds: float) -> None:
        """Note when each cut comes."""
        for _ in range(round(seconds / TICK)):
            known = len(self.call.cuts)
            self.call.run(TICK)
            self.told += [(self.call.now, cut) for cut in self.call.cuts[known:]]

    def latencies(self, kind: type[Cut]) -> list[float]:
        """Seconds from when each cut was complete until it was told."""
        return [
            now - cut.began - (1.0 if isinstance(cut, AudioCut) else 0.0)
            for now, cut in self.told
            if isinstance(cut, kind)
        ]


def test_without_a_wait_a_cut_is_told_at_once() -> None:
    watched = Watched(0.0)
    watched.run(10.0)
    assert len(watched.told) >= 18
    assert max(watched.latencies(PictureCut)) < 0.2


def test_a_picture_waits_for_the_next_report_and_no_longer() -> None:
    watched = Watched(3.0)
    watched.run(10.0)
    pictures = watched.latencies(PictureCut)
    assert len(pictures) >= 8
    assert 0.3 < max(pictures) < 1.7 + 0.2  # the seconds between two reports
    assert watched.bundle.counters["wait_full"] == 0


def test_a_slice_whose_start_a_report_has_settled_does_not_wait() -> None:
    watched = Watched(3.0, reports=0.3)
    watched.run(10.0)
    assert max(watched.latencies(AudioCut)) < 0.1


def test_a_wait_ends_where_its_report_is_lost() -> None:
    watched = Watched(0.4, reports=5.0)
    watched.run(12.0)
    pictures = watched.latencies(PictureCut)
    assert len(pictures) >= 10
    assert max(pictures) == pytest.approx(0.4, abs=0.15)


def test_who_writes_no_reports_is_waited_for_once() -> None:
    watched = Watched(3.0, reports=0.0)
    watched.run(10.0)
    pictures = watched.latencies(PictureCut)
    assert len(pictures) == 10
    assert pictures[0] == pytest.approx(3.0, abs=0.15)
    assert max(pictures[4:]) < 0.15


def test_who_writes_reports_after_all_is_waited_for_again() -> None:
    watched = Watched(1.0, reports=0.0)
    watched.run(6.0)
    watched.audio.reports = watched.video.reports = 0.8
    before = len(watched.latencies(PictureCut))
    watched.run(6.0)
    assert max(watched.latencies(PictureCut)[before + 1 :]) > 0.3


def test_the_end_gives_all_that_wait_in_their_order() -> None:
    watched = Watched(3.0, reports=0.0)
    watched.run(2.5)
    assert watched.told == []
    cuts = watched.call.end()
    slices = [cut for cut in cuts if isinstance(cut, AudioCut)]
    assert [cut.end - cut.start for cut in slices[:2]] == [48_000, 48_000]
    assert all(one.end == two.start for one, two in itertools.pairwise(slices))
    assert len([cut for cut in cuts if isinstance(cut, PictureCut)]) == 3
    assert watched.bundle.flush(watched.call.now) == []


def test_who_is_cut_no_longer_gets_his_own() -> None:
    watched = Watched(3.0, reports=0.0)
    others = (AUDIO_TRACK._replace(task="other"), VIDEO_TRACK._replace(task="other"))
    watched.bundle.attach(others[0], AudioSpec(1, 3.0), 0.0)
    watched.bundle.attach(others[1], VideoSpec(1, 3.0), 0.0)
    watched.run(2.5)
    for track in (AUDIO_TRACK, VIDEO_TRACK):
        cuts = [
            cut
            for cut in watched.bundle.detach(track, watched.call.now)
            if isinstance(cut, AudioCut | PictureCut)
        ]
        assert {cut.track for cut in cuts} == {track}
        assert len(cuts) == 3
    watched.call.end()
    assert {cut.track for cut in watched.call.cuts} == set(others)


def test_an_anchor_that_goes_gives_what_waits() -> None:
    watched = Watched(3.0, reports=0.0)
    watched.run(2.5)
    outputs = watched.bundle.set_sections("ann", [], watched.call.now)
    cuts = [cut for cut in outputs if isinstance(cut, AudioCut | PictureCut)]
    assert len(cuts) == 6


def test_a_cut_of_an_epoch_that_is_over_does_not_wait() -> None:
    watched = Watched(3.0, reports=5.0)
    watched.run(1.5)  # the report of the beginning settled nothing
    assert watched.told == []
    watched.audio.ssrc = 77
    watched.run(0.8)  # the source before is silent for long enough
    assert [type(cut) for _, cut in watched.told] == [AudioCut, AudioCut]


def test_a_stall_is_in_the_name_that_waited_and_not_in_one_that_did_not() -> None:
    """The media clock stands still for 0.8 s; 10 ms is what the issue allows."""
    for wait, wrong in ((0.0, True), (3.0, False)):
        watched = Watched(wait)
        watched.run(30.5)
        watched.audio.muted = watched.audio.frozen = True
        watched.run(0.8)
        watched.audio.muted = watched.audio.frozen = False
        watched.run(10.0)
        begun = [
            (cut.start / 48_000, cut.began)
            for cut in watched.call.cuts
            if isinstance(cut, AudioCut)
        ]
        first = next(began - start for start, began in begun if start > 5)
        errors = [
            began - start - first - (0.8 if start > 30.5 else 0.0) for start, began in begun[5:]
        ]
        assert any(abs(error) > 0.5 for error in errors) == wrong
        assert wrong or max(map(abs, errors)) < 0.010


def test_cuts_that_wait_are_bounded_and_the_oldest_goes_first() -> None:
    watched = Watched(10.0, reports=0.0)
    for number in range(MAX_WAITING + 4):
        track = AUDIO_TRACK._replace(task=f"task{number}")
        watched.bundle.attach(track, AudioSpec(1, 10.0), 0.0)
    watched.bundle.detach(AUDIO_TRACK, 0.0)
    watched.run(1.2)
    assert [cut.track.task for _, cut in watched.told] == [f"task{number}" for number in range(4)]
    assert watched.bundle.counters["wait_full"] == 4


def test_a_name_given_before_its_report_is_corrected_by_it() -> None:
    """As above, but without a wait: what was told at once is told anew, right to 10 ms."""
    watched = Watched(0.0)
    watched.run(30.5)
    watched.audio.muted = watched.audio.frozen = True
    watched.run(0.8)
    watched.audio.muted = watched.audio.frozen = False
    watched.run(10.0)
    given = {
        (cut.track, cut.epoch, cut.start): cut.began
        for cut in watched.call.cuts
        if isinstance(cut, AudioCut)
    }
    settled = [one for one in watched.call.settled if one.track == AUDIO_TRACK]
    assert settled
    for one in settled:
        assert abs(given[one.track, one.epoch, one.start] - one.began) > CORRECTED
    corrected = given | {(one.track, one.epoch, one.start): one.began for one in settled}
    begun = [(start / 48_000, began) for (_, _, start), began in corrected.items()]
    first = next(began - start for start, began in begun if start > 5)
    errors = [began - start - first - (0.8 if start > 30.5 else 0.0) for start, began in begun[5:]]
    assert max(map(abs, errors)) < 0.010


def test_who_is_cut_no_longer_is_told_nothing_more() -> None:
    watched = Watched(0.0, reports=5.0)
    watched.run(7.0)
    watched.bundle.detach(AUDIO_TRACK, watched.call.now)
    watched.run(10.0)
    last = max(cut.start for cut in watched.call.slices)
    assert all(one.start < last for one in watched.call.settled if one.track == AUDIO_TRACK)


def test_names_that_may_be_corrected_are_bounded() -> None:
    watched = Watched(0.0, reports=5.0)
    for number in range(MAX_UNSETTLED + 2):
        track = AUDIO_TRACK._replace(task=f"task{number}")
        watched.bundle.attach(track, AudioSpec(1, 0.0), 0.0)
    watched.bundle.detach(AUDIO_TRACK, 0.0)
    watched.run(1.2)
    assert watched.bundle.counters["unsettled_full"] == 2


def test_who_writes_no_reports_overfills_nothing() -> None:
    watched = Watched(1.0, reports=0.0)
    watched.run(MAX_UNSETTLED + 5.0)
    assert len(watched.call.slices) > MAX_UNSETTLED
    assert watched.bundle.counters["unsettled_full"] == 0


def test_a_first_report_that_is_late_corrects_what_did_not_wait_for_it() -> None:
    """The path is slow at first, which arrivals alone cannot know."""
    watched = Watched(1.0, reports=0.0)
    watched.call.network.delay = 0.5
    watched.run(3.7)
    watched.call.network.delay = PATH
    watched.run(0.5)
    early = [cut for cut in watched.call.slices if cut.began > cut.start / 48_000 + 0.4]
    assert len(early) == 3, "two of them after the wait that was the last"
    watched.audio.reports = watched.video.reports = 0.8
    watched.run(2.0)
    settled = {one.start: one.began for one in watched.call.settled if one.track == AUDIO_TRACK}
    assert settled.keys() >= {cut.start for cut in early}
    assert all(abs(began - start / 48_000) < 0.05 for start, began in settled.items())
