"""The native plane's media, over real sockets: what comes out, what is sent, what is left."""

import asyncio
import gc
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aioice import stun

from slicer.clock import LoopClock
from slicer.errors import RoomError
from slicer.hot import IMPLEMENTATION, Bundle, KeyframeRequests
from slicer.rtp import rtcp
from slicer.slicing.outputs import AudioCut, PictureCut, Subscribe, TrackOutput
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc import native_path as module
from slicer.webrtc.link import Address, IceCredentials, Link, SrtpKeys
from slicer.webrtc.native_path import NativeMedia, native_path
from slicer.webrtc.path import media_path
from tests.harness.descriptors import descriptors
from tests.harness.rooms.linked import ICE, Linked, talk, until
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, VIDEO, VIDEO_TRACK, datagram, opus, vp8
from tests.harness.rtp.packetize import vp8 as packetized

if TYPE_CHECKING or IMPLEMENTATION == "native":
    from slicer._hot import Plane

pytestmark = pytest.mark.skipif(IMPLEMENTATION != "native", reason="this is the native plane's")

# PLANE_MAX_OTHERS and PLANE_MAX_WAITING of native/plane.h.
MAX_OTHERS, MAX_WAITING = 256, 1024
SO_TIMESTAMPNS = 35  # of Linux; the socket module has no name for it


