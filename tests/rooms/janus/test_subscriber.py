"""One publisher's media: what is asked of Janus as what is wanted changes, and its ends."""

import asyncio
import math
from dataclasses import replace
from functools import partial

import pytest

from slicer.hot import Bundle
from slicer.rooms.janus import room as room_module
from slicer.rooms.janus import subscriber as module
from slicer.rooms.silence import MediaSilence
from slicer.rtp import rtcp
from slicer.rtp.parameters import Kind, Role
from slicer.rtp.rtcp.reports import ReceiverReport
from slicer.slicing.facts import TrackPublished, TrackUnpublished
from slicer.slicing.outputs import AnchorTrouble, AudioCut, PictureCut, TrackRefused
from slicer.slicing.spec import VideoSpec
from slicer.webrtc.connection import Connection, Network
from tests.harness.garbage import living, no_collector
from tests.harness.rooms.descriptions import Track, described
from tests.rooms.janus.conftest import SETTINGS, Robot

AUDIO, VIDEO = Kind.AUDIO, Kind.VIDEO


async def publishing(robot: Robot, *kinds: str) -> None:
    robot.room.publish("ada", *kinds)
    await robot.enter()
    await robot.connected()


async def test_a_picture_pauses_the_video_until_the_next(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumes: list[float] = []

    def soon(cut: PictureCut, spec: VideoSpec, now: float) -> float:
        resumes.append(spec.seconds)
        return now + 0.2

    monkeypatch.setattr(module, "resume_at", soon)
    await publishing(robot, "audio", "video")
    await robot.send(10.0)
    await robot.until(lambda: len(robot.room.asked("configure")) == 2)
    assert resumes == [5]
    assert [one["streams"] for one in robot.room.asked("configure")] == [
        [{"mid": "1", "send": False}],
        [{"mid": "1", "send": True}],
    ]


async def test_the_substream_that_is_enough_is_asked_for(robot: Robot) -> None:
    """The pictures of the test are 480 pixels high."""
    await publishing(robot, "audio", "video")
    wish = robot.wish("ada", VIDEO)
    robot.there.subscribe(replace(wish, spec=VideoSpec(5, max_height=360)))
    handle = robot.room.subscriber("ada")
    handle.tell({"videoroom": "event", "mid": "1", "substream": 2})
    await robot.send(10.0)
    wanted = [{"mid": "1", "substream": 1}]
    await robot.until(lambda: wanted in [one["streams"] for one in robot.room.asked("configure")])
    robot.there.unsubscribe(wish.track)
    await robot.until(lambda: robot.room.asked("unsubscribe"))
    robot.there.subscribe(wish)
    await robot.until(lambda: robot.room.asked("subscribe"))
    assert sum("substream" in one["streams"][0] for one in robot.room.asked("configure")) == 1


async def test_pauses_can_be_switched_off(robot: Robot) -> None:
    robot.room.publish("ada", "video")
    await robot.enter(settings=replace(SETTINGS, pause=False))
    await robot.connected()
    await robot.send(10.0)
    await robot.until(lambda: robot.cuts(PictureCut))
    await asyncio.sleep(0.05)
    assert robot.room.asked("configure") == []


async def test_a_video_whose_source_is_not_to_be_asked_is_not_paused(robot: Robot) -> None:
    """Janus asks for a keyframe as it resumes one."""
    robot.video = VideoSpec(5, keyframe_interval=math.inf)
    await publishing(robot, "video")
    await robot.send(10.0)
    await robot.until(lambda: robot.cuts(PictureCut))
    await asyncio.sleep(0.05)
    assert robot.room.asked("configure") == []


async def test_what_is_wanted_changes(robot: Robot) -> None:
    await publishing(robot, "audio", "video")
    robot.there.unsubscribe(robot.wish("ada", VIDEO).track)
    await robot.until(lambda: len(robot.room.asked("start")) == 2)
    (gone,) = robot.room.asked("unsubscribe")
    assert gone["streams"] == [{"sub_mid": "1"}]
    robot.there.subscribe(robot.wish("ada", VIDEO))
    await robot.until(lambda: len(robot.room.asked("start")) == 3)
    (back,) = robot.room.asked("subscribe")
    assert back["streams"] == [{"feed": "ada", "mid": "1"}]
    assert robot.connector.connections == 1
    await robot.send(10.0)
    await robot.until(lambda: robot.cuts(PictureCut))


async def test_a_publisher_adds_video(robot: Robot) -> None:
    await publishing(robot, "audio")
    robot.room.publish("ada", "audio", "video")
    await robot.until(lambda: len(robot.room.asked("start")) == 2)
    (added,) = robot.room.asked("subscribe")
    assert added["streams"] == [{"feed": "ada", "mid": "1"}]
    await robot.send(10.0)
    await robot.until(lambda: robot.cuts(PictureCut))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"janus": "hangup", "reason": "ICE failed"}, "Janus hung up: ICE failed"),
        ({"janus": "detached"}, "Janus ended the subscription"),
        ({"janus": "event", "plugindata": 5}, "Janus' answer cannot be read: plugindata.data is"),
        ({"janus": "trickle", "candidate": {"candidate": "m=x\r\n1"}}, "sdp: got"),
    ],
)
async def test_its_ends(robot: Robot, message: dict[str, object], reason: str) -> None:
    await publishing(robot, "audio")
    await robot.send(10.0)
    handle = robot.room.subscriber("ada")
    handle.session.emit({**message, "sender": handle.id})
    await robot.until(lambda: robot.facts()[-1] != TrackPublished("ada", AUDIO))
    ended = robot.facts()[-1]
    assert isinstance(ended, TrackUnpublished)
    assert ended.reason.startswith(reason)
    assert len(robot.cuts(AudioCut)) == 1
    await robot.until(lambda: robot.facts()[-1] == TrackPublished("ada", AUDIO))
    await robot.until(lambda: robot.connector.connections == 1)


