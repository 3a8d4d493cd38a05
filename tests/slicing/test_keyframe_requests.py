"""One request in an interval, whoever asks."""

import math
import weakref

from tests.harness.rtp.parts import KeyframeRequests


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