@pytest.fixture(params=[False, True], ids=["plain", "srtp"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Linked]:
    made = Linked(media_path(), [AUDIO, VIDEO], request.param)
    yield made
    made.close()


@pytest.fixture
async def secure() -> AsyncIterator[Linked]:
    made = Linked(media_path(), [AUDIO, VIDEO], True)
    yield made
    made.close()


def wait_without_loop(done: Callable[[], object], seconds: float = 20) -> None:
    """Wait for the plane's thread while the event loop has no turn."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "the plane's thread did not come so far"
        time.sleep(0.01)


async def test_audio_becomes_cuts(peer: Linked) -> None:
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    await talk(peer, range(110))
    await until(lambda: len(peer.cuts) == 2)
    first, second = peer.cuts
    assert isinstance(first, AudioCut)
    assert isinstance(second, AudioCut)
    assert (first.start, first.end, second.end) == (0, 48_000, 96_000)
    assert [one.payload for one in first.packets] == [opus(number) for number in range(50)]
    assert abs(second.began - first.began - 1) < 0.05
    peer.media.close()
    assert len(peer.cuts) == 3
    assert not peer.media.counters


async def test_when_it_was_last_heard_is_read_while_the_thread_writes_it(peer: Linked) -> None:
    began = peer.media.heard

    def arrived() -> int:
        return peer.media.counters["asleep"]

    for number in range(200):
        peer.send(datagram(opus(number), number, number * 960))
    read = [peer.media.heard]
    async with asyncio.timeout(20):
        while arrived() < 200:
            read.append(peer.media.heard)
            await asyncio.sleep(0)
    assert read == sorted(read)
    assert began < peer.media.heard <= LoopClock().now()
    assert began < peer.media.media_heard("ann") <= peer.media.heard
    assert peer.media.media_heard("bob") == float("-inf")


async def test_a_picture_is_asked_for_and_taken(peer: Linked) -> None:
    peer.media.attach(Subscribe(VIDEO_TRACK, VideoSpec(1)))
    for part in range(2):  # two packets of a source make it known
        peer.send(datagram(packetized(vp8(0, False), 1000)[0], part, 0, 2, 96, True))
    asked: list[rtcp.RtcpPacket] = []

    def pli() -> bool:
        asked.extend(peer.compounds())
        return any(isinstance(one, rtcp.PictureLossIndication) for one in asked)

    await until(pli)
    payloads = packetized(vp8(1, True, 3000), 1000)
    for index, payload in enumerate(payloads):
        last = index == len(payloads) - 1
        peer.send(datagram(payload, 2 + index, 3000, 2, 96, last))
    await until(lambda: peer.cuts)
    (cut,) = peer.cuts
    assert isinstance(cut, PictureCut)
    assert cut.frames == (vp8(1, True, 3000),)
    assert cut.codec is VIDEO.codecs[96]


async def test_of_two_connections_to_a_source_one_asks() -> None:
    """The plane's thread writes when, while the loop reads it."""
    requests = KeyframeRequests()
    of = [Linked(media_path(), [VIDEO], requests_of=lambda *_: requests) for _ in range(2)]
    asked: list[rtcp.RtcpPacket] = []
    for one in of:
        one.media.attach(Subscribe(VIDEO_TRACK, VideoSpec(1, keyframe_interval=60.0)))
    for number in range(25):
        for one in of:
            payload = packetized(vp8(number, False), 1000)[0]
            one.send(datagram(payload, number, number * 1800, 2, 96, True))
        assert requests.last <= LoopClock().now()
        await asyncio.sleep(0.02)

    def requested() -> int:
        asked.extend(packet for one in of for packet in one.compounds())
        return sum(isinstance(packet, rtcp.PictureLossIndication) for packet in asked)

    await until(requested)
    await asyncio.sleep(0.2)  # in which the other one would ask as well
    assert requested() == 1
    for one in of:
        one.close()


async def stamps_begin() -> None:
    """Wait until the kernel stamps what arrives: it begins some time after it was asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        async with asyncio.timeout(20):
            while True:
                probe.sendto(b"?", probe.getsockname())
                sent = time.time()
                await asyncio.sleep(0.01)
                ((_, _, stamp),) = probe.recvmsg(16, 64)[1]
                seconds, nanoseconds = struct.unpack("ll", stamp)
                if seconds + nanoseconds * 1e-9 <= sent:
                    return


async def test_when_a_packet_came_is_the_kernels_word(peer: Linked) -> None:
    """The loop and the plane are late; the slice's place in time is not."""
    await stamps_begin()
    now = LoopClock().now
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    sent = now()
    for number in range(2):
        peer.send(datagram(opus(number), number, number * 960))
    arrived = now()
    await asyncio.sleep(0.2)
    peer.media.close()
    (cut,) = peer.cuts
    # The second packet came 20 ms before its time: that is the least delay.
    assert sent - 0.021 <= cut.began <= arrived - 0.019


@pytest.mark.parametrize("way", ["close", "detach"])
async def test_what_came_just_before_the_end_counts(peer: Linked, way: str) -> None:
    """The plane has not looked since: it sleeps between ticks."""
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    await talk(peer, range(10))
    for number in range(10, 20):
        peer.send(datagram(opus(number), number, number * 960))
    if way == "close":
        peer.media.close()
    else:
        peer.media.detach(AUDIO_TRACK)
    (cut,) = peer.cuts
    assert isinstance(cut, AudioCut)
    assert [one.payload for one in cut.packets] == [opus(number) for number in range(20)]


async def test_dtls_and_strange_stun_are_handed_back(peer: Linked) -> None:
    datagrams = [b"\x16\xfe\xfd" + bytes(20), b"\x00\x01" + bytes(18), b"\x3f", b"\xff" * 4]
    for data in datagrams:
        peer.send_raw(data)
    await until(lambda: len(peer.others) == 4)
    assert peer.others == [(data, peer.sock.getsockname()) for data in datagrams]
    peer.send_raw(b"")
    await talk(peer, range(2))
    await until(lambda: peer.media.counters)
    assert peer.media.counters.keys() == {"asleep"}


async def test_what_waits_for_a_busy_loop_is_bounded_and_counted(peer: Linked) -> None:
    """The loop has no turn while these come."""
    for _ in range(2000):
        peer.send_raw(b"\x16" * 100)

    def dropped() -> int:
        counters: Counter[str] = peer.media.counters
        return counters["others_dropped"] + counters["receive_buffer_full"]

    wait_without_loop(lambda: dropped() == 2000 - MAX_OTHERS)
    await until(lambda: peer.others)
    assert len(peer.others) == MAX_OTHERS
    assert dropped() == 2000 - MAX_OTHERS


async def test_cuts_that_wait_for_a_busy_loop_are_bounded_and_counted(peer: Linked) -> None:
    """Every jump of the sender's clock ends a slice of each of 300 tasks."""
    for number in range(300):
        peer.media.attach(Subscribe(AUDIO_TRACK._replace(task=str(number)), AudioSpec(1)))
    for jump in range(5):
        for step in range(4):
            number = jump * 4 + step
            peer.send(datagram(opus(number), number, (jump * 1000 + step) * 960))
        time.sleep(0.06)
    dropped = 4 * 300 - MAX_WAITING
    wait_without_loop(lambda: peer.media.counters["cuts_dropped"] >= dropped)
    await until(lambda: peer.cuts)
    assert len(peer.cuts) == MAX_WAITING
    assert peer.media.counters["cuts_dropped"] == 4 * 300 - MAX_WAITING


async def test_consent_is_given_and_asked_for(secure: Linked) -> None:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes.update(
        {"USERNAME": "ours:thrs", "PRIORITY": 1, "ICE-CONTROLLING": 5, "USE-CANDIDATE": None}
    )
    request.add_message_integrity(ICE.pwd.encode())
    before = secure.media.heard
    secure.send_raw(bytes(request))
    await until(lambda: secure.media.heard > before)
    got: list[bytes] = []

    def messages(wanted: stun.Class) -> list[stun.Message]:
        got.extend(data for data in secure.received() if data[0] < 4)
        key = (ICE.pwd if wanted is stun.Class.RESPONSE else ICE.remote_pwd).encode()
        of_class = [d for d in got if d[0] == (wanted is stun.Class.RESPONSE)]
        found = [stun.parse_message(data) for data in of_class]
        assert all(message.check_message_integrity(key) for message in found)
        return found

    await until(lambda: messages(stun.Class.RESPONSE))
    (response,) = messages(stun.Class.RESPONSE)
    assert response.transaction_id == request.transaction_id
    assert response.attributes["XOR-MAPPED-ADDRESS"] == secure.sock.getsockname()
    await until(lambda: messages(stun.Class.REQUEST))
    (check,) = messages(stun.Class.REQUEST)
    assert check.attributes["USERNAME"] == "thrs:ours"
    assert check.attributes["ICE-CONTROLLED"] == ICE.tie_breaker
    before = secure.media.heard
    for kind, key in (
        (stun.Class.RESPONSE, None),
        (stun.Class.RESPONSE, b"guessed"),
        (stun.Class.ERROR, ICE.remote_pwd.encode()),
    ):
        forged = stun.Message(stun.Method.BINDING, kind, check.transaction_id)
        if key is not None:
            forged.add_message_integrity(key)
        secure.send_raw(bytes(forged))
    secure.send_raw(b"\x16last")
    await until(lambda: secure.others)
    assert [data for data, _ in secure.others] == [b"\x16last"]
    assert secure.media.heard == before
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, check.transaction_id)
    answer.add_message_integrity(ICE.remote_pwd.encode())
    secure.send_raw(bytes(answer))
    await until(lambda: secure.media.heard > before)


