"""A shared screen beside a camera: two videos of one publisher, cut and named apart."""

from collections.abc import AsyncIterator
from urllib.parse import urljoin

import httpx
import pytest

from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import AnchorJoined, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import PictureCut
from tests.harness.rooms.robot import ROOM, Robot
from tests.harness.rooms.whip_client import Flicker, Peer

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def robot() -> AsyncIterator[Robot]:
    robot = Robot(WhipConnector(Context(LoopClock())))
    await robot.enter()
    yield robot
    await robot.rooms.close()


async def test_a_sender_marks_its_slides(robot: Robot) -> None:
    """By RFC 4796: they are auxiliary, though they stand first."""
    peer = Peer()
    offer = await peer.offer([Flicker(), Flicker()])
    offer = offer.replace("a=mid:0\r\n", "a=mid:0\r\na=content:slides\r\n")
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"{robot.rooms.endpoint(ROOM)}/ann"
        response = await client.post(url, content=offer, headers=SDP)
        await peer.accept(response.text)
        both = {(Kind.VIDEO, role) for role in Role}
        await robot.until(lambda: {cut.track.slot for cut in robot.cuts(PictureCut)} == both)
        shown = [TrackPublished("ann", Kind.VIDEO, Role.AUX), TrackPublished("ann", Kind.VIDEO)]
        assert robot.facts()[1:] == [AnchorJoined("ann"), *shown]
        await client.delete(urljoin(url, response.headers["location"]))
    await robot.until(lambda: robot.left() == "ann")
    gone = [one for one in robot.facts() if isinstance(one, TrackUnpublished)]
    assert [one.role for one in gone] == [Role.AUX, Role.MAIN]
    await peer.close()
