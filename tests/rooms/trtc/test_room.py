"""TRTC's rooms against a stand-in of its SDK: who is told, what is cut, and why it ends."""

import asyncio
import sys
import threading
from typing import Any

import pytest

from slicer.clock import LoopClock
from slicer.errors import BadInput, RoomError
from slicer.rooms import Context, parse_room
from slicer.rooms.trtc.room import TrtcConnector
from slicer.rooms.trtc.settings import TrtcSettings
from slicer.rtp.parameters import H264, H265, OPUS, Codec, Kind, Role
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import (
    AudioCut,
    EndReason,
    PictureCut,
    Subscribe,
    TrackKey,
    TrackOutput,
    TrackRefused,
)
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.clock import ManualClock
from tests.harness.media.video import encoded
from tests.harness.rooms import fake_liteav as fake

APP = 1_400_000_001
SETTINGS = TrtcSettings(APP, "hush", 1)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liteav", fake)
    monkeypatch.setattr(fake.TRTCCloud, "answer", 0)


class Robot:
    """A task in a room; the SDK calls from a thread of its own."""

    def __init__(self) -> None:
        self.told: list[Fact] = []
        self.cuts: list[TrackOutput] = []
        self.connector = TrtcConnector(Context(LoopClock(), trtc=SETTINGS))

    async def open(self, url: str = f"trtc://{APP}/lobby") -> "Robot":
        self.room = await self.connector.open(parse_room(url), "robot", self._listen)
        self.cloud = fake.TRTCCloud.last
        return self

    async def enter(self) -> None:
        entering = asyncio.ensure_future(self.room.enter())
        while self.cloud.entered is None:
            await asyncio.sleep(0.005)
        await self.call("OnEnterRoom")
        await entering

    async def call(self, name: str, *values: Any) -> None:
        thread = threading.Thread(target=getattr(self.cloud.delegate, name), args=values)
        thread.start()
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(0.01)

    async def hear(self, user: str, first: int, count: int) -> None:
        for number in range(first, first + count):
            frame = fake.AudioFrame()
            frame.pts, frame.codec = number * 20, fake.AudioCodecType.AUDIO_CODEC_TYPE_OPUS
            frame.data = b"\xfc\xff\xfe" + bytes([number])
            self.cloud.delegate.OnRemoteAudioReceived(user, frame)
        await asyncio.sleep(0.01)

    async def see(
        self,
        user: str,
        codec: fake.VideoCodecType,
        count: int = 3,
        stream: fake.StreamType = fake.StreamType.STREAM_TYPE_VIDEO_HIGH,
    ) -> None:
        unit = encoded("h265" if codec else "h264")[0].data
        for number in range(count):
            frame = fake.VideoFrame()
            frame.pts, frame.codec, frame.data = number * 100, codec, unit
            self.cloud.delegate.OnRemoteVideoFrameReceived(user, stream, frame)
        await asyncio.sleep(0.01)

    async def cut(self, kind: type[AudioCut] | type[PictureCut], codec: Codec) -> Any:
        """The first cut of this kind and codec, once it is there."""
        async with asyncio.timeout(10):
            while True:
                for one in self.cuts:
                    if isinstance(one, kind) and one.codec == codec:
                        return one
                await asyncio.sleep(0.01)

    def _listen(self, event: Any) -> None:
        if isinstance(event, AudioCut | PictureCut):
            self.cuts.append(event)
            return
        self.told.append(event)
        if isinstance(event, TrackPublished):
            spec = AudioSpec(1) if event.kind is Kind.AUDIO else VideoSpec(1)
            track = TrackKey("t", event.anchor, event.kind, event.role)
            self.room.subscribe(Subscribe(track, spec))
        elif isinstance(event, RoomLost):
            for kind in Kind:
                self.room.unsubscribe(TrackKey("t", "ada", kind))


def user(name: str) -> fake.UserInfo:
    info = fake.UserInfo()
    info.user_id.SetValue(name)
    return info