async def test_a_check_with_another_password_is_not_ours(secure: Linked) -> None:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes.update({"USERNAME": "ours:thrs", "PRIORITY": 1, "ICE-CONTROLLING": 5})
    request.add_message_integrity(b"guessed")
    before = secure.media.heard
    secure.send_raw(bytes(request))
    await until(lambda: secure.others)
    assert secure.received() == []
    assert secure.media.heard == before


async def test_forged_media_is_counted_and_changes_nothing(secure: Linked) -> None:
    secure.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    for number in range(60):
        secure.send_raw(datagram(opus(99) + bytes(10), 60_000 + number, 0))
        secure.send(datagram(opus(number), number, number * 960))
        await asyncio.sleep(0.02)
    await until(lambda: secure.cuts and secure.media.counters.total() == 60)
    assert secure.media.counters == {"srtp_authentication": 60}
    (cut,) = secure.cuts
    assert isinstance(cut, AudioCut)
    assert len(cut.packets) == 50


async def test_sleeping_video_is_not_decrypted_and_its_roll_over_is_kept(secure: Linked) -> None:
    """Its sequence numbers wrap twice while it sleeps; then a picture is wanted, and decrypted.

    Most of its packets are lost on the way: a wrap is told from the numbers that come.
    """
    now, first, many, step = asyncio.get_running_loop().time, 60_000, 75_000, 25
    secure.media.attach(Subscribe(VIDEO_TRACK, VideoSpec(3600)))
    key, other = packetized(vp8(0, True), 1000)[0], packetized(vp8(1, False), 1000)[0]
    began = now()

    def sight(payload: bytes, number: int) -> bytes:
        return datagram(payload, first + number, int((now() - began) * 90_000), 2, 96, True)

    for number in range(2):
        secure.send(sight(key, number))
    await until(lambda: secure.cuts)
    await until(
        lambda: any(isinstance(one, rtcp.PictureLossIndication) for one in secure.compounds())
    )
    secure.send(sight(key, 2))  # it sleeps once it has seen that the source answers
    number = 3
    while not secure.media.counters["asleep"]:
        secure.send(sight(other, number))
        await asyncio.sleep(0.01)
        number += 1
    before = secure.media.counters["asleep"]

    def caught_up(asleep: int) -> bool:
        return secure.media.counters["asleep"] >= before + asleep

    for sent, later in enumerate(range(number, many, step), 1):
        secure.send(sight(other, later))
        if sent % 400 == 0:  # so few at a time that no socket's buffer fills
            await until(partial(caught_up, sent))
    tampered = bytearray(secure.protecting.protect(sight(other, many)))
    tampered[-1] ^= 1
    secure.send_raw(bytes(tampered))
    await until(partial(caught_up, sent + 1))
    secure.media.attach(Subscribe(VIDEO_TRACK._replace(task="another"), VideoSpec(3600)))
    for number in range(1, 3):
        secure.send(sight(key, many + number))
    await until(lambda: len(secure.cuts) == 2)
    assert secure.media.counters["srtp_authentication"] == 0  # nobody looked into the tampered one


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
    secure.received()
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


