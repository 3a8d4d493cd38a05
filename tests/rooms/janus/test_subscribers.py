"""The connections of one presence: when they are made, end, and are tried anew."""

import pytest

from slicer.rooms import backoff
from slicer.rooms.janus import subscribers as module
from slicer.rooms.janus.subscriber import Subscriber
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorLeft, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import AnchorTrouble, AudioCut, PictureCut, TrackRefused
from tests.rooms.janus.conftest import Robot

AUDIO = Kind.AUDIO


async def test_a_publisher_that_fails_is_tried_again_after_waits_that_grow(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []

    def no_wait(failures: int, chance: float) -> float:
        waits.append(failures)
        return 0.0

    monkeypatch.setattr(module, "wait", no_wait)
    refuse = {"videoroom": "event", "error_code": 499, "error": "busy"}
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    robot.room.nonsense = {"join": {"janus": "event", "plugindata": {"data": refuse}}}
    handle = robot.room.subscriber("ada")
    handle.session.emit({"janus": "hangup", "sender": handle.id, "reason": "x"})
    await robot.until(lambda: len(waits) >= 4)
    robot.room.nonsense = {}
    await robot.connected()
    assert waits[:4] == [1, 2, 3, 4]
    gone = [one.reason for one in robot.facts() if isinstance(one, TrackUnpublished)]
    assert gone[:2] == ["Janus hung up: x", "Janus refuses: busy (error 499)"]


async def test_one_that_leaves_is_not_tried_again(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.2)
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    handle = robot.room.subscriber("ada")
    handle.session.emit({"janus": "hangup", "sender": handle.id})
    await robot.until(lambda: isinstance(robot.facts()[-1], TrackUnpublished))
    robot.room.unpublish("ada")
    await robot.until(lambda: isinstance(robot.facts()[-1], AnchorLeft))
    handle.session.emit({"janus": "hangup", "sender": handle.id})
    await robot.there.leave()
    assert isinstance(robot.facts()[-1], AnchorLeft)


async def test_who_is_not_there_is_not_subscribed_to(robot: Robot) -> None:
    robot.room.publish("ada", "audio")
    await robot.enter()
    robot.there.subscribe(robot.wish("bob", AUDIO))
    robot.there.subscribe(robot.wish("ada", Kind.VIDEO))
    robot.there.unsubscribe(robot.wish("bob", AUDIO).track)
    assert robot.connector.connections == 1


async def test_what_an_anchor_is_in_trouble_with_is_told_at_its_end(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = AnchorTrouble("ada", "odd packets", 12)
    monkeypatch.setattr(Subscriber, "troubles", lambda self, now: [trouble])
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    handle = robot.room.subscriber("ada")
    handle.session.emit({"janus": "hangup", "sender": handle.id})
    await robot.until(lambda: isinstance(robot.facts()[-1], TrackUnpublished))
    assert robot.facts()[-2] == trouble
    assert TrackPublished("ada", AUDIO) in robot.facts()


async def test_a_publisher_that_adds_video_keeps_its_connection(robot: Robot) -> None:
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    robot.room.publish("ada", "audio", "video")
    await robot.until(lambda: TrackPublished("ada", Kind.VIDEO) in robot.facts())
    await robot.until(lambda: len(robot.room.subscriber("ada").tracks) == 2)
    assert robot.connector.connections == 1


async def test_who_has_no_track_wanted_any_more_has_no_connection(robot: Robot) -> None:
    robot.room.publish("ada", "audio", "video")
    await robot.enter()
    await robot.connected()
    await robot.send(0.0)
    robot.there.unsubscribe(robot.wish("ada", AUDIO).track)
    await robot.until(lambda: robot.cuts(AudioCut))
    assert robot.connector.connections == 1
    robot.there.unsubscribe(robot.wish("ada", Kind.VIDEO).track)
    assert robot.connector.connections == 0
    assert robot.cuts(PictureCut) or robot.cuts(AudioCut), "its last cuts are there by then"
    robot.there.subscribe(robot.wish("ada", AUDIO))  # and may have one again
    assert robot.connector.connections == 1


async def test_a_refusal_is_told_for_each_track_and_not_tried_again(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    monkeypatch.setattr(module, "wait", lambda failures, _chance: waits.append(failures) or 0.0)
    robot.room.offers = ["hello"]
    robot.room.publish("ada", "audio", "video")
    await robot.enter()
    await robot.until(lambda: isinstance(robot.facts()[-1], TrackRefused))
    told = [(type(one), one.kind) for one in robot.facts()[-4:]]  # type: ignore[union-attr]
    both = [AUDIO, Kind.VIDEO]
    assert told == [(what, kind) for what in (TrackUnpublished, TrackRefused) for kind in both]
    assert (waits, robot.connector.connections) == ([], 0)
