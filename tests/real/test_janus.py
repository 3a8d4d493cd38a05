"""Janus itself, in a network of the tests' own: publishers that come and go, are killed, frozen and
kicked; a robot that is kicked; a room that ends; and Janus killed and started again.
"""

import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest

from slicer import (
    AnchorLeft,
    AnchorTrouble,
    EndReason,
    Kind,
    PicturesMissing,
    Role,
    RoomError,
    Settings,
    SliceParams,
    SliceStored,
    State,
    TaskState,
    TrackEnded,
    TrackRefused,
    TrackStarted,
    VideoSpec,
)
from slicer.rooms.janus import room as room_module
from slicer.rooms.janus.settings import JanusSettings
from tests.harness.media.slices import decode_ogg, read_picture
from tests.harness.network.namespace import own_network
from tests.harness.rooms.janus import API_SECRET, EXECUTABLE, PIN, janus, token
from tests.harness.rooms.janus_task import ROOM, both, publisher, url, watching

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


async def test_two_codecs_come_and_go(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM, videocodec="vp8,h264")
        async with publisher("ada"), watching(tmp_path) as watched:
            await watched.until(lambda: both(watched, "ada", 2))
            async with publisher("bob", "h264") as bob:
                await watched.until(lambda: both(watched, "bob", 2))
                bob.send_signal(signal.SIGKILL)
                await watched.until(lambda: watched.of(AnchorLeft, "bob"))
            await server.admin("kick", ROOM, id="ada")
            await watched.until(lambda: watched.of(AnchorLeft, "ada"))
            reasons = {
                one.anchor: one.reason for one in watched.told if isinstance(one, AnchorLeft)
            }
            assert reasons == {"ada": "kicked", "bob": "unpublished"}
            async with publisher("bob", "h264"):
                await watched.until(lambda: len(watched.of(TrackStarted, "bob")) == 4)
            await server.admin("destroy", ROOM)
            assert (await watched.engine.finished(watched.task)).reason is EndReason.ROOM_GONE
        out = tmp_path / "out"
        for name in ("ada", "bob"):
            sounds = sorted(out.rglob(f"{name}/audios/*.ogg"))
            assert len(decode_ogg(sounds[0].read_bytes(), "libopus")) > 40_000
            assert read_picture(sorted(out.rglob(f"{name}/images/*"))[0].read_bytes()).shape == (
                90,
                160,
                3,
            )


async def test_a_screen_beside_the_camera(tmp_path: Path) -> None:
    """It stands before the camera, and its description says what it is. The room is full: only who
    publishes is counted there, so the robot is let in."""
    tracks = ("audio", "screen", "video")
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM, publishers=1)
        async with publisher("ada", tracks=tracks), watching(tmp_path) as watched:
            await watched.until(
                lambda: both(watched, "ada") and watched.stored("ada", Kind.VIDEO, Role.AUX)
            )
            assert watched.of(TrackRefused) + watched.of(TrackEnded) == []
            shapes = {
                role: read_picture(
                    (
                        tmp_path / "out" / watched.stored("ada", Kind.VIDEO, role)[0].slice.key
                    ).read_bytes()
                ).shape
                for role in Role
            }
    assert shapes == {Role.MAIN: (90, 160, 3), Role.AUX: (128, 192, 3)}


async def test_janus_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus", string_ids=False) as server:
        await server.create(7)
        async with watching(tmp_path, url(room="7")) as watched:
            async with publisher("ada", room="7"):
                await watched.until(lambda: watched.of(SliceStored))
                await server.kill()
                await watched.until(
                    lambda: watched.engine.describe(watched.task).state is State.RECONNECTING
                )
            await server.start()
            await server.create(7)
            async with publisher("ada", room="7"):
                await watched.until(
                    lambda: watched.engine.describe(watched.task).state is State.RUNNING
                )
                before = len(watched.of(SliceStored))
                await watched.until(lambda: len(watched.of(SliceStored)) > before + 1)
            states = [one.state for one in watched.told if isinstance(one, TaskState)]
            assert states == [State.RUNNING, State.RECONNECTING, State.RUNNING]


