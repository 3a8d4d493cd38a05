"""A path that is held up leaves slices whole; a track that stops among others ends its slice."""

from itertools import pairwise

import pytest

from slicer.rtp.parameters import Kind
from slicer.slicing.activity import QUIET, Activity
from slicer.slicing.audio import ABANDONED, HELD_UP
from slicer.slicing.outputs import AudioCut
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import (
    AUDIO,
    AUDIO_TRACK,
    VIDEO,
    VIDEO_TRACK,
    Call,
    Network,
    Sender,
    heard,
    number_of,
)
from tests.harness.rtp.parts import bundle_of

SECOND = 48_000


def call(senders: list[Sender], network: Network, seconds: int = 15) -> Call:
    """One anchor; audio is cut every *seconds*, and a picture taken every 5 s."""
    bundle = bundle_of("ann", [sender.parameters for sender in senders])
    made = Call(bundle, senders, network)
    for sender in senders:
        if sender.parameters.kind is Kind.AUDIO:
            made.take(bundle.attach(AUDIO_TRACK, AudioSpec(seconds), 0.0))
        else:
            made.take(bundle.attach(VIDEO_TRACK, VideoSpec(5), 0.0))
    return made


def camera() -> Sender:
    return Sender(VIDEO, ssrc=5, every=0.04, timestamp=9_000)


def lengths(slices: list[AudioCut]) -> list[float]:
    return [round((cut.end - cut.start) / SECOND, 2) for cut in slices]


def test_silence_counts_while_others_are_heard() -> None:
    activity = Activity()
    for tenth in range(100):
        activity.note(tenth / 10)
    assert activity.silent(4.0, 9.9) == pytest.approx(5.9)
    assert activity.silent(4.0, 9.9 + QUIET + 0.1) == 0.0


def test_silence_counts_anew_after_a_quiet_path() -> None:
    activity = Activity()
    activity.note(1.0)
    activity.note(1.0 + QUIET)
    assert activity.resumed == 1.0
    activity.note(6.0)
    assert activity.silent(0.5, 6.5) == 0.5


@pytest.mark.parametrize("video", [False, True], ids=["audio", "both"])
@pytest.mark.parametrize("seconds", [3.5, 5, 20, HELD_UP - 1])
def test_a_hold_up_leaves_slices_whole(seconds: float, video: bool) -> None:
    network = Network()
    # The camera's packets come first in the burst.
    senders = [camera(), Sender(AUDIO)] if video else [Sender(AUDIO)]
    talk = call(senders, network).run(20)
    network.blocked_until = 20 + seconds
    talk.run(70)
    talk.end()
    assert lengths(talk.slices) == [15] * 6
    assert {cut.epoch for cut in talk.slices} == {0}
    assert heard(talk.slices) == senders[-1].sent
    assert "clock_jumped" not in talk.bundle.counters
    for cut in talk.slices:
        assert cut.began == pytest.approx(cut.start / SECOND + 0.02, abs=0.05)


def test_what_waited_comes_at_the_speed_of_a_slow_path() -> None:
    network = Network(late=lambda number: max(0.0, 10 - 0.01 * (number - 1000)) * (number >= 1000))
    talk = call([Sender(AUDIO)], network).run(90)
    talk.end()
    assert lengths(talk.slices) == [15] * 6
    assert heard(talk.slices) == talk.senders[0].sent


@pytest.mark.parametrize("lost", [1, 5, 60])
def test_a_few_losses_in_a_hold_up_end_nothing(lost: int) -> None:
    """The first packets of the burst are among them."""
    network = Network(lose=lambda number: 1000 <= number < 1000 + lost or number == 1200)
    talk = call([Sender(AUDIO)], network).run(20)
    network.blocked_until = 28
    talk.run(25)
    talk.end()
    assert lengths(talk.slices) == [15, 15, 15]
    assert {cut.epoch for cut in talk.slices} == {0}
    assert len(heard(talk.slices)) == 45 * 50 - lost - 1


def test_a_call_that_begins_held_up_is_one_epoch() -> None:
    network = Network(blocked_until=5)
    talk = call([Sender(AUDIO)], network).run(30)
    talk.end()
    assert lengths(talk.slices) == [15, 15]
    assert {cut.epoch for cut in talk.slices} == {0}


@pytest.mark.parametrize("seconds", [5, 20])
def test_a_hold_up_does_not_move_the_grid_of_pictures(seconds: float) -> None:
    network = Network(delay=0.02)
    talk = call([camera(), Sender(AUDIO)], network).run(20)
    network.blocked_until = 20 + seconds
    talk.run(60)
    talk.end()
    dues = [cut.due for cut in talk.pictures]
    assert dues[0] == 9_000
    assert all((due - 9_000) % (5 * 90_000) == 0 for due in dues)
    assert {cut.epoch for cut in talk.pictures} == {0}
    # No keyframe was asked for in what waited: the first one after it is the next picture.
    assert max(b - a for a, b in pairwise(dues)) <= (seconds + 5) * 90_000
    assert number_of(talk.pictures[-1].frames[-1]) >= 75 * 25


@pytest.mark.parametrize("frozen", [False, True], ids=["running on", "standing still"])
def test_a_sender_that_stalls_loses_nothing(frozen: bool) -> None:
    """Where its timestamps ran on, there is a hole; where they stood still, media time has none."""
    sender = Sender(AUDIO, frozen=frozen)
    talk = call([sender], Network()).run(20)
    sender.muted = True
    talk.run(8)
    sender.muted = False
    talk.run(20)
    talk.end()
    assert heard(talk.slices) == sender.sent
    assert lengths(talk.slices) == ([15, 15, 10] if frozen else [15, 5, 15, 5])


def test_a_track_that_stops_among_others_ends_its_slice() -> None:
    microphone = Sender(AUDIO)
    talk = call([camera(), microphone], Network()).run(20)
    microphone.muted = True
    talk.run(ABANDONED - 0.1)
    assert lengths(talk.slices) == [15]
    talk.run(0.2)
    assert lengths(talk.slices) == [15, 5]


def test_a_track_that_stops_in_a_hold_up_is_told_when_others_are_heard_again() -> None:
    microphone, network = Sender(AUDIO), Network()
    talk = call([camera(), microphone], network).run(20)
    network.blocked_until = 30
    microphone.muted = True
    talk.run(10 + ABANDONED - 0.1)
    assert lengths(talk.slices) == [15]
    talk.run(ABANDONED)
    assert lengths(talk.slices) == [15, 5]


def test_where_nothing_comes_the_slice_waits_as_long_as_a_peers_consent() -> None:
    talk = call([Sender(AUDIO)], Network()).run(20)
    talk.senders[0].muted = True
    talk.run(HELD_UP - 0.1)
    assert lengths(talk.slices) == [15]
    talk.run(0.2)
    assert lengths(talk.slices) == [15, 5]
