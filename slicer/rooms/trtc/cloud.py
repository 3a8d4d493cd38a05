"""Tencent's `liteav`, the one place that knows it: a room entered, its callbacks as events.

The SDK is proprietary. It is no dependency, and is imported when a room of it is opened. Its
callbacks come on threads of its own: each is handed over to the loop, frames by a bounded queue.

From its interface (liteav 13.2, `__init__.pyi`): `EnterRoom` returns 0 before anything is known,
and OnEnterRoom or OnError tells how it went. Encoded Opus comes where `output_audio_codec_type`
asks for it, access units with start codes where `use_pixel_frame_output` is off. It subscribes to
everything by itself, connects again by itself, and offers no way to ask for a keyframe.
"""

import asyncio
import importlib
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind, Role, Slot

MODULE = "liteav"
MAX_QUEUED = 1_000
"""Frames that wait for the loop, of all users of a room: some 12 s of one of them."""
_NAMES = {
    -6: "the server did not answer",
    -103: "the network cannot be reached",
    -205: "removed by the server",
    -3301: "entering failed",
    -3317: "wrong SDKAppID",
    -3318: "wrong room id",
    -3319: "wrong user id",
    -3320: "wrong UserSig",
    -100013: "the account is suspended",
}
BANNED = -205
LEFT = {
    0: "left the room",
    1: "its heartbeat was missed",
    2: "removed by the server",
    3: "became an audience",
}
"""OnRemoteUserExitRoom's reasons."""


