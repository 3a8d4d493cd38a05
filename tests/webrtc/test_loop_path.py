"""The loop's media, over real sockets: what comes out, what is sent, what is left."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pylibsrtp
import pytest

from slicer.rtp import rtcp
from slicer.slicing.outputs import AudioCut, PictureCut, Subscribe
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc.link import SrtpKeys
from slicer.webrtc.loop_path import LoopPath
from tests.harness.rooms.linked import Linked, talk, until
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, VIDEO, VIDEO_TRACK, datagram, opus, vp8
from tests.harness.rtp.packetize import vp8 as packetized


@pytest.fixture(params=[False, True], ids=["plain", "srtp"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Linked]:
    made = Linked(LoopPath(), [AUDIO, VIDEO], request.param)
    yield made
    made.close()


@pytest.fixture
async def secure() -> AsyncIterator[Linked]:
    made = Linked(LoopPath(), [AUDIO, VIDEO], True)
    yield made
    made.close()


async def test_audio_becomes_cuts(peer: Linked) -> None:
    began = peer.media.heard
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    await talk(peer, range(110))
    await until(lambda: len(peer.cuts) == 2)
    first, second = peer.cuts
    assert isinstance(first, AudioCut)
    assert isinstance(second, AudioCut)
    assert (first.start, first.end, second.end) == (0, 48_000, 96_000)
    assert [one.payload for one in first.packets] == [opus(number) for number in range(50)]
    assert peer.media.heard > began + 1
    assert peer.media.media_heard("ann") >= peer.media.heard
    peer.media.close()
    peer.media.close()
    assert len(peer.cuts) == 3
    assert not peer.media.counters


async def test_a_picture_is_asked_for_and_taken(peer: Linked) -> None:
    peer.media.attach(Subscribe(VIDEO_TRACK, VideoSpec(1)))
    for part in range(2):  # two packets of a source make it known
        peer.send(datagram(packetized(vp8(0, False), 1000)[0], part, 0, 2, 96, True))
    asked: list[rtcp.RtcpPacket] = []

    def pli() -> bool:
        asked.extend(peer.compounds())
        return any(isinstance(one, rtcp.PictureLossIndication) for one in asked)

    await until(pli)
    peer.send(datagram(packetized(vp8(1, True), 1000)[0], 2, 3000, 2, 96, True))
    await until(lambda: peer.cuts)
    (cut,) = peer.cuts
    assert isinstance(cut, PictureCut)
    assert cut.frames == (vp8(1, True),)


async def test_stun_and_dtls_are_handed_back(peer: Linked) -> None:
    datagrams = [b"\x16\xfe\xfd" + bytes(20), b"\x00\x01" + bytes(18), b"\x3f", b"\xff" * 4]
    for data in datagrams:
        peer.send_raw(data)
    await until(lambda: len(peer.others) == 4)
    assert peer.others == [(data, peer.sock.getsockname()) for data in datagrams]
    assert not peer.media.counters


async def test_forged_media_is_counted_and_changes_nothing(secure: Linked) -> None:
    secure.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    for number in range(60):
        secure.send_raw(datagram(opus(99) + bytes(10), 60_000 + number, 0))
        secure.send(datagram(opus(number), number, number * 960))
        await asyncio.sleep(0.02)
    await until(lambda: secure.cuts and secure.media.counters["srtp_authentication"] == 60)
    (cut,) = secure.cuts
    assert isinstance(cut, AudioCut)
    assert len(cut.packets) == 50


async def test_a_peer_that_moves_is_followed(secure: Linked) -> None:
    secure.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    await talk(secure, range(30))
    link, secure.address = secure.link()
    secure.media.move(link.sock, link.address)
    await talk(secure, range(30, 60))
    await until(lambda: secure.cuts)
    elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    elsewhere.bind(("127.0.0.1", 0))
    elsewhere.settimeout(20)
    secure.media.redirect(elsewhere.getsockname())
    await talk(secure, range(60, 120))
    report = await asyncio.to_thread(elsewhere.recv, 2048)
    elsewhere.close()
    assert isinstance(
        rtcp.parse(secure.unprotecting.unprotect_rtcp(report))[0], rtcp.ReceiverReport
    )
    assert not secure.media.counters


async def test_what_comes_another_way_is_taken(peer: Linked) -> None:
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    peer.media.receive([datagram(opus(n), n, n * 960) for n in range(2)])
    await talk(peer, range(2, 60))
    await until(lambda: peer.cuts)
    first = peer.cuts[0]
    assert isinstance(first, AudioCut)
    assert len(first.packets) == 50


async def test_what_is_discarded_delivers_nothing(peer: Linked) -> None:
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    peer.media.receive([datagram(opus(n), n, n * 960) for n in range(10)])
    peer.media.discard()
    peer.media.discard()
    peer.media.detach(AUDIO_TRACK)
    peer.media.close()
    assert peer.cuts == []


async def test_what_cannot_be_sent_is_counted() -> None:
    media = LoopPath().open(lambda _: None)
    media.set_sections("ann", [AUDIO, VIDEO])
    media.attach(Subscribe(VIDEO_TRACK, VideoSpec(1)))
    media.receive([datagram(packetized(vp8(0, False), 1000)[0], n, 0, 2, 96) for n in range(2)])
    assert media.counters["rtcp_unsent"] == 1
    media.close()


async def test_the_end_gives_the_socket_back(peer: Linked) -> None:
    link, _ = peer.link()
    peer.media.move(link.sock, link.address)
    peer.media.release()
    peer.media.release()
    assert link.sock.fileno() == -1
    peer.media.close()
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    peer.media.receive([datagram(opus(n), n, n * 960) for n in range(60)])
    assert not peer.cuts


@pytest.mark.parametrize(
    ("number", "size", "profile"),
    [
        (7, 28, pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
        (8, 44, pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    ],
)
async def test_every_profile_that_dtls_agrees_on(number: int, size: int, profile: int) -> None:
    peer = Linked(LoopPath(), [AUDIO])
    keys = SrtpKeys(number, bytes(range(size)), bytes(range(100, 100 + size)))
    link, peer.address = peer.link()
    peer.media.carry(replace(link, keys=keys))
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
    policy = pylibsrtp.Policy(keys.inbound, kind, srtp_profile=profile)
    session = pylibsrtp.Session(policy)
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    for n in range(60):
        peer.send_raw(session.protect(datagram(opus(n), n, n * 960)))
        await asyncio.sleep(0.01)
    await until(lambda: peer.cuts)
    assert not peer.media.counters["srtp_authentication"]
    peer.close()
