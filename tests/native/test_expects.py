"""When the plane is to look: as a cut becomes complete, and at once while an answer is awaited."""

from dataclasses import replace
from typing import Any, cast

import pytest

from slicer.rtp.stream import PATIENCE
from slicer.slicing.outputs import Cut
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, VIDEO, VIDEO_TRACK, Call, Network, Sender

pytest.importorskip("slicer._hot")

TICK = 0.01
PACKET = 0.02
LATE = 0.1
"""OVERDUE of native/track.h."""


def call(*senders: Sender, network: Network | None = None) -> Call:
    from slicer._hot import Bundle

    bundle = Bundle(9)
    bundle.set_sections("ann", [sender.parameters for sender in senders], 0.0)
    made = Call(bundle, list(senders), network or Network(delay=0.03), tick=TICK)
    made.take(bundle.attach(AUDIO_TRACK, AudioSpec(15), 0.0))
    made.take(bundle.attach(VIDEO_TRACK, VideoSpec(5), 0.0))
    return made


def expects(talk: Call) -> float | None:
    found = cast(Any, talk.bundle).expects(talk.now)
    assert found is None or isinstance(found, float)
    return found


def run_until_cut(talk: Call) -> Cut:
    before = len(talk.cuts)
    while len(talk.cuts) == before:
        talk.run(TICK)
    return talk.cuts[-1]


def test_nothing_is_expected_of_nobody() -> None:
    assert expects(call(Sender(AUDIO))) is None
    assert expects(call(Sender(VIDEO, every=1 / 30))) is None


@pytest.mark.parametrize("ppm", [0, 100, -100])
def test_sound_is_expected_when_its_slice_is_complete(ppm: int) -> None:
    talk = call(Sender(AUDIO, ppm=ppm)).run(1)
    for _ in range(4):
        talk.run(14.9)
        expected = expects(talk)
        assert expected is not None
        run_until_cut(talk)
        # The last packet is there one packet's time before the slice ends.
        assert talk.now - TICK <= expected <= talk.now + PACKET + TICK


def test_a_picture_is_expected_when_its_frame_is_due_and_then_at_once_until_it_is_there() -> None:
    sender = Sender(VIDEO, every=1 / 30)
    talk = call(sender)
    run_until_cut(talk)
    talk.run(1)  # in which the source is asked, to see that it answers
    for number in (1, 2, 3):
        expected = expects(talk)
        assert expected is not None
        assert expected == pytest.approx(5 * number + 0.03 + TICK, abs=TICK)
        while talk.now <= expected:
            assert expects(talk) == pytest.approx(expected, abs=TICK)
            talk.run(TICK)
        cuts = len(talk.cuts)
        while len(talk.cuts) == cuts:
            found = expects(talk)
            assert found is not None
            assert found <= talk.now
            talk.run(TICK)
        assert len(sender.asked) == number + 1


def test_the_earlier_of_both_is_expected() -> None:
    talk = call(Sender(AUDIO), Sender(VIDEO, ssrc=2, every=1 / 30)).run(12)
    assert expects(talk) == pytest.approx(15.04, abs=0.04)
    sound = call(Sender(AUDIO), Sender(VIDEO, ssrc=2, every=1 / 30)).run(7)
    assert expects(sound) == pytest.approx(10.04, abs=0.04)


def test_a_lost_packet_is_looked_for_at_once() -> None:
    nack = replace(AUDIO, feedback=frozenset({"nack"}))
    talk = call(Sender(nack), network=Network(delay=0.2, lose=lambda number: number == 100))
    talk.run(2 + 0.2 + 0.05)
    assert expects(talk) == talk.now
    talk.run(1)
    assert expects(talk) == pytest.approx(15.21, abs=0.03)


def test_a_packet_that_nobody_repeats_is_given_up_in_time() -> None:
    talk = call(Sender(AUDIO), network=Network(delay=0.03, lose=lambda number: number == 100))
    talk.run(2 + 0.03 + 0.05)
    expected = expects(talk)
    assert expected == talk.bundle.deadline()
    assert expected is not None
    assert 0 < expected - talk.now <= PATIENCE
    talk.run(PATIENCE + TICK)
    assert expects(talk) == pytest.approx(15.04, abs=0.03)


def test_what_is_late_is_looked_for_a_while_and_then_no_more() -> None:
    sender = Sender(AUDIO)
    talk = call(sender).run(14.9)
    expected = expects(talk)
    assert expected is not None
    sender.muted = True
    talk.run(expected - talk.now + LATE / 2)
    assert expects(talk) == expected
    talk.run(LATE)
    assert expects(talk) is None


def test_who_was_asked_and_is_silent_is_not_waited_for() -> None:
    sender = Sender(VIDEO, every=1 / 30)
    talk = call(sender).run(4)
    sender.deaf = True
    talk.run(1.5)
    assert expects(talk) == talk.now
    sender.muted = True
    talk.run(2)
    assert expects(talk) is None
