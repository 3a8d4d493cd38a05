"""The seam to Tencent's SDK: bounded, silent after the end, and as its real types are."""

import asyncio
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from slicer.errors import BadInput
from slicer.rooms.trtc import cloud as module
from slicer.rooms.trtc.cloud import Cloud, CloudEvents, CloudFrame, Entrance, load, words
from slicer.rtp.parameters import Kind, Role
from tests.harness.rooms import fake_liteav as fake

INSTALLED = importlib.util.find_spec("liteav") is not None


def events(frames: Callable[[list[CloudFrame]], None], note: Callable[[str], None]) -> CloudEvents:
    def told(name: str) -> Callable[..., None]:
        return lambda *values: note(" ".join([name, *map(str, values)]))

    return CloudEvents(
        told("entered"),
        told("exited"),
        told("error"),
        told("connected"),
        told("joined"),
        told("left"),
        lambda user, slot, there: note(f"{' '.join(slot)} {user} {there}"),
        frames,
    )


def audio(number: int) -> fake.AudioFrame:
    frame = fake.AudioFrame()
    frame.pts, frame.codec, frame.data = number, fake.AudioCodecType(1), b"\xf8"
    return frame


async def test_what_the_loop_does_not_take_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 3)
    taken: list[CloudFrame] = []
    cloud = Cloud(fake, events(taken.extend, print))
    delegate = fake.TRTCCloud.last.delegate
    for number in range(5):
        delegate.OnRemoteAudioReceived("ada", audio(number))
    low = fake.StreamType.STREAM_TYPE_VIDEO_LOW
    delegate.OnRemoteVideoFrameReceived("ada", low, fake.VideoFrame())
    await asyncio.sleep(0.01)
    assert [frame.milliseconds for frame in taken] == [0, 1, 2]
    assert cloud.counters == {"frames_dropped": 2}


async def test_after_the_end_nothing_is_called_back() -> None:
    noted: list[str] = []
    cloud = Cloud(fake, events(print, noted.append))
    delegate = fake.TRTCCloud.last.delegate
    delegate.OnError(-1)
    delegate.OnEnterRoom()
    await asyncio.sleep(0.01)
    cloud.exit()
    delegate.OnExitRoom()
    await asyncio.sleep(0.01)
    assert noted == ["error -1", "entered"]


def test_a_loop_that_is_closed_hears_nothing() -> None:
    async def make() -> fake.TRTCCloudDelegate:
        Cloud(fake, events(print, print))
        return fake.TRTCCloud.last.delegate

    delegate = asyncio.run(make())
    thread = threading.Thread(target=delegate.OnEnterRoom)
    thread.start()
    thread.join()


async def test_every_callback_comes_on_the_loop_in_its_order() -> None:
    noted: list[str] = []
    cloud = Cloud(fake, events(print, noted.append))
    delegate = fake.TRTCCloud.last.delegate
    info, state = fake.UserInfo(), fake.ConnectionState
    info.user_id.SetValue("ada")

    def call() -> None:
        delegate.OnEnterRoom()
        delegate.OnRemoteUserEnterRoom(info)
        delegate.OnRemoteAudioAvailable("ada", True)
        for stream in fake.StreamType:
            delegate.OnRemoteVideoAvailable("ada", True, stream)
        delegate.OnRemoteUserExitRoom(info, 9)
        for new in state:
            delegate.OnConnectionStateChanged(state(0), new)
        delegate.OnExitRoom()

    await asyncio.to_thread(call)
    await asyncio.sleep(0.01)
    assert noted == [
        "entered",
        "joined ada",
        "audio main ada True",
        "video main ada True",
        "video aux ada True",
        "left ada reason 9",
        "connected False",
        "connected True",
        "exited",
    ]
    cloud.exit()


async def test_what_a_robot_enters_with_and_asks_for() -> None:
    cloud = Cloud(fake, events(print, print))
    last = fake.TRTCCloud.last
    entrance = Entrance(7, "robot", "signature", "allowed", 123)
    assert cloud.enter(entrance) == 0
    assert last.entered is not None
    assert last.entered.room.room_id == 123
    assert "signature" not in repr(entrance)
    cloud.enter(Entrance(7, "robot", "signature", "allowed", "123"))
    assert (last.entered.room.room_id, last.entered.room.str_room_id.GetValue()) == (0, "123")
    cloud.subscribe("ada", (Kind.AUDIO, Role.MAIN), wanted=True)
    cloud.subscribe("ada", (Kind.VIDEO, Role.MAIN), wanted=False)
    cloud.subscribe("ada", (Kind.VIDEO, Role.AUX), wanted=True)
    asked = [("subscribe", "ada", 1), ("unsubscribe", "ada", 2), ("subscribe", "ada", 7)]
    assert last.calls == asked
    assert cloud.counters == {"trtc_refused": 1}


def test_the_sdk_is_loaded_quiet_or_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liteav", fake)
    monkeypatch.setattr(fake.TXLiveSDK, "quiet", set())
    assert load() is fake
    assert fake.TXLiveSDK.quiet == {"console", "file"}
    monkeypatch.setitem(sys.modules, "liteav", None)
    with pytest.raises(BadInput, match="pip install liteav"):
        load()


async def test_access_units_come_with_their_codec() -> None:
    taken: list[CloudFrame] = []
    Cloud(fake, events(taken.extend, print))
    frame = fake.VideoFrame()
    frame.pts, frame.codec, frame.data = 40, fake.VideoCodecType(1), b"unit"
    for stream in fake.StreamType:
        fake.TRTCCloud.last.delegate.OnRemoteVideoFrameReceived("ada", stream, frame)
    await asyncio.sleep(0.01)
    assert taken == [CloudFrame("ada", (Kind.VIDEO, role), "h265", 40, b"unit") for role in Role]


def test_errors_have_words_and_numbers() -> None:
    assert words(-3317) == "TRTC: wrong SDKAppID (-3317)"
    assert words(7) == "TRTC: an error (7)"


@pytest.mark.skipif(not INSTALLED, reason="liteav is not installed; it is no dependency")
def test_the_stand_in_has_the_types_of_the_real_one() -> None:
    """Where the operator has the SDK: in a network namespace that has nothing but lo."""
    program = (
        "import liteav; from tests.harness.rooms import fake_liteav as fake\n"
        "for name in ('StreamType', 'TRTCRole', 'TRTCScene', 'AudioCodecType', 'VideoCodecType',"
        " 'AudioObtainMethod', 'ConnectionState'):\n"
        "  for one in getattr(fake, name): assert int(getattr(liteav, one.name)) == one, one\n"
        "for name in ('RoomParams', 'AudioObtainParams', 'EnterRoomParams', 'UserInfo',"
        " 'AudioFrame', 'VideoFrame'):\n"
        "  real = getattr(liteav, name)()\n"
        "  for field in getattr(fake, name).types: getattr(real, field)\n"
        "for name in vars(fake.TRTCCloudDelegate):\n"
        "  if name.startswith('On'): getattr(liteav.TRTCCloudDelegate, name)\n"
        "print('same')\n"
    )
    command = ["unshare", "-Urn", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip().endswith("same"), done.stderr
