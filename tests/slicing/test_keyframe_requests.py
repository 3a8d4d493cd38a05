"""One request in an interval, whoever asks."""

import math
import weakref
from itertools import pairwise

import pytest

from slicer.slicing.spec import VideoSpec
from slicer.slicing.track import ALONE
from tests.harness.rtp.call import VIDEO, VIDEO_TRACK, Call, Network, Sender
from tests.harness.rtp.parts import KeyframeRequests, bundle_of


def test_the_first_may_go_out_at_once_and_the_next_after_the_interval() -> None:
    requests = KeyframeRequests()
    assert requests.last == -math.inf
    assert requests.claim(10.0, 0.5)
    assert not requests.claim(10.25, 0.5)
    assert requests.last == 10.0, "what may not go out is not noted"
    assert requests.claim(10.5, 0.5)
    assert requests.last == 10.5


def test_each_asks_by_its_own_interval() -> None:
    requests = KeyframeRequests()
    assert requests.claim(1.0, 2.0)
    assert requests.claim(1.5, 0.5)
    assert not requests.claim(3.0, 2.0)


def test_who_is_a_little_behind_waits_too() -> None:
    """Connections are read one after the other: the present of one may be before another's."""
    requests = KeyframeRequests()
    assert requests.claim(5.0, 0.5)
    assert not requests.claim(4.9, 0.5)
    assert requests.last == 5.0


def test_they_can_be_held_weakly() -> None:
    requests = KeyframeRequests()
    weak = weakref.ref(requests)
    assert weak() is requests
    del requests
    assert weak() is None


def watching(requests: KeyframeRequests, spec: VideoSpec, every: float = 0.04) -> Call:
    """A connection that shares *requests* with others; its source hears its own alone."""
    bundle = bundle_of("ann", [VIDEO], requests_of=lambda anchor, slot: requests)
    call = Call(bundle, [Sender(VIDEO, every=every)])
    call.take(bundle.attach(VIDEO_TRACK, spec, call.now))
    return call


@pytest.mark.parametrize("interval", [0.7, 1.0, 2.0])
def test_no_task_starves_where_each_viewer_has_an_encoder(interval: float) -> None:
    """Both are due at the same times, and the first is always asked first."""
    requests = KeyframeRequests()
    calls = [watching(requests, VideoSpec(2, keyframe_interval=interval)) for _ in range(2)]
    for _ in range(3000):
        for call in calls:
            call.run(call.tick)
    for call in calls:
        assert len(call.pictures) >= 13
        assert all(len(one.frames) == 1 for one in call.pictures[3:]), "keyframes, as alone"
        late = [one.timestamp - one.due for one in call.pictures[4:]]
        assert interval == 2.0 or max(late) < 0.6 * 90_000, "an interval of a period shifts"
        assert call.bundle.counters["unanswered"] == 0
        asked = call.senders[0].asked
        assert all(b - a >= interval - 0.015 for a, b in pairwise(asked))


def test_who_was_left_alone_waits_for_another_again_ten_minutes_later() -> None:
    requests = KeyframeRequests()
    call = watching(requests, VideoSpec(60, keyframe_interval=5.0), every=0.1)
    waits = list[float]()
    for _ in range(round(ALONE / 60) + 5):
        call.run(59.8 - call.now % 60)
        asked = len(call.senders[0].asked)
        begun = call.now
        while len(call.senders[0].asked) == asked and call.now < begun + 5:
            requests.claim(call.now + call.tick, 0.0)  # another task always comes first
            call.run(call.tick)
        waits.append(call.now - begun)
    late = [wait > 0.9 for wait in waits]
    assert late[0], "another one asked, and no keyframe came"
    assert max(waits) < 1.4
    assert sum(late) == 2, "it asks by itself meanwhile"


def test_a_request_that_is_ahead_of_a_connection_proves_nothing_of_its_source() -> None:
    """After a hold-up, one connection is read up to the present before another one's backlog."""
    requests = KeyframeRequests()
    call = watching(requests, VideoSpec(1))
    call.network, call.senders[0].deaf = Network(lose=lambda number: number == 0), True
    call.run(0.3)
    assert call.senders[0].asked
    assert requests.claim(call.now + 4.5, 0.3)
    call.run(3)
    assert call.bundle.counters["unanswered"] == 0
