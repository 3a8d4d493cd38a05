"""STUN and TURN servers: which are used, and media that comes by coturn alone."""

import asyncio
from pathlib import Path

import pytest

from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import AudioCut, Subscribe, TrackKey, TrackOutput
from slicer.slicing.spec import AudioSpec
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.ice_servers import IceServer, usable
from slicer.webrtc.path import media_path
from tests.harness.rooms.sfu import Sfu
from tests.harness.rooms.turn_server import turn_server


@pytest.mark.parametrize(
    ("urls", "used"),
    [
        (("stun:s.example",), ["stun:s.example"]),
        (("turn:t.example:3478?transport=udp",), ["turn:t.example:3478?transport=udp"]),
        (("turns:t.example",), ["turns:t.example"]),
        (("turns:t.example?transport=udp", "http://t.example", "stun:", "stun:s"), ["stun:s"]),
    ],
)
def test_only_servers_that_can_be_asked_are_used(urls: tuple[str, ...], used: list[str]) -> None:
    server = IceServer(urls, "me", "s3cret")
    assert [one.urls for one in usable([server])] == used
    assert "s3cret" not in repr(server)


async def test_media_by_a_relay_alone(tmp_path: Path) -> None:
    cuts: list[TrackOutput] = []
    ends: list[str] = []
    sfu = Sfu()
    async with turn_server(tmp_path) as server:
        media = media_path().open(cuts.append)
        events = Events(lambda: None, ends.append)
        network = Network((), silence=3, ice_servers=[server])
        connection = Connection(network, media, events)
        try:
            offer = await connection.offer([Kind.AUDIO])
            assert "typ relay" in offer
            assert "typ host" not in offer
            await connection.accept(await sfu.answer(offer))
            media.set_sections("ada", connection.streams)
            media.attach(Subscribe(TrackKey("task", "ada", Kind.AUDIO), AudioSpec(1)))
            await sfu.connected()
            (track,) = sfu.tracks
            async with asyncio.timeout(20):
                number = 0
                while not cuts:
                    await sfu.send(track, number, 7, number * 0.02)
                    number += 1
                    await asyncio.sleep(0.005)
            cut = cuts[0]
            assert isinstance(cut, AudioCut)
            assert len(cut.packets) >= 50
            assert media.counters["rtcp_unsent"] == 0
            assert not ends
            await sfu.close()
            async with asyncio.timeout(20):
                while not ends:
                    await asyncio.sleep(0.01)
            assert ends == ["DTLS closed by the peer"]
        finally:
            await connection.close()


async def test_a_relay_that_refuses_gives_no_candidate(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as server:
        wrong = IceServer(server.urls, "robot", "wrong")
        media = media_path().open(lambda _cut: None)
        events = Events(lambda: None, lambda _reason: None)
        connection = Connection(Network(["127.0.0.1"], ice_servers=[wrong]), media, events)
        offer = await connection.offer([Kind.AUDIO])
        assert "typ host" in offer
        assert "typ relay" not in offer
        await connection.close()
