"""One stay in a LiveKit room: its signalling, its descriptions, its end."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from livekit.protocol import models, rtc

from slicer.errors import RoomError
from slicer.hot import Bundle
from slicer.media.slice import SliceInfo, make
from slicer.rooms.livekit import room as room_module
from slicer.rooms.livekit.session import Session
from slicer.rooms.livekit.settings import Quality
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import AnchorTrouble, EndReason, TrackRefused
from slicer.webrtc.connection import Connection
from tests.harness.garbage import living, no_collector
from tests.harness.media.slices import read_picture
from tests.harness.rooms.descriptions import Track, described
from tests.harness.rooms.livekit_sockets import sockets_of_signalling
from tests.harness.rooms.livekit_stand_in import StandIn, audio, info, layered, video
from tests.harness.rooms.visitor import Visitor
from tests.rooms.livekit.conftest import QUICK, visitor

GONE = models.ParticipantInfo.State.DISCONNECTED


async def test_more_m_lines_are_offered_as_anchors_come(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    await server.update(info("bob", audio("TR_ab"), video("TR_vb")))
    await robot.until(lambda: robot.cuts("bob") == set(Kind))
    await server.update(info("cleo", audio("TR_ac"), video("TR_vc")))
    await robot.until(lambda: robot.cuts("cleo") == set(Kind))
    await server.update(info("bob", state=GONE))
    await robot.told_of(AnchorLeft("bob", ""))
    await server.update(info("dora", audio("TR_ad")))  # by an m-line that was bob's
    await robot.until(lambda: robot.cuts("dora") == {Kind.AUDIO})
    (session,) = server.robots.values()
    assert len(session.sfu.tracks) == 6
    settings = [one.track_setting for one in server.requests if one.HasField("track_setting")]
    assert {one.quality for one in settings} == {models.VideoQuality.HIGH}


async def test_a_screen_is_cut_beside_the_camera(server: StandIn, robot: Visitor) -> None:
    source = models.TrackSource.SCREEN_SHARE
    await robot.enter(server.url())
    await server.update(info("bob", video("TR_vb"), video("TR_sb", source=source)))
    both = {(Kind.VIDEO, role) for role in Role}
    await robot.until(lambda: robot.slots("bob") == both)
    await server.update(info("bob", video("TR_vb")))
    await robot.told_of(TrackUnpublished("bob", Kind.VIDEO, role=Role.AUX))
    assert not robot.refusals()


async def test_the_layer_that_is_enough_is_asked_for_also_once_sizes_change(
    server: StandIn, robot: Visitor
) -> None:
    def layers(*heights: int) -> list[models.VideoLayer]:
        return [
            models.VideoLayer(quality=models.VideoQuality.Name(at), height=one)
            for at, one in enumerate(heights)
        ]

    def asked() -> list[int]:
        found = (one.track_setting for one in server.requests if one.HasField("track_setting"))
        return [one.quality for one in found if not one.disabled]

    robot.max_height = 360
    await robot.enter(server.url())
    await server.update(info("bob", video("TR_vb", layers=layers(180, 360, 720))))
    await robot.until(lambda: models.VideoQuality.MEDIUM in asked())
    await server.update(info("bob", video("TR_vb", layers=layers(360, 720, 1440))))
    await robot.until(lambda: asked()[-1] == models.VideoQuality.LOW)


SIZES = {90: 160, 180: 320, 360: 640}


@pytest.mark.parametrize(
    ("max_height", "quality", "height"),
    [
        (None, Quality.HIGH, 360),
        (180, Quality.HIGH, 180),
        (60, Quality.HIGH, 90),
        (None, Quality.LOW, 90),
    ],
)
async def test_of_svc_the_server_sends_no_layer_above_the_one_that_is_enough(
    server: StandIn, max_height: int | None, quality: Quality, height: int
) -> None:
    """VP9 in three spatial layers: the picture shows what came, the stand-in notes what it sent."""
    server.paint("TR_vb", SIZES)
    robot = visitor(replace(QUICK, quality=quality))
    robot.max_height, robot.declined = max_height, {"ada"}
    await robot.enter(server.url())
    await server.update(info("bob", layered("TR_vb", SIZES)))
    await robot.until(lambda: len(robot.pictures()) >= 2)
    taken = SliceInfo("k", robot.pictures()[0].track, datetime(2026, 1, 1, tzinfo=UTC))
    shown = [read_picture(make(cut, taken).data) for cut in robot.pictures()]
    assert {picture.shape[:2] for picture in shown} == {(height, SIZES[height])}
    (session,) = server.robots.values()
    assert session.subscribed == ["TR_vb"], "nothing of ada, whom no task wants"
    assert session.layers["TR_vb"].sent == {at for at, one in enumerate(SIZES) if one <= height}
    await robot.connector.close()


async def test_a_video_is_not_sent_between_pictures(server: StandIn, robot: Visitor) -> None:
    robot.seconds = 3
    await robot.enter(server.url())
    await robot.until(lambda: len(robot.pictures()) == 2)
    settings = [one.track_setting for one in server.requests if one.HasField("track_setting")]
    assert [one.disabled for one in settings[:3]] == [False, True, False]
    assert robot.troubles() == []


async def test_a_video_whose_source_is_not_to_be_asked_is_not_paused(
    server: StandIn, robot: Visitor
) -> None:
    """A server asks for a keyframe as it resumes one."""
    robot.seconds, robot.keyframe_interval = 3, math.inf
    await robot.enter(server.url())
    await robot.until(lambda: len(robot.pictures()) == 2)
    settings = [one.track_setting for one in server.requests if one.HasField("track_setting")]
    assert [one.disabled for one in settings] == [False]


async def test_of_two_tasks_in_a_room_one_asks(server: StandIn, robot: Visitor) -> None:
    """Each would ask soon after its first picture, to see whether the source answers."""
    other = Visitor(robot.connector, "other")
    for one in (robot, other):
        one.keyframe_interval = 60.0
        await one.enter(server.url())
    await robot.until(lambda: min(len(robot.pictures()), len(other.pictures())) >= 3)
    assert robot.connector.counters["keyframe_requests"] == 1


@pytest.mark.parametrize("older", [False, True])
async def test_a_stay_that_is_over_is_freed_without_the_garbage_collector(
    server: StandIn, robot: Visitor, older: bool
) -> None:
    server.older = older
    parts = (Session, Connection, Bundle)
    with no_collector():
        before = living(*parts)
        await robot.enter(server.url())
        await robot.until(lambda: robot.cuts("ada") == set(Kind))
        assert robot.room is not None
        await robot.room.leave()
        robot.room = None
        await robot.until(lambda: not living(*parts) - before)


async def test_an_older_server_offers(server: StandIn, robot: Visitor) -> None:
    server.older = True
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    await server.update(info("bob", audio("TR_ab"), video("TR_vb")))
    await robot.until(lambda: robot.cuts("bob") == set(Kind))
    await server.sockets[0].close()  # and has to be entered anew where its signalling breaks
    await robot.until(lambda: robot.facts().count(RoomEntered()) == 2)
    assert [join.reconnect for join in server.joins] == [False, False]


@pytest.mark.parametrize("by_the_server", [True, False])
async def test_signalling_that_breaks_is_taken_up_again(
    server: StandIn, robot: Visitor, monkeypatch: pytest.MonkeyPatch, by_the_server: bool
) -> None:
    sockets = sockets_of_signalling(monkeypatch)
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    if by_the_server:
        await server.sockets[0].close()
    else:
        sockets[0].transport.abort()
    await robot.until(lambda: robot.connector.counters["resumes"] == 1)
    assert server.joins[1].reconnect
    assert server.joins[1].participant_sid == "PA_robot1"
    await robot.until(lambda: any(one.HasField("sync_state") for one in server.requests))
    (state,) = [one.sync_state for one in server.requests if one.HasField("sync_state")]
    assert sorted(state.subscription.track_sids) == ["TR_a1", "TR_v1"]
    await server.update(info("bob", audio("TR_ab")))
    await robot.until(lambda: robot.cuts("bob") == {Kind.AUDIO})
    assert not any(isinstance(one, RoomLost) for one in robot.told)


async def test_who_came_and_who_left_while_signalling_was_broken(
    server: StandIn, robot: Visitor
) -> None:
    await server.update(info("bob", audio("TR_ab")))
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("bob") == {Kind.AUDIO})
    server.participants.pop("bob")
    server.participants["cleo"] = info("cleo", audio("TR_ac"))
    await server.sockets[0].close()
    await robot.told_of(AnchorLeft("bob", ""), AnchorJoined("cleo"))
    await robot.until(lambda: robot.cuts("cleo") == {Kind.AUDIO})


async def test_who_comes_while_the_robot_connects(server: StandIn, robot: Visitor) -> None:
    encrypted = video("TR_ve", encryption=models.Encryption.Type.GCM)
    server.hurried = [info("bob", audio("TR_ab"), encrypted)]
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("bob") == {Kind.AUDIO})
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    assert robot.facts()[0] == RoomEntered()
    assert robot.facts().count(AnchorJoined("bob")) == 1
    assert [(one.anchor, one.kind) for one in robot.refusals()] == [("bob", Kind.VIDEO)]


async def test_each_anchors_trouble_is_told_of_it_alone_and_while_signalling_breaks(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ada freezes, bob is muted, cleo goes on and is removed."""
    monkeypatch.setattr(room_module, "LOOK", 0.1)
    robot = visitor(replace(QUICK, silence=2.0))
    await robot.enter(server.url())
    await server.update(info("bob", audio("TR_ab")), info("cleo", audio("TR_ac")))
    await robot.until(lambda: all(map(robot.cuts, ("ada", "bob", "cleo"))))
    await server.update(info("bob", audio("TR_ab", muted=True)))
    server.frozen |= {"TR_a1", "TR_v1", "TR_ab"}
    server.sockets[-1].transport.abort()
    await robot.until(lambda: robot.connector.counters["resumes"] == 1)
    reason = "no media for 2 s, and nothing says that it is muted"
    await robot.told_of(AnchorTrouble("ada", reason, 1))
    server.frozen.clear()
    await robot.until(lambda: len(robot.pictures()) > 1)
    removed = models.DisconnectReason.PARTICIPANT_REMOVED
    await server.update(info("cleo", state=GONE, disconnect_reason=removed))
    await robot.told_of(AnchorLeft("cleo", "participant removed"))
    assert robot.troubles() == [reason]
    assert not any(isinstance(one, RoomLost) for one in robot.told)
    await robot.connector.close()


