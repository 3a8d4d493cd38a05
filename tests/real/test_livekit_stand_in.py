"""LiveKit's own SDK takes our stand-in for a server: what our robot is tested with is truthful."""

import asyncio

from livekit import rtc

from tests.harness.rooms.livekit_server import token
from tests.harness.rooms.livekit_stand_in import audio, info, layered, stand_in, video

PUBLISHED = {"TR_a1": rtc.TrackKind.KIND_AUDIO, "TR_v1": rtc.TrackKind.KIND_VIDEO}
FRAMES = 20
SIZES = {90: 160, 180: 320, 360: 640}


async def test_the_sdk_subscribes_and_decodes() -> None:
    """By `/rtc/v1`, where the SDK offers; its data channels open, too."""
    subscribed: dict[str, tuple[str, int]] = {}
    enough = asyncio.Event()
    listening: list[asyncio.Task[None]] = []

    async def listen(track: rtc.Track) -> None:
        frames = 0
        async for _ in rtc.AudioStream(track):
            frames += 1
            if frames == FRAMES:
                enough.set()

    def note(track: rtc.Track, _: rtc.RemoteTrackPublication, whose: rtc.RemoteParticipant) -> None:
        subscribed[track.sid] = whose.identity, track.kind
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            listening.append(asyncio.create_task(listen(track)))

    async with stand_in(info("ada", audio("TR_a1"), video("TR_v1"))) as server:
        room = rtc.Room()
        room.on("track_subscribed", note)
        url = f"ws://127.0.0.1:{server.port}"
        await room.connect(url, token("bob"), rtc.RoomOptions(auto_subscribe=False))
        for publication in room.remote_participants["ada"].track_publications.values():
            publication.set_subscribed(True)
        async with asyncio.timeout(30):
            await enough.wait()
            while len(subscribed) < len(PUBLISHED):
                await asyncio.sleep(0.02)
        assert subscribed == {sid: ("ada", kind) for sid, kind in PUBLISHED.items()}
        assert server.claims[0]["sub"] == "bob"
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await room.disconnect()


async def test_the_sdk_decodes_spatial_layers() -> None:
    """Nobody has asked for less than all of them."""
    shown: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    watching: list[asyncio.Task[None]] = []

    async def watch(track: rtc.Track) -> None:
        async for event in rtc.VideoStream(track):
            shown.put_nowait((event.frame.height, event.frame.width))

    async with stand_in(info("ada", layered("TR_v1", SIZES))) as server:
        server.paint("TR_v1", SIZES)
        room = rtc.Room()
        room.on(
            "track_subscribed", lambda track, *_: watching.append(asyncio.create_task(watch(track)))
        )
        url = f"ws://127.0.0.1:{server.port}"
        await room.connect(url, token("bob"), rtc.RoomOptions(auto_subscribe=False))
        for publication in room.remote_participants["ada"].track_publications.values():
            publication.set_subscribed(True)
        async with asyncio.timeout(30):
            sizes = {await shown.get() for _ in range(FRAMES)}
        assert sizes == {(360, 640)}
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await room.disconnect()