class CloudFrame(NamedTuple):
    """One encoded frame of a user's track. *codec*: "opus", "h264", "h265", or "" for what is
    neither; *milliseconds*: its timestamp."""

    user: str
    slot: Slot
    codec: str
    milliseconds: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CloudEvents:
    """Callbacks on the loop's thread. *error* with a number of the SDK's; *available* when a user
    begins or ends to send a track."""

    entered: Callable[[], None]
    exited: Callable[[], None]
    error: Callable[[int], None]
    connected: Callable[[bool], None]
    joined: Callable[[str], None]
    left: Callable[[str, str], None]
    available: Callable[[str, Slot, bool], None]
    frames: Callable[[list[CloudFrame]], None]


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a robot enters with. *room*: a number, or a text: TRTC has them as different rooms."""

    sdk_app_id: int
    user: str
    user_sig: str = field(repr=False)
    private_map_key: str = field(repr=False)
    room: int | str


def load() -> ModuleType:
    """The SDK. Raises BadInput where it is not installed, or cannot be loaded here."""
    try:
        liteav = importlib.import_module(MODULE)
    except ImportError as error:
        allowed = f"trtc:// needs Tencent's proprietary SDK: pip install {MODULE} ({error})"
        raise BadInput("room", "trtc://", allowed) from None
    # It would write a line for each step, to the console and to files in the home folder.
    liteav.TXLiveSDK.DisableConsoleLog()
    liteav.TXLiveSDK.DisableLogFile(True)
    return liteav


def words(error: int) -> str:
    """What an error of the SDK means."""
    return f"TRTC: {_NAMES.get(error, 'an error')} ({error})"


class Cloud:
    """One presence in one room."""

    def __init__(self, liteav: ModuleType, events: CloudEvents) -> None:
        self.counters: Counter[str] = Counter()
        self._liteav, self._events = liteav, events
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._queue: list[CloudFrame] = []
        self._silent = False
        self._streams: dict[Slot, Any] = {
            (Kind.AUDIO, Role.MAIN): liteav.STREAM_TYPE_AUDIO,
            (Kind.VIDEO, Role.MAIN): liteav.STREAM_TYPE_VIDEO_HIGH,
            (Kind.VIDEO, Role.AUX): liteav.STREAM_TYPE_VIDEO_AUX,
        }
        self._video_codecs = {
            int(liteav.VIDEO_CODEC_TYPE_H264): "h264",
            int(liteav.VIDEO_CODEC_TYPE_H265): "h265",
        }
        self._cloud = liteav.CreateTRTCCloud(self._delegate())

    def enter(self, entrance: Entrance) -> int:
        """Begin to enter, as an audience that hears Opus and sees access units; 0, or the error.
        It blocks for as long as the SDK likes."""
        liteav = self._liteav
        params = liteav.EnterRoomParams()
        params.room.sdk_app_id = entrance.sdk_app_id
        params.room.user_id.SetValue(entrance.user)
        params.room.user_sig.SetValue(entrance.user_sig)
        if isinstance(entrance.room, int):
            params.room.room_id = entrance.room
        else:
            params.room.room_id = 0
            params.room.str_room_id.SetValue(entrance.room)
        params.private_map_key.SetValue(entrance.private_map_key)
        params.role = liteav.TRTC_ROLE_AUDIENCE
        params.scene = liteav.TRTC_SCENE_RECORD
        params.use_pixel_frame_output = False
        audio = params.audio_obtain_params
        audio.audio_obtain_method = liteav.AUDIO_OBTAIN_METHOD_CALLBACK
        audio.enable_remote_audio_mix = False
        audio.output_audio_codec_type = liteav.AUDIO_CODEC_TYPE_OPUS
        audio.output_sample_rate = 48_000
        params.audio_obtain_params = audio
        return int(self._cloud.EnterRoom(params))

    def exit(self) -> None:
        """Leave; nothing is called back any more. It blocks for as long as the SDK likes."""
        self.silence()
        self._cloud.ExitRoom()
        self._liteav.DestroyTRTCCloud(self._cloud)

    def silence(self) -> None:
        """Call back no more."""
        self._silent = True

    def subscribe(self, user: str, slot: Slot, wanted: bool) -> None:
        """Have a user's track sent to us, or no longer; a refusal is counted."""
        verb = self._cloud.Subscribe if wanted else self._cloud.Unsubscribe
        if verb(user, self._streams[slot]) != 0:
            self.counters["trtc_refused"] += 1

    def _put(self, frame: CloudFrame) -> None:
        """From any thread. What the loop does not take in time is dropped, and counted."""
        with self._lock:
            if len(self._queue) >= MAX_QUEUED:
                self.counters["frames_dropped"] += 1
                return
            first = not self._queue
            self._queue.append(frame)
        if first:
            self._call(self._take)

    def _take(self) -> None:
        with self._lock:
            frames, self._queue = self._queue, []
        self._events.frames(frames)

    def _call(self, callback: Callable[..., None], *values: Any) -> None:
        def call() -> None:
            if not self._silent:
                callback(*values)

        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(call)

    def _delegate(self) -> Any:
        """The SDK calls methods of a subclass of its own type, so there has to be one."""
        liteav, events, call, put = self._liteav, self._events, self._call, self._put
        video_codecs, opus = self._video_codecs, int(liteav.AUDIO_CODEC_TYPE_OPUS)
        connected = int(liteav.CONNECTION_STATE_CONNECTED)
        lost = int(liteav.CONNECTION_STATE_DISCONNECTED)
        audio = Kind.AUDIO, Role.MAIN
        slots = {int(stream): slot for slot, stream in self._streams.items() if slot != audio}

        class Delegate(liteav.TRTCCloudDelegate):  # type: ignore[misc, name-defined]
            def OnEnterRoom(self) -> None:
                call(events.entered)

            def OnExitRoom(self) -> None:
                call(events.exited)

            def OnError(self, error: Any) -> None:
                call(events.error, int(error))

            def OnConnectionStateChanged(self, old: Any, new: Any) -> None:
                if int(new) in {connected, lost}:
                    call(events.connected, int(new) == connected)

            def OnRemoteUserEnterRoom(self, info: Any) -> None:
                call(events.joined, info.user_id.GetValue())

            def OnRemoteUserExitRoom(self, info: Any, reason: int) -> None:
                call(events.left, info.user_id.GetValue(), LEFT.get(reason, f"reason {reason}"))

            def OnRemoteAudioAvailable(self, user_id: str, available: bool) -> None:
                call(events.available, user_id, audio, available)

            def OnRemoteVideoAvailable(self, user_id: str, available: bool, kind: Any) -> None:
                if int(kind) in slots:  # and not the low stream beside the high one
                    call(events.available, user_id, slots[int(kind)], available)

            def OnRemoteAudioReceived(self, user_id: str, frame: Any) -> None:
                codec = "opus" if int(frame.codec) == opus else ""
                put(CloudFrame(user_id, audio, codec, frame.pts, frame.data))

            def OnRemoteVideoFrameReceived(self, user_id: str, kind: Any, frame: Any) -> None:
                if int(kind) in slots:
                    codec = video_codecs.get(int(frame.codec), "")
                    put(CloudFrame(user_id, slots[int(kind)], codec, frame.pts, frame.data))

        return Delegate()
