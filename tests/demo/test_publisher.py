"""Publishing a file by WHIP into our own room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slicer.clock import LoopClock
from slicer.demo.publisher import VideoCodec, main, publish
from slicer.errors import BadInput, RoomError, Unauthorized
from slicer.rooms import Context, parse_room
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.room import WhipConnector
from slicer.slicing.outputs import AudioCut, PictureCut
from tests.harness.media.content import Content, Encoding, Painter, encode
from tests.harness.rooms.robot import ROOM, Robot


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of sound and pictures."""
    path = tmp_path_factory.mktemp("publish") / "it's one second.mkv"
    encode(path, Content(Painter(), seconds=1), Encoding("h264"))
    return path


@pytest.fixture
async def rooms() -> AsyncIterator[WhipConnector]:
    def authorize(_room: RoomAddress, user: str, bearer: str | None) -> None:
        if user == "secret" and bearer != "token":
            raise Unauthorized("bearer: missing")

    rooms = WhipConnector(Context(LoopClock(), authorize=authorize))
    yield rooms
    await rooms.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_file_again_and_again(
    rooms: WhipConnector, second: Path, codec: VideoCodec
) -> None:
    robot = Robot(rooms)
    await robot.enter()
    publication = await publish(rooms.endpoint(ROOM) + "/ann", second, video_codec=codec)
    assert publication.connected
    await robot.until(lambda: len(robot.cuts(AudioCut)) > 2 and len(robot.cuts(PictureCut)) > 2)
    await publication.close()
    assert robot.left() == "ann"
    pictures = [one for one in robot.told if isinstance(one, PictureCut)]
    assert {one.codec.name for one in pictures} == {codec.lower()}
    assert {one.epoch for one in pictures} == {0}
    stamps = [one.timestamp for one in pictures]
    assert stamps == sorted(set(stamps))
    # Three pictures a second apart out of one second of video: the file went round.
    assert stamps[2] - stamps[0] >= 90_000 * 1.5


async def test_a_bearer_is_sent(rooms: WhipConnector, second: Path) -> None:
    robot = Robot(rooms)
    await robot.enter()
    url = rooms.endpoint(ROOM) + "/secret"
    with pytest.raises(RoomError, match="401 bearer: missing"):
        await publish(url, second)
    publication = await publish(url, second, bearer="token")
    await publication.close()
    assert robot.left() == "secret"


async def test_refusals_say_why(rooms: WhipConnector, second: Path) -> None:
    await rooms.open(parse_room("whip://127.0.0.1:0/other"), "robot", lambda _: None)
    base = rooms.endpoint(ROOM)
    with pytest.raises(RoomError, match="404 no task slices room 'r1'"):
        await publish(base + "/ann", second)
    with pytest.raises(RoomError, match="refused"):
        await publish("http://127.0.0.1:9/whip/r1/ann", second)


async def test_bad_input(second: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="whip_url"):
        await publish("file:///etc/hosts", second)
    with pytest.raises(BadInput, match="media_file"):
        await publish("http://127.0.0.1:9/", tmp_path / "missing.mp4")
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no media")
    for loop in (True, False):
        with pytest.raises(BadInput, match="media_file"):
            await publish("http://127.0.0.1:9/", junk, loop=loop)


def test_the_program_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:1/whip/r/ada"]) == 2
    assert "URL FILE [BEARER]" in capsys.readouterr().err
    assert main(["http://127.0.0.1:1/whip/r/ada", str(tmp_path / "none.webm")]) == 1
    assert "publisher: media_file: got " in capsys.readouterr().err
