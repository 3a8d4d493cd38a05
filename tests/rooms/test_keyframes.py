"""Requests that tasks count together, and videos that wait for them to be resumed."""

import gc

import pytest

from slicer.hot import KeyframeRequests
from slicer.rooms.keyframes import Resumption, SharedRequests
from slicer.rtp.parameters import Kind, Role
from tests.harness.clock import ManualClock

CAMERA, SCREEN = (Kind.VIDEO, Role.MAIN), (Kind.VIDEO, Role.AUX)


def test_of_one_source_there_is_one() -> None:
    shared = SharedRequests()
    first, second = shared.of(("sfu", "lobby")), shared.of(("sfu", "lobby"))
    other = shared.of(("sfu", "attic"))
    ada = first("ada", CAMERA)
    assert second("ada", CAMERA) is ada
    others = [first("ada", SCREEN), first("bob", CAMERA), other("ada", CAMERA)]
    assert len({id(one) for one in [ada, *others]}) == 4


def test_they_are_forgotten_with_the_last_who_has_them() -> None:
    shared = SharedRequests()
    of = shared.of("room")
    gc.disable()
    try:
        one, other = of("ada", CAMERA), of("ada", CAMERA)
        one.claim(1.0, 0.5)
        del one
        assert of("ada", CAMERA).last == 1.0
        del other
        assert of("ada", CAMERA).last == float("-inf")
    finally:
        gc.enable()


class Resumed:
    """A video that is to be resumed in a second, where its source may be asked every half one."""

    def __init__(self, requests: KeyframeRequests, clock: ManualClock) -> None:
        self.told: list[tuple[float, bool]] = []
        self._clock, self._began = clock, clock.now()
        self.resumption = Resumption(clock, clock.now() + 1, requests, 0.5, self._note)

    def _note(self, waited: bool) -> None:
        self.told.append((round(self._clock.now() - self._began, 2), waited))


def ticks(clock: ManualClock, seconds: float) -> None:
    for _ in range(round(seconds / 0.1)):
        clock.advance(0.1)


def test_a_video_is_resumed_in_time_and_that_is_a_request() -> None:
    clock, requests = ManualClock(), KeyframeRequests()
    video = Resumed(requests, clock)
    ticks(clock, 2)
    ((at, waited),) = video.told
    assert at == pytest.approx(1, abs=0.11)
    assert not waited
    assert requests.last == pytest.approx(clock.now() - 1, abs=0.11)


def test_it_waits_while_another_has_just_asked() -> None:
    clock, requests = ManualClock(), KeyframeRequests()
    video = Resumed(requests, clock)
    ticks(clock, 0.9)
    assert requests.claim(clock.now(), 0.5)
    ticks(clock, 2)
    ((at, waited),) = video.told
    assert at == pytest.approx(1.4, abs=0.11)
    assert waited


def test_of_several_that_wait_one_is_resumed_in_an_interval() -> None:
    clock, requests = ManualClock(), KeyframeRequests()
    videos = [Resumed(requests, clock) for _ in range(3)]
    ticks(clock, 3)
    resumed = sorted(at for video in videos for at, _ in video.told)
    assert resumed == pytest.approx([1, 1.5, 2], abs=0.11)
    assert sum(waited for video in videos for _, waited in video.told) == 2


def test_one_that_is_cancelled_is_not_resumed() -> None:
    clock, requests = ManualClock(), KeyframeRequests()
    videos = [Resumed(requests, clock) for _ in range(2)]
    videos[0].resumption.cancel()
    requests.claim(clock.now() + 0.9, 0.5)
    ticks(clock, 1.2)
    videos[1].resumption.cancel()  # while it waits
    ticks(clock, 2)
    assert [video.told for video in videos] == [[], []]