async def test_a_publisher_that_freezes_is_told_and_cut_on_when_it_thaws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "LOOK", 0.5)
    settings = Settings(janus=JanusSettings(silence=5.0))
    reason = "no media for 5 s, and nothing says that it is muted"
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        async with publisher("ada") as ada, watching(tmp_path, settings=settings) as watched:
            await watched.until(lambda: both(watched, "ada"))
            ada.send_signal(signal.SIGSTOP)
            await watched.until(lambda: watched.of(AnchorTrouble, "ada"))
            ada.send_signal(signal.SIGCONT)
            count = len(watched.stored("ada", Kind.AUDIO))
            await watched.until(lambda: len(watched.stored("ada", Kind.AUDIO)) > count + 1)
            assert watched.of(TrackEnded) == []
            told = [one for one in watched.told if isinstance(one, AnchorTrouble)]
            assert [(one.reason, one.count) for one in told] == [(reason, 1)]


async def test_pauses_between_pictures_are_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses of 4.9 s, where 2 s without a datagram end a connection."""
    monkeypatch.setattr(room_module, "LOOK", 0.5)
    settings = Settings(janus=JanusSettings(silence=2.0))
    pictures = SliceParams(None, VideoSpec(5, 0.0), max_idle=60)
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        watch = watching(tmp_path, params=pictures, settings=settings)
        async with publisher("ada"), watch as watched:
            await watched.until(lambda: len(watched.stored("ada", Kind.VIDEO)) >= 3)
            assert watched.of(TrackEnded) + watched.of(AnchorTrouble) == []


async def test_what_one_asks_for_is_not_what_another_gets(tmp_path: Path) -> None:
    """Beside a robot that pauses the video for seconds, another one gets all of both."""
    pictures = SliceParams(None, VideoSpec(5, 0.0), max_idle=60)
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        seldom = watching(tmp_path / "seldom", params=pictures, user="seldom")
        all_of_it = watching(tmp_path / "all", user="all")
        async with publisher("ada"), all_of_it as other, seldom as watched:
            await watched.until(lambda: len(watched.stored("ada", Kind.VIDEO)) >= 3)
            shown = len(other.stored("ada", Kind.VIDEO))
            stored = (one.slice for one in other.stored("ada", Kind.AUDIO))
            told = sorted(stored, key=lambda one: one.began)
            assert other.of(TrackEnded) + other.of(AnchorTrouble) + other.of(PicturesMissing) == []
        assert shown >= 4
        assert all(one.seconds == 1 for one in told)
        gaps = [(after.began - one.began).total_seconds() for one, after in pairwise(told)]
        assert gaps == pytest.approx([1.0] * len(gaps), abs=0.05)
        assert len(gaps) >= 8


async def test_the_robot_is_kicked(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        async with watching(tmp_path) as watched:
            await server.admin("kick", ROOM, id="robot")
            assert (await watched.engine.finished(watched.task)).reason is EndReason.KICKED


@pytest.mark.parametrize(
    ("query", "room", "says"),
    [
        (f"pin={PIN}", "nope", r"No such room \(nope\) \(error 426\)"),
        ("pin=", ROOM, r"\(pin\) \(error 429\)"),
        ("pin=wrong", ROOM, r"wrong pin\) \(error 433\)"),
    ],
)
async def test_what_janus_refuses(tmp_path: Path, query: str, room: str, says: str) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        with pytest.raises(RoomError, match=says):
            async with watching(tmp_path, url(f"api_secret={API_SECRET}&{query}", room)):
                pass


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_both_ways_to_janus(tmp_path: Path, way: str) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        room = url(f"api_secret={API_SECRET}&pin={PIN}&transport={way}")
        async with publisher("ada"), watching(tmp_path, room) as watched:
            await watched.until(lambda: both(watched, "ada", 2))
            assert watched.of(TrackEnded) == []


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_tls_a_token_and_private_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Janus takes the secret or a token: here the robot has the token alone."""
    async with janus(tmp_path / "janus", secure=True) as server:
        await server.create(ROOM, require_pvtid=True)
        query = f"pin={PIN}&transport={way}&token="
        right, wrong = quote(token()), quote(token("another key"))
        with pytest.raises(RoomError, match=r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
            async with watching(tmp_path, url(query + right, scheme="januss")):
                pass
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        with pytest.raises(RoomError, match=r"\(error 403\)"):
            async with watching(tmp_path, url(query + wrong, scheme="januss")):
                pass
        room = url(query + right, scheme="januss")
        async with publisher("ada"), watching(tmp_path, room) as watched:
            await watched.until(lambda: both(watched, "ada"))
            assert watched.of(TrackEnded) == []