async def test_a_robot_enters_as_an_audience_that_gets_what_is_encoded() -> None:
    robot = await Robot().open()
    await robot.enter()
    params = robot.cloud.entered
    assert params is not None
    room = params.room
    assert (room.sdk_app_id, room.user_id.GetValue()) == (APP, "robot")
    assert (room.room_id, room.str_room_id.GetValue()) == (0, "lobby")
    assert len(room.user_sig.GetValue()) > 50
    assert len(params.private_map_key.GetValue()) > 50
    assert params.role is fake.TRTCRole.TRTC_ROLE_AUDIENCE
    assert params.audio_obtain_params.output_audio_codec_type == 1
    assert params.use_pixel_frame_output is False
    assert robot.told == [RoomEntered()]
    assert fake.TXLiveSDK.quiet == {"console", "file"}
    assert robot.connector.connections == 1
    await robot.connector.close()
    assert robot.cloud.calls == [("exit",), ("destroy",)]
    numeric = await Robot().open(f"trtc://{APP}/123?id=number")
    await numeric.enter()
    assert numeric.cloud.entered is not None
    assert numeric.cloud.entered.room.room_id == 123
    await numeric.room.leave()
    await numeric.room.leave()


async def test_an_anchor_is_published_with_its_first_frames_and_cut() -> None:
    robot = await Robot().open()
    await robot.enter()
    await robot.call("OnRemoteUserEnterRoom", user("ada"))
    await robot.call("OnRemoteAudioAvailable", "ada", True)
    assert robot.told[1:] == [AnchorJoined("ada")]
    await robot.hear("ada", 0, 60)
    await robot.see("ada", fake.VideoCodecType.VIDEO_CODEC_TYPE_H264)
    published = [TrackPublished("ada", kind) for kind in Kind]
    assert robot.told[2:] == published
    assert ("subscribe", "ada", 1) in robot.cloud.calls
    assert ("subscribe", "ada", 2) in robot.cloud.calls
    heard = await robot.cut(AudioCut, OPUS)
    assert (heard.start, heard.end) == (0, 48_000)
    await robot.cut(PictureCut, H264)
    await robot.see("ada", fake.VideoCodecType.VIDEO_CODEC_TYPE_H265)
    changed = [TrackUnpublished("ada", Kind.VIDEO, "its codec changed"), published[1]]
    assert robot.told[4:] == changed
    await robot.cut(PictureCut, H265)
    high = fake.StreamType.STREAM_TYPE_VIDEO_HIGH
    aux = fake.StreamType.STREAM_TYPE_VIDEO_AUX
    await robot.call("OnRemoteVideoAvailable", "ada", False, aux)
    assert len(robot.told) == 6
    await robot.call("OnRemoteVideoAvailable", "ada", False, high)
    await robot.call("OnRemoteVideoAvailable", "ada", False, high)
    assert robot.told[6:] == [TrackUnpublished("ada", Kind.VIDEO, "the anchor stopped it")]
    robot.room.unsubscribe(TrackKey("t", "ada", Kind.AUDIO))
    assert robot.connector.counters["trtc_refused"] == 1
    await robot.call("OnRemoteUserExitRoom", user("ada"), 1)
    await robot.call("OnRemoteUserExitRoom", user("ada"), 1)
    assert robot.told[7:] == [AnchorLeft("ada", "its heartbeat was missed")]
    await robot.room.leave()


async def test_a_screen_is_an_anchors_auxiliary_track() -> None:
    robot = await Robot().open()
    await robot.enter()
    aux, h264 = fake.StreamType.STREAM_TYPE_VIDEO_AUX, fake.VideoCodecType(0)
    await robot.see("ada", h264, stream=aux)
    shown = TrackPublished("ada", Kind.VIDEO, Role.AUX)
    assert robot.told[1:] == [AnchorJoined("ada"), shown]
    assert ("subscribe", "ada", aux) in robot.cloud.calls
    cut = await robot.cut(PictureCut, H264)
    assert cut.track == TrackKey("t", "ada", Kind.VIDEO, Role.AUX)
    await robot.see("ada", h264)
    await robot.call("OnRemoteVideoAvailable", "ada", False, aux)
    gone = TrackUnpublished("ada", Kind.VIDEO, "the anchor stopped it", Role.AUX)
    assert robot.told[-2:] == [TrackPublished("ada", Kind.VIDEO), gone]
    robot.room.unsubscribe(cut.track)
    assert robot.cloud.calls[-1] == ("unsubscribe", "ada", aux)
    await robot.room.leave()


