"""Who publishes: snapshots, what changes, what is said twice, and how a robot's stay ends."""

from typing import Any

from slicer.rooms.janus.participants import Participants
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    RoomEntered,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import EndReason, TrackRefused
from tests.rooms.janus.test_messages import AUDIO, VIDEO


def publisher(name: Any, *streams: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "streams": list(streams)}


def joined(*publishers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"videoroom": "joined", "id": "robot", "publishers": list(publishers), **more}


def event(**data: Any) -> dict[str, Any]:
    return {"videoroom": "event", "room": "r", **data}


def test_a_snapshot_and_what_changes_after_it() -> None:
    room = Participants()
    assert room.receive(joined(publisher("ada", AUDIO), private_id=5)) == [
        RoomEntered(),
        AnchorJoined("ada"),
        TrackPublished("ada", Kind.AUDIO),
    ]
    assert room.private_id == 5
    bob = publisher("bob", AUDIO, VIDEO)
    assert room.receive(event(publishers=[bob])) == [
        AnchorJoined("bob"),
        TrackPublished("bob", Kind.AUDIO),
        TrackPublished("bob", Kind.VIDEO),
    ]
    assert room.receive(event(publishers=[bob])) == []
    assert room.receive(event(joining={"id": "carol"})) == []
    assert room.receive(event(unpublished="bob")) == [
        TrackUnpublished("bob", Kind.AUDIO, "unpublished"),
        TrackUnpublished("bob", Kind.VIDEO, "unpublished"),
        AnchorLeft("bob", "unpublished"),
    ]
    assert room.receive(event(unpublished="bob")) == []
    assert room.receive(event(leaving="bob")) == []
    assert [*room.feeds] == ["ada"]


def test_a_publisher_changes_what_it_sends() -> None:
    room = Participants()
    room.receive(joined(publisher(1, AUDIO, VIDEO)))
    assert room.receive(event(publishers=[publisher(1, AUDIO, {**VIDEO, "codec": "h264"})])) == [
        TrackUnpublished("1", Kind.VIDEO, "the publisher changed it"),
        TrackPublished("1", Kind.VIDEO),
    ]
    assert room.receive(event(publishers=[publisher(1, AUDIO)])) == [
        TrackUnpublished("1", Kind.VIDEO, "the publisher changed it"),
    ]


def test_a_screen_comes_beside_the_camera_and_stays_when_the_camera_goes() -> None:
    room = Participants()
    room.receive(joined(publisher("ada", VIDEO)))
    screen = {**VIDEO, "mid": "2"}
    shown = room.receive(event(publishers=[publisher("ada", VIDEO, screen)]))
    assert shown == [TrackPublished("ada", Kind.VIDEO, Role.AUX)]
    assert room.receive(event(publishers=[publisher("ada", screen)])) == [
        TrackUnpublished("ada", Kind.VIDEO, "the publisher changed it"),
    ]
    room.receive(event(id="ada", mid="2", moderation="muted"))
    assert room.muted("ada") == {(Kind.VIDEO, Role.AUX)}
    assert room.receive(event(publishers=[publisher("ada", VIDEO, screen)])) == [
        TrackPublished("ada", Kind.VIDEO),
    ]
    assert room.receive(event(leaving="ada"))[:2] == [
        TrackUnpublished("ada", Kind.VIDEO, "left the room", Role.AUX),
        TrackUnpublished("ada", Kind.VIDEO, "left the room"),
    ]


def test_what_cannot_be_taken_is_told_once() -> None:
    room, odd = Participants(), publisher("ada", AUDIO, {**VIDEO, "codec": "theora"})
    told = room.receive(joined(odd))
    assert told[-1] == TrackRefused("ada", Kind.VIDEO, "no codec of ours: theora")
    assert room.receive(event(publishers=[odd])) == []


def test_we_are_no_anchor() -> None:
    room = Participants()
    assert room.receive(joined(publisher("robot", AUDIO))) == [RoomEntered()]


def test_a_kick_of_a_publisher_and_of_us() -> None:
    room = Participants()
    room.receive(joined(publisher("ada", AUDIO)))
    assert room.receive(event(kicked="ada"))[-1] == AnchorLeft("ada", "kicked")
    assert room.receive(event(leaving="ok", reason="kicked")) == [Stopped(EndReason.KICKED)]
    assert room.receive(event(leaving="ok")) == []


def test_a_publisher_whose_id_is_ok() -> None:
    room = Participants()
    room.receive(joined(publisher("ok", AUDIO)))
    assert room.receive(event(leaving="ok"))[-1] == AnchorLeft("ok", "left the room")


def test_the_end_of_the_room() -> None:
    assert Participants().receive({"videoroom": "destroyed"}) == [Stopped(EndReason.ROOM_GONE)]
    assert Participants().receive({"videoroom": "slow_link"}) == []


def test_a_second_snapshot_replaces_the_first() -> None:
    room = Participants()
    room.receive(joined(publisher("ada", AUDIO), private_id=5))
    assert room.receive(joined(publisher("bob", AUDIO)))[1] == AnchorJoined("bob")
    assert ([*room.feeds], room.private_id) == (["bob"], None)


def test_what_a_moderator_muted() -> None:
    room = Participants()
    room.receive(joined(publisher("ada", AUDIO, {**VIDEO, "moderated": True})))
    assert room.muted("ada") == {(Kind.VIDEO, Role.MAIN)}
    assert room.receive(event(id="ada", mid="0", moderation="muted")) == []
    assert room.receive(event(id="bob", mid="0", moderation="muted")) == []
    both = {(Kind.AUDIO, Role.MAIN), (Kind.VIDEO, Role.MAIN)}
    assert (room.muted("ada"), room.muted("bob")) == (both, set())
    room.receive(event(id="ada", mid="1", moderation="unmuted"))
    assert room.muted("ada") == {(Kind.AUDIO, Role.MAIN)}
    room.receive(event(unpublished="ada"))
    room.receive(event(publishers=[publisher("ada", AUDIO)]))
    assert room.muted("ada") == set()