async def test_a_stay_that_is_forgotten_begins_anew(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.told_of(AnchorJoined("ada"))
    server.robots.clear()
    action = rtc.LeaveRequest.Action.RESUME
    await server.leave(models.DisconnectReason.UNKNOWN_REASON, action=action)
    await robot.until(lambda: robot.facts().count(RoomEntered()) == 2)
    assert [join.reconnect for join in server.joins] == [False, True, False]


async def test_a_server_that_is_silent(server: StandIn, robot: Visitor) -> None:
    server.ping_interval = server.ping_timeout = 1
    await robot.enter(server.url())
    await robot.told_of(AnchorJoined("ada"))
    server.mute = True
    await robot.until(lambda: robot.connector.counters["resumes"])


async def test_what_the_server_will_not_send(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.told_of(TrackPublished("ada", Kind.VIDEO))
    refusal = rtc.SubscriptionResponse(
        track_sid="TR_v1", err=models.SubscriptionError.SE_CODEC_UNSUPPORTED
    )
    denial = rtc.SubscriptionPermissionUpdate(track_sid="TR_a1", allowed=False)
    await server.tell(rtc.SignalResponse(subscription_response=refusal))
    await server.tell(rtc.SignalResponse(subscription_permission_update=denial))
    await robot.told_of(
        TrackRefused("ada", Kind.VIDEO, "the server cannot send its codec to us"),
        TrackRefused("ada", Kind.AUDIO, "its publisher does not allow it"),
    )


async def test_moved_to_another_room(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await server.tell(rtc.SignalResponse(refresh_token="newer"))
    moved = rtc.RoomMovedResponse(room=models.Room(name="cellar"))
    await server.tell(rtc.SignalResponse(room_moved=moved))
    await robot.told_of(Stopped(EndReason.KICKED))


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (
            rtc.SignalResponse(leave=rtc.LeaveRequest(reason=models.DisconnectReason.JOIN_FAILURE)),
            "sends us away: the server says: join failure",
        ),
        (rtc.SignalResponse(pong=1), "begins with pong, not join"),
    ],
)
async def test_a_first_message_that_is_no_join(
    server: StandIn, robot: Visitor, first: rtc.SignalResponse, words: str
) -> None:
    server.first = first
    with pytest.raises(RoomError, match=words):
        await robot.enter(server.url())


async def test_a_description_that_is_none(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await server.tell(rtc.SignalResponse(trickle=rtc.TrickleRequest(candidateInit="{")))
    need = rtc.MediaSectionsRequirement(num_audios=10**9)
    await server.tell(rtc.SignalResponse(media_sections_requirement=need))
    await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.told))
    (lost, *_) = [one for one in robot.told if isinstance(one, RoomLost)]
    assert lost.reason.startswith("the server's description cannot be taken: ")
    assert robot.connector.counters["candidates_ignored"] >= 1


async def test_an_offer_of_two_hundred_m_lines_takes_no_place_of_those_before(
    server: StandIn, robot: Visitor
) -> None:
    """It is another connection's, too; the room is lost, entered again, and cut on."""
    server.older = True
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    sdp = described([Track("audio", str(n)) for n in range(200)])
    await server.tell(rtc.SignalResponse(offer=rtc.SessionDescription(type="offer", sdp=sdp)))
    await robot.until(lambda: robot.facts().count(RoomEntered()) == 2)
    (lost,) = [one for one in robot.told if isinstance(one, RoomLost)]
    assert lost.reason.startswith("the server's description cannot be taken: ")


async def test_ice_that_never_connects(server: StandIn) -> None:
    """The server answers, and no check of connectivity."""
    server.deaf = True
    robot = visitor(replace(QUICK, connect_timeout=0.5))
    with pytest.raises(RoomError, match=r"no connection: not connected within 0\.5 s"):
        await robot.enter(server.url())


async def test_no_connection(server: StandIn) -> None:
    server.mute = True
    robot = visitor(replace(QUICK, connect_timeout=0.5))
    with pytest.raises(RoomError, match=r"no connection: no answer within 0\.5 s"):
        await robot.enter(server.url())
