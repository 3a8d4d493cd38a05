"""MediaMTX as the room, with aiortc as publisher; skipped where MediaMTX is not installed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import pytest
from aiortc import MediaStreamTrack

from slicer.clock import LoopClock
from slicer.errors import RoomError
from slicer.rooms import Context
from slicer.rooms.whep import room as room_module
from slicer.rooms.whep.room import WhepConnector
from slicer.rooms.whep.settings import WhepSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft, RoomEntered, RoomLost, TrackPublished
from slicer.slicing.outputs import AudioCut
from tests.harness.rooms.server_process import free_ports, program, running
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whip_client import Flicker, Session, Tone, publish_peer

CONFIGURATION = """
logLevel: warn
rtsp: false
rtmp: false
hls: false
srt: false
moq: false
api: true
apiAddress: 127.0.0.1:{api}
webrtcAddress: 127.0.0.1:{http}
webrtcLocalUDPAddress: 127.0.0.1:{udp}
webrtcIPsFromInterfaces: false
webrtcAdditionalHosts: [127.0.0.1]
authInternalUsers:
  - user: any
    permissions: [{{action: publish}}, {{action: api}}]
  - user: robot
    pass: s3cret
    permissions: [{{action: read}}, {{action: api}}]
paths:
  all_others:
"""
LISTS = ["anchors=ada,bob", "mediamtx={api}"]


@dataclass
class MediaMtx:
    """A server that runs, and where."""

    http: int
    api: int
    arguments: list[str]
    log: Path

    def url(self, options: str) -> str:
        return f"whep://robot:s3cret@127.0.0.1:{self.http}/lobby?{options.format(api=self.api)}"

    async def publish(
        self, client: httpx.AsyncClient, anchor: str, *tracks: MediaStreamTrack
    ) -> Session:
        url = f"http://127.0.0.1:{self.http}/lobby/{anchor}/whip"
        return await publish_peer(client, url, tracks or [Tone(), Flicker()])


class Freezing(Tone):
    """A tone that stops while *flows* is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.flows = asyncio.Event()
        self.flows.set()

    async def recv(self) -> av.AudioFrame:
        await self.flows.wait()
        return await super().recv()


@contextlib.asynccontextmanager
async def visiting(silence: float = 15.0) -> AsyncIterator[Visitor]:
    settings = WhepSettings(poll=0.3, timeout=10.0, silence=silence)
    robot = Visitor(WhepConnector(Context(LoopClock(), whep=settings)))
    yield robot
    await robot.connector.close()


@pytest.fixture
def server(tmp_path: Path) -> MediaMtx:
    http, api, udp = free_ports(3)
    configuration = tmp_path / "mediamtx.yml"
    configuration.write_text(CONFIGURATION.format(http=http, api=api, udp=udp))
    arguments = [program("mediamtx"), str(configuration)]
    return MediaMtx(http, api, arguments, tmp_path / "log")


@pytest.mark.parametrize("options", LISTS)
async def test_anchors_come_and_go(server: MediaMtx, options: str) -> None:
    async with (
        running(server.arguments, server.http, server.log),
        httpx.AsyncClient() as client,
        visiting() as robot,
    ):
        ada = await server.publish(client, "ada")
        await robot.enter(server.url(options))
        await robot.until(lambda: robot.cuts("ada") == set(Kind))
        bob = await server.publish(client, "bob")
        await robot.until(lambda: robot.cuts("bob") == set(Kind))
        await bob.close()
        await robot.until(lambda: any(isinstance(one, AnchorLeft) for one in robot.facts()))
        bob = await server.publish(client, "bob")
        await robot.until(lambda: robot.facts().count(AnchorJoined("bob")) == 2)
        assert robot.facts()[0] == RoomEntered()
        published = {one for one in robot.facts() if isinstance(one, TrackPublished)}
        assert published == {TrackPublished(who, kind) for who in ("ada", "bob") for kind in Kind}
        assert robot.refusals() == []
        await ada.close()
        await bob.close()


async def test_a_wrong_password(server: MediaMtx) -> None:
    async with running(server.arguments, server.http, server.log), visiting() as robot:
        wrong = server.url("anchors=ada").replace("s3cret", "wrong")
        with pytest.raises(RoomError, match="other credentials: it answers 401"):
            await robot.enter(wrong)


async def test_the_server_is_killed_and_started_again(server: MediaMtx) -> None:
    async with httpx.AsyncClient() as client, visiting() as robot:
        async with running(server.arguments, server.http, server.log):
            ada = await server.publish(client, "ada")
            await robot.enter(server.url("mediamtx={api}"))
            await robot.until(lambda: robot.cuts("ada") == set(Kind))
        await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.facts()), 60)
        await ada.close()
        async with running(server.arguments, server.http, server.log):
            ada = await server.publish(client, "ada")
            await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2, 30)
            assert robot.facts().count(RoomEntered()) == 2
            await ada.close()


async def test_an_anchor_that_freezes_is_told_and_cut_on_when_it_thaws(
    server: MediaMtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen in its encoder: its connection lives, and MediaMTX has nothing to pass on."""
    monkeypatch.setattr(room_module, "LOOK", 0.5)
    async with (
        running(server.arguments, server.http, server.log),
        httpx.AsyncClient() as client,
        visiting(silence=3.0) as robot,
    ):
        tone = Freezing()
        ada = await server.publish(client, "ada", tone)
        await robot.enter(server.url("anchors=ada"))
        await robot.until(lambda: robot.cuts("ada") == {Kind.AUDIO})
        tone.flows.clear()
        await robot.until(robot.troubles)
        tone.flows.set()
        count = len(robot.told)
        await robot.until(lambda: any(isinstance(one, AudioCut) for one in robot.told[count:]))
        assert robot.troubles() == ["no media for 3 s, and nothing says that it is muted"]
        assert not any(isinstance(one, AnchorLeft) for one in robot.facts())
        await ada.close()