async def test_a_connection_that_breaks_is_lost_and_all_come_anew() -> None:
    robot = await Robot().open()
    await robot.enter()
    state = fake.ConnectionState
    await robot.hear("ada", 0, 20)
    broke = (state.CONNECTION_STATE_CONNECTED, state.CONNECTION_STATE_DISCONNECTED)
    await robot.call("OnConnectionStateChanged", *broke)
    await robot.call("OnConnectionStateChanged", *broke)
    await robot.call("OnError", -103)
    lost = [fact for fact in robot.told if isinstance(fact, RoomLost)]
    assert lost == [RoomLost("TRTC: the connection broke")]
    assert len(robot.cuts) == 1
    await robot.hear("ada", 20, 5)
    connecting = (state.CONNECTION_STATE_DISCONNECTED, state.CONNECTION_STATE_CONNECTING)
    await robot.call("OnConnectionStateChanged", *connecting)
    back = (state.CONNECTION_STATE_CONNECTING, state.CONNECTION_STATE_CONNECTED)
    await robot.call("OnConnectionStateChanged", *back)
    await robot.hear("ada", 25, 5)
    audio = TrackPublished("ada", Kind.AUDIO)
    assert robot.told[-3:] == [RoomEntered(), AnchorJoined("ada"), audio]
    await robot.room.leave()


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [("OnError", (-205,), EndReason.KICKED), ("OnExitRoom", (), EndReason.ROOM_GONE)],
)
async def test_a_room_that_is_over_says_so(
    name: str, values: tuple[int, ...], reason: EndReason
) -> None:
    robot = await Robot().open()
    await robot.enter()
    await robot.hear("ada", 0, 20)
    await robot.call(name, *values)
    assert robot.told[-2:] == [AnchorLeft("ada", "the room ended"), Stopped(reason)]
    assert len(robot.cuts) == 1
    await robot.room.leave()


async def test_what_is_not_let_in_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = await Robot().open()
    entering = asyncio.ensure_future(robot.room.enter())
    await asyncio.sleep(0.05)
    none, lost = fake.ConnectionState(0), fake.ConnectionState(1)
    await robot.call("OnConnectionStateChanged", none, lost)
    await robot.call("OnError", -3320)
    with pytest.raises(RoomError, match=r"TRTC: wrong UserSig \(-3320\)"):
        await entering
    with pytest.raises(RoomError, match="left"):
        await robot.room.enter()
    silent = await Robot().open()
    with pytest.raises(RoomError, match="TRTC: not let in within 1 s"):
        await silent.room.enter()
    assert silent.cloud.calls == [("exit",), ("destroy",)]
    monkeypatch.setattr(fake.TRTCCloud, "answer", -2)
    refused = await Robot().open()
    with pytest.raises(RoomError, match=r"TRTC: an error \(-2\)"):
        await refused.room.enter()
    assert refused.told == silent.told == []


async def test_frames_of_other_codecs_are_counted_and_told_once() -> None:
    robot = await Robot().open()
    await robot.enter()
    for _ in range(2):
        robot.cloud.delegate.OnRemoteAudioReceived("ada", fake.AudioFrame())
    await asyncio.sleep(0.01)
    assert robot.connector.counters["unknown_codec"] == 2
    assert robot.connector.counters["packets_refused"] == 2
    refused = TrackRefused("ada", Kind.AUDIO, "a codec that is not opus")
    assert robot.told == [RoomEntered(), AnchorJoined("ada"), refused]
    await robot.hear("ada", 0, 1)
    assert robot.told[-1] == TrackPublished("ada", Kind.AUDIO)
    await robot.room.leave()
    robot.room.subscribe(Subscribe(TrackKey("t", "ada", Kind.AUDIO), AudioSpec(1)))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"trtc://{APP}/", "trtc://SDKAPPID/ROOM"),
        (f"trtc://{APP}/a/b", "trtc://SDKAPPID/ROOM"),
        (f"trtc://{APP}/lobby?id=number", "trtc://SDKAPPID/ROOM"),
        (f"trtc://{APP}/0?id=number", "trtc://SDKAPPID/ROOM"),
        (f"trtc://{APP}/1?id=text", "trtc://SDKAPPID/ROOM"),
        (f"trtc://{APP}/1?pin=1", "not 'pin'"),
        ("trtc://7/lobby", "trtc.sdk_app_id"),
    ],
)
async def test_what_can_be_no_room_is_refused(url: str, says: str) -> None:
    connector = Robot().connector
    connector.check(parse_room(f"trtc://{APP}/lobby"))
    with pytest.raises(BadInput) as refused:
        connector.check(parse_room(url))
    assert says in str(refused.value)


def test_without_an_application_its_setting_is_named() -> None:
    connector = TrtcConnector(Context(ManualClock()))
    with pytest.raises(BadInput, match=r"trtc\.sdk_app_id: got 0"):
        connector.check(parse_room("trtc://7/lobby"))


async def test_without_the_sdk_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liteav", None)
    with pytest.raises(BadInput, match="pip install liteav"):
        Robot().connector.check(parse_room(f"trtc://{APP}/lobby"))
