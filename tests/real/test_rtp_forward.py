"""Janus forwards a publisher as plain RTP (`rtp_forward` of VideoRoom) into an `rtp://` room."""

from pathlib import Path

import pytest

from slicer.rooms.rtp.settings import RtpSettings
from tests.harness.network.namespace import own_network
from tests.harness.rooms.janus import EXECUTABLE, janus
from tests.harness.rooms.janus_task import ROOM, publisher
from tests.harness.rooms.rtp_sender import Robot, free_ports


@pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
async def test_what_janus_forwards_is_cut(tmp_path: Path) -> None:
    with own_network():
        async with janus(tmp_path / "janus") as server:
            await server.create(ROOM, videocodec="vp8")
            async with publisher("ada"):
                audio, video = free_ports(2)
                robot = Robot(RtpSettings(silence=1))
                types = f"audio=111:opus&video=96:vp8&video_port={video}"
                await robot.enter(f"rtp://127.0.0.1:{audio}?{types}&anchor=ada")
                streams = [
                    {"mid": "0", "port": audio, "pt": 111},
                    {"mid": "1", "port": video, "pt": 96, "rtcp_port": video + 1},
                ]
                await server.admin(
                    "rtp_forward",
                    ROOM,
                    publisher_id="ada",
                    host="127.0.0.1",
                    host_family="ipv4",
                    streams=streams,
                )
                await robot.until(lambda: len(robot.audio()) >= 4 and len(robot.pictures()) >= 4)
            assert {cut.end - cut.start for cut in robot.audio()[1:4]} == {48_000}
            first = robot.pictures()[0].frames[0]
            assert first[0] & 1 == 0, "Janus asks the publisher for a keyframe as it begins"
            keyframes = [cut.frames[0][0] & 1 == 0 for cut in robot.pictures() if cut.first == 0]
            assert len(keyframes) >= 3
            assert all(keyframes), "aiortc sends keyframes only where one is asked for"
            await robot.connector.close()
