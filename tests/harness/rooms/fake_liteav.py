"""A stand-in for Tencent's `liteav`, which may not be shipped and does not run without its servers.

It has the names and types of liteav 13.2 that we use, and checks what pybind11 checks there: that
an attribute exists and gets a value of its type, and that the delegate is a TRTCCloudDelegate.
`test_cloud.py` compares it with the real one where that is installed.
"""

import enum
from typing import Any, ClassVar


class StreamType(enum.IntEnum):
    STREAM_TYPE_AUDIO = 1
    STREAM_TYPE_VIDEO_HIGH = 2
    STREAM_TYPE_VIDEO_LOW = 3
    STREAM_TYPE_VIDEO_AUX = 7


class TRTCRole(enum.IntEnum):
    TRTC_ROLE_ANCHOR = 0
    TRTC_ROLE_AUDIENCE = 1


class TRTCScene(enum.IntEnum):
    TRTC_SCENE_VIDEO_CALL = 0
    TRTC_SCENE_RECORD = 4


class AudioCodecType(enum.IntEnum):
    AUDIO_CODEC_TYPE_PCM = 0
    AUDIO_CODEC_TYPE_OPUS = 1


class VideoCodecType(enum.IntEnum):
    VIDEO_CODEC_TYPE_H264 = 0
    VIDEO_CODEC_TYPE_H265 = 1


class AudioObtainMethod(enum.IntEnum):
    AUDIO_OBTAIN_METHOD_GET = 0
    AUDIO_OBTAIN_METHOD_CALLBACK = 1


class ConnectionState(enum.IntEnum):
    CONNECTION_STATE_INIT = 0
    CONNECTION_STATE_DISCONNECTED = 1
    CONNECTION_STATE_CONNECTING = 2
    CONNECTION_STATE_CONNECTED = 3


for _members in (
    StreamType,
    TRTCRole,
    TRTCScene,
    AudioCodecType,
    VideoCodecType,
    AudioObtainMethod,
    ConnectionState,
):
    globals().update({member.name: member for member in _members})


class _Checked:
    """An object of the SDK: *types* of its attributes, which are there from the start."""

    types: ClassVar[dict[str, type]] = {}

    def __init__(self) -> None:
        for name, kind in self.types.items():
            first = next(iter(kind)) if issubclass(kind, enum.Enum) else kind()
            object.__setattr__(self, name, first)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.types:
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        if not isinstance(value, self.types[name]):
            raise TypeError(f"{name}: {value!r} is no {self.types[name].__name__}")
        object.__setattr__(self, name, value)


class TrtcString:
    def __init__(self, value: str = "") -> None:
        self._value = value

    def GetValue(self) -> str:
        return self._value

    def SetValue(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a str")
        self._value = value


class UserInfo(_Checked):
    types: ClassVar[dict[str, type]] = {"user_id": TrtcString}


class RoomParams(_Checked):
    types: ClassVar[dict[str, type]] = {
        "sdk_app_id": int,
        "user_id": TrtcString,
        "room_id": int,
        "user_sig": TrtcString,
        "str_room_id": TrtcString,
    }


class AudioObtainParams(_Checked):
    types: ClassVar[dict[str, type]] = {
        "audio_obtain_method": AudioObtainMethod,
        "enable_remote_audio_mix": bool,
        "output_sample_rate": int,
        "output_channels": int,
        "output_frame_length_ms": int,
        "output_audio_codec_type": AudioCodecType,
    }


class EnterRoomParams(_Checked):
    types: ClassVar[dict[str, type]] = {
        "room": RoomParams,
        "role": TRTCRole,
        "scene": TRTCScene,
        "audio_obtain_params": AudioObtainParams,
        "private_map_key": TrtcString,
        "use_pixel_frame_input": bool,
        "use_pixel_frame_output": bool,
    }


class AudioFrame(_Checked):
    types: ClassVar[dict[str, type]] = {"pts": int, "codec": AudioCodecType, "data": bytes}


class VideoFrame(_Checked):
    types: ClassVar[dict[str, type]] = {
        "pts": int,
        "dts": int,
        "codec": VideoCodecType,
        "is_key_frame": bool,
        "data": bytes,
    }


class TRTCCloudDelegate:
    """Its methods do nothing unless they are overridden."""

    def OnError(self, error: int) -> None: ...

    def OnConnectionStateChanged(self, old: ConnectionState, new: ConnectionState) -> None: ...

    def OnEnterRoom(self) -> None: ...

    def OnExitRoom(self) -> None: ...

    def OnRemoteUserEnterRoom(self, info: UserInfo) -> None: ...

    def OnRemoteUserExitRoom(self, info: UserInfo, reason: int) -> None: ...

    def OnRemoteAudioAvailable(self, user_id: str, available: bool) -> None: ...

    def OnRemoteVideoAvailable(self, user_id: str, available: bool, kind: StreamType) -> None: ...

    def OnRemoteAudioReceived(self, user_id: str, frame: AudioFrame) -> None: ...

    def OnRemoteVideoFrameReceived(
        self, user_id: str, kind: StreamType, frame: VideoFrame
    ) -> None: ...


class TXLiveSDK:
    """*quiet*: what was switched off."""

    quiet: ClassVar[set[str]] = set()

    @staticmethod
    def DisableConsoleLog() -> None:
        TXLiveSDK.quiet.add("console")

    @staticmethod
    def DisableLogFile(disabled: bool) -> None:
        TXLiveSDK.quiet |= {"file"} if disabled else set()


class TRTCCloud:
    """*answer*: what EnterRoom returns next; *entered*: the parameters; *calls*: what was asked."""

    answer: ClassVar[int] = 0
    last: ClassVar["TRTCCloud"]

    def __init__(self, delegate: TRTCCloudDelegate) -> None:
        if not isinstance(delegate, TRTCCloudDelegate):
            raise TypeError("a TRTCCloudDelegate")
        self.delegate = delegate
        self.entered: EnterRoomParams | None = None
        self.calls: list[tuple[object, ...]] = []
        TRTCCloud.last = self

    def EnterRoom(self, params: EnterRoomParams) -> int:
        if not isinstance(params, EnterRoomParams):
            raise TypeError("EnterRoomParams")
        self.entered = params
        return self.answer

    def ExitRoom(self) -> int:
        self.calls.append(("exit",))
        return 0

    def Subscribe(self, user_id: str, kind: StreamType) -> int:
        self.calls.append(("subscribe", user_id, StreamType(kind)))
        return 0

    def Unsubscribe(self, user_id: str, kind: StreamType) -> int:
        self.calls.append(("unsubscribe", user_id, StreamType(kind)))
        return -3


def CreateTRTCCloud(delegate: TRTCCloudDelegate) -> TRTCCloud:
    return TRTCCloud(delegate)


def DestroyTRTCCloud(cloud: TRTCCloud) -> None:
    cloud.calls.append(("destroy",))