async def test_ice_that_never_connects_is_told_in_time_and_tried_again(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "Network", partial(Network, connect_timeout=0.3))
    robot.room.deaf = True
    robot.room.publish("ada", "audio")
    await robot.enter()
    gone = TrackUnpublished("ada", AUDIO, "not connected within 0.3 s")
    await robot.until(lambda: gone in robot.facts())
    await robot.until(lambda: len(robot.room.asked("join")) == 3)  # the robot's, and two of ada
    assert robot.facts()[2:5] == [TrackPublished("ada", AUDIO), gone, TrackPublished("ada", AUDIO)]


async def test_candidates_that_come_later(robot: Robot) -> None:
    await publishing(robot, "audio")
    handle = robot.room.subscriber("ada")
    more = {"candidate": "candidate:2 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0"}
    for candidate in (more, {"completed": True}):
        handle.session.emit({"janus": "trickle", "sender": handle.id, "candidate": candidate})
    handle.session.emit({"janus": "webrtcup", "sender": handle.id})
    await robot.send(10.0)
    assert robot.connector.connections == 1


async def test_a_screen_is_cut_apart_from_the_camera(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its own m-line, and paused and resumed by itself."""
    monkeypatch.setattr(module, "resume_at", lambda cut, spec, now: now + 60)
    robot.room.publish("ada", "video", "audio", "video", descriptions={0: "ada's Screen"})
    await robot.enter()
    await robot.connected()
    handle = robot.room.subscriber("ada")
    camera = next(one for one in handle.tracks if handle.feed_mids[one.mid] == "2")
    assert handle.sfu is not None
    for number in range(10):
        await handle.sfu.send(camera, number, 7, 10 + number / 50)
    await robot.until(lambda: robot.cuts(PictureCut))
    assert {cut.track.role for cut in robot.cuts(PictureCut)} == {Role.MAIN}
    await robot.until(lambda: robot.room.asked("configure"))
    assert robot.room.asked("configure")[0]["streams"] == [{"mid": camera.mid, "send": False}]
    screen = next(one for one in handle.tracks if handle.feed_mids[one.mid] == "0")
    for number in range(10):
        await handle.sfu.send(screen, number, 8, 10 + number / 50)
    await robot.until(lambda: len(robot.room.asked("configure")) == 2)
    assert robot.room.asked("configure")[1]["streams"] == [{"mid": screen.mid, "send": False}]
    assert {cut.track.role for cut in robot.cuts(PictureCut)} == set(Role)
    robot.there.unsubscribe(robot.wish("ada", VIDEO, Role.AUX).track)
    await robot.until(lambda: robot.room.asked("unsubscribe"))
    assert robot.room.asked("unsubscribe")[0]["streams"] == [{"sub_mid": screen.mid}]


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        ("hello", "a session description"),
        (described([Track("audio", str(n)) for n in range(600)]), "600 m-lines"),
        (described([Track("audio", "0", "inactive")]), "an m-line that sends"),
    ],
)
async def test_an_offer_that_cannot_be_taken_is_told_and_not_asked_for_again(
    robot: Robot, offer: str, says: str
) -> None:
    robot.room.offers = [offer]
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.until(lambda: isinstance(robot.facts()[-1], TrackRefused))
    refused = robot.facts()[-1]
    assert isinstance(refused, TrackRefused)
    assert says in refused.reason
    await robot.until(lambda: len(robot.room.handles) == 1)
    assert robot.connector.connections == 0


async def test_of_two_hundred_m_lines_two_of_a_kind_are_taken(robot: Robot) -> None:
    robot.room.publish("ada", "audio")
    lines = [Track("audio", str(n)) for n in range(200)]
    await robot.enter()
    await robot.connected()
    sfu = robot.room.subscriber("ada").sfu
    assert sfu is not None
    handle = robot.room.subscriber("ada")
    streams = [{"mid": one.mid, "feed_mid": "0"} for one in lines]
    data = {"videoroom": "updated", "streams": streams}
    handle.tell(data, jsep={"type": "offer", "sdp": await sfu.offer(lines)})
    await robot.until(lambda: len(robot.room.asked("start")) == 2)
    assert robot.connector.connections == 1
    answered = next(one for one in reversed(robot.room.requests) if "jsep" in one)["jsep"]["sdp"]
    assert answered.count("a=recvonly") == 2
    assert answered.count("m=audio 0 ") == 198


async def test_a_publisher_that_sends_nothing_is_told_while_janus_goes_on(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "LOOK", 0.1)
    robot.room.publish("ada", "audio")
    await robot.enter(settings=replace(SETTINGS, silence=0.5))
    await robot.connected()
    await robot.send(10.0)
    sfu, reason = robot.room.subscriber("ada").sfu, "no media for 0.5 s, and nothing says that "
    assert sfu is not None
    trouble = AnchorTrouble("ada", f"{reason}it is muted", 1)
    while trouble not in robot.told:
        await sfu.send_raw(rtcp.build([ReceiverReport(1, ())]))
        await asyncio.sleep(0.02)
    await robot.send(11.0)
    assert [one for one in robot.facts() if isinstance(one, TrackUnpublished)] == []
    assert robot.facts().count(trouble) == 1


async def test_media_is_expected_while_a_track_flows(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: list[bool] = []

    def expect(self: MediaSilence, flows: bool, now: float) -> None:
        if expected[-1:] != [flows]:
            expected.append(flows)

    monkeypatch.setattr(MediaSilence, "expect", expect)
    monkeypatch.setattr(module, "resume_at", lambda cut, spec, now: now + 0.2)
    monkeypatch.setattr(room_module, "LOOK", 0.05)
    await publishing(robot, "video")
    await robot.send(10.0)
    await robot.until(lambda: len(expected) == 4)
    assert expected == [False, True, False, True]  # subscribed to; it comes; paused; resumed
    robot.room.tell(id="ada", mid="0", moderation="muted")
    await robot.until(lambda: len(expected) == 5)
    robot.room.tell(id="ada", mid="0", moderation="unmuted")
    await robot.until(lambda: len(expected) == 6)


async def test_a_publisher_that_left_is_freed_without_the_garbage_collector(robot: Robot) -> None:
    parts = (module.Subscriber, Connection, Bundle)
    with no_collector():
        before = living(*parts)
        await publishing(robot, "audio", "video")
        await robot.send(10.0)
        assert living(*parts) - before == {"Subscriber": 1, "Connection": 1, "Bundle": 1}
        robot.room.unpublish("ada")
        await robot.until(lambda: not living(*parts) - before)