async def test_one_who_fails_does_not_keep_the_others_cuts(peer: Linked) -> None:
    broken = Linked(media_path(), [AUDIO])
    broken.media.release()
    broken.media = media_path().open(failing)
    broken.media.set_sections("bob", [AUDIO])
    link, broken.address = broken.link()
    broken.media.carry(link)
    for one in (broken, peer):
        one.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    await asyncio.gather(talk(broken, range(60)), talk(peer, range(60)))
    await until(lambda: peer.cuts)
    with suppress(ValueError):
        broken.media.close()
    broken.sock.close()


def failing(_cut: TrackOutput) -> None:
    raise ValueError("this one cannot")


async def test_everything_is_given_back() -> None:
    def threads() -> int:
        names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
        return names.count("slicer-plane\n")

    gc.collect()  # the planes of other loops
    Linked(media_path(), [AUDIO]).close()  # our own is there from now on
    before, running = descriptors(), threads()
    peers = [Linked(media_path(), [AUDIO, VIDEO], True) for _ in range(50)]
    for one in peers:
        one.send(datagram(opus(1), 1, 960))
    await asyncio.sleep(0.1)
    assert threads() == running > 0
    for one in peers:
        one.close()
    assert descriptors() == before


@pytest.mark.parametrize(
    ("address", "keys", "ice", "said"),
    [
        (("127.0.0.1", 1), SrtpKeys(1, b"short", bytes(30)), None, "profile 1 with 5 bytes"),
        (("127.0.0.1", 1), SrtpKeys(99, bytes(30), bytes(30)), None, "profile 99"),
        (("127.0.0.1", 1), None, replace(ICE, ufrag="a" * 300), "256 characters"),
        (("nowhere", 1), None, None, "illegal IP address"),
    ],
)
async def test_what_cannot_be_taken_is_refused(
    peer: Linked,
    address: Address,
    keys: SrtpKeys | None,
    ice: IceCredentials | None,
    said: str,
) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    descriptor = sock.fileno()
    with pytest.raises((ValueError, OSError), match=said):
        peer.media.carry(Link(sock, address, keys, ice, lambda *_: False))
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


async def test_a_long_datagram_is_refused_by_its_length(peer: Linked) -> None:
    peer.send_raw(struct.pack("!BBHII", 0x80, 111, 1, 1, 1) + bytes(4000))
    await until(lambda: peer.media.counters)
    assert peer.media.counters == {"srtp_oversized": 1}


async def test_a_bundle_that_was_given_to_a_peer_is_the_peers_alone() -> None:
    bundle = Bundle(9)
    media = NativeMedia(Plane(), bundle, failing)
    with pytest.raises(RuntimeError, match="another thread"):
        bundle.receive([], 0.0)
    media.close()


@pytest.mark.parametrize(("native", "strict"), [("", False), ("1", True)])
async def test_without_libcrypto_sockets_are_read_on_the_loop(
    monkeypatch: pytest.MonkeyPatch, native: str, strict: bool
) -> None:
    monkeypatch.setenv("SLICER_NATIVE", native)
    monkeypatch.setattr(module, "srtp_missing", lambda: "no libcrypto here")
    if strict:
        with pytest.raises(RoomError, match="no libcrypto here"):
            native_path()
    else:
        assert native_path() is None


async def test_a_plane_that_cannot_be_made_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def plane() -> None:
        raise OSError("no descriptor left")

    monkeypatch.setenv("SLICER_NATIVE", "")
    monkeypatch.setattr(module, "Plane", plane)
    assert native_path() is None
