"""Anchors in the native plane, over real sockets: what comes out, what is sent, what is left."""

import asyncio
import gc
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pylibsrtp
import pytest
from aioice import stun

from slicer.clock import LoopClock
from slicer.errors import RoomError
from slicer.hot import IMPLEMENTATION, Bundle
from slicer.rtp import rtcp
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, Subscribe
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc import plane as module
from slicer.webrtc.carrier import Address, IceCredentials, Link, SrtpKeys
from slicer.webrtc.plane import PlanePump, running_plane
from tests.harness.rtp.call import AUDIO, SIGHT, SOUND, VIDEO, datagram, opus, vp8
from tests.harness.rtp.packetize import vp8 as packetized


def bundle_of(anchor: str, sections: list[RtpParameters]) -> Bundle:
    """A connection with one anchor."""
    made = Bundle(9)
    made.set_sections(anchor, sections, 0.0)
    return made


pytestmark = pytest.mark.skipif(IMPLEMENTATION != "native", reason="this is the native plane's")

# PLANE_MAX_OTHERS and PLANE_MAX_WAITING of native/plane.h.
MAX_OTHERS, MAX_WAITING = 256, 1024
SO_TIMESTAMPNS = 35  # of Linux; the socket module has no name for it
KEYS = SrtpKeys(1, bytes(range(30)), bytes(range(60, 90)))
ICE = IceCredentials("ours", "our-password-of-22-chr", "thrs", "their-password-22-char", False, 77)


class Peer:
    """The other end: a socket, and the plane's pump."""

    def __init__(self, streams: list[RtpParameters], secure: bool = False) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.cuts: list[Cut] = []
        self.others: list[tuple[bytes, Address]] = []
        plane = running_plane()
        assert plane is not None
        self.plane = plane
        self.pump = PlanePump(plane, bundle_of("ann", streams), self.cuts.append)
        self.secure = secure
        theirs, ours = (policy(KEYS.inbound), policy(KEYS.outbound))
        theirs.ssrc_type = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        ours.ssrc_type = pylibsrtp.Policy.SSRC_ANY_INBOUND
        self.protecting, self.unprotecting = pylibsrtp.Session(theirs), pylibsrtp.Session(ours)
        link, self.address = self.link()
        self.pump.carry(link)

    def link(self) -> tuple[Link, Address]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        keys, ice = (KEYS, ICE) if self.secure else (None, None)
        told = self.sock.getsockname()
        return Link(sock, told, keys, ice, lambda *got: self.others.append(got)), sock.getsockname()

    def send(self, data: bytes) -> None:
        if self.secure and 128 <= data[0] < 192:
            protect = self.protecting
            data = protect.protect_rtcp(data) if rtcp.is_rtcp(data) else protect.protect(data)
        self.send_raw(data)

    def send_raw(self, data: bytes) -> None:
        self.sock.sendto(data, self.address)

    def received(self) -> list[bytes]:
        """What came back so far."""
        got = []
        with suppress(BlockingIOError):
            while True:
                got.append(self.sock.recv(2048))
        return got

    def compounds(self) -> list[rtcp.RtcpPacket]:
        """The RTCP that came back so far."""
        found = []
        for data in self.received():
            plain = self.unprotecting.unprotect_rtcp(data) if self.secure else data
            found += rtcp.parse(plain)
        return found

    def close(self) -> None:
        self.pump.close()
        self.sock.close()


def policy(key: bytes) -> pylibsrtp.Policy:
    return pylibsrtp.Policy(key=key, srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80)


@pytest.fixture(params=[False, True], ids=["plain", "srtp"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    made = Peer([AUDIO, VIDEO], request.param)
    yield made
    made.close()


@pytest.fixture
async def secure() -> AsyncIterator[Peer]:
    made = Peer([AUDIO, VIDEO], True)
    yield made
    made.close()


async def until(done: Callable[[], object], seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.01)


async def talk(peer: Peer, frames: range) -> None:
    """Sound in its own time: 20 ms a packet."""
    for number in frames:
        peer.send(datagram(opus(number), number, number * 960))
        await asyncio.sleep(0.02)


async def test_sound_becomes_cuts(peer: Peer) -> None:
    peer.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    await talk(peer, range(110))
    await until(lambda: len(peer.cuts) == 2)
    first, second = peer.cuts
    assert isinstance(first, AudioCut)
    assert isinstance(second, AudioCut)
    assert (first.start, first.end, second.end) == (0, 48_000, 96_000)
    assert [one.payload for one in first.packets] == [opus(number) for number in range(50)]
    assert abs(second.began - first.began - 1) < 0.05
    peer.pump.close()
    assert len(peer.cuts) == 3
    assert not peer.pump.counters


async def test_a_picture_is_asked_for_and_taken(peer: Peer) -> None:
    peer.pump.attach(Subscribe(SIGHT, VideoSpec(1)))
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


async def stamps_begin() -> None:
    """Wait until the kernel stamps what arrives: it begins some time after it was asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        async with asyncio.timeout(8):
            while True:
                probe.sendto(b"?", probe.getsockname())
                sent = time.time()
                await asyncio.sleep(0.01)
                ((_, _, stamp),) = probe.recvmsg(16, 64)[1]
                seconds, nanoseconds = struct.unpack("ll", stamp)
                if seconds + nanoseconds * 1e-9 <= sent:
                    return


async def test_when_a_packet_came_is_the_kernels_word(peer: Peer) -> None:
    """The loop and the plane are late; the slice's place in time is not."""
    await stamps_begin()
    now = LoopClock().now
    peer.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    sent = now()
    for number in range(2):
        peer.send(datagram(opus(number), number, number * 960))
    arrived = now()
    await asyncio.sleep(0.2)
    peer.pump.close()
    (cut,) = peer.cuts
    # The second packet came 20 ms before its time: that is the least delay.
    assert sent - 0.021 <= cut.began <= arrived - 0.019


@pytest.mark.parametrize("way", ["close", "detach"])
async def test_what_came_just_before_the_end_counts(peer: Peer, way: str) -> None:
    """The plane has not looked since: it sleeps between ticks."""
    peer.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    await talk(peer, range(10))
    for number in range(10, 20):
        peer.send(datagram(opus(number), number, number * 960))
    if way == "close":
        peer.pump.close()
    else:
        peer.pump.detach(SOUND)
    (cut,) = peer.cuts
    assert isinstance(cut, AudioCut)
    assert [one.payload for one in cut.packets] == [opus(number) for number in range(20)]


async def test_dtls_and_strange_stun_are_handed_back(peer: Peer) -> None:
    datagrams = [b"\x16\xfe\xfd" + bytes(20), b"\x00\x01" + bytes(18), b"\x3f", b"\xff" * 4]
    for data in datagrams:
        peer.send_raw(data)
    await until(lambda: len(peer.others) == 4)
    assert peer.others == [(data, peer.sock.getsockname()) for data in datagrams]
    peer.send_raw(b"")
    await talk(peer, range(2))
    await until(lambda: peer.pump.counters)
    assert peer.pump.counters.keys() == {"asleep"}


async def test_what_waits_for_a_busy_loop_is_bounded_and_counted(peer: Peer) -> None:
    """The loop has no turn while these come."""
    for _ in range(2000):
        peer.send_raw(b"\x16" * 100)
    time.sleep(0.2)
    await until(lambda: peer.others)
    counters = peer.pump.counters
    assert len(peer.others) == MAX_OTHERS
    assert counters["others_dropped"] + counters["receive_buffer_full"] == 2000 - MAX_OTHERS


async def test_cuts_that_wait_for_a_busy_loop_are_bounded_and_counted(peer: Peer) -> None:
    """Every jump of the sender's clock ends a slice of each of 300 tasks."""
    for number in range(300):
        peer.pump.attach(Subscribe(SOUND._replace(task=str(number)), AudioSpec(1)))
    for jump in range(5):
        for step in range(4):
            number = jump * 4 + step
            peer.send(datagram(opus(number), number, (jump * 1000 + step) * 960))
        time.sleep(0.06)
    await until(lambda: peer.cuts)
    assert len(peer.cuts) == MAX_WAITING
    assert peer.pump.counters["cuts_dropped"] == 4 * 300 - MAX_WAITING


async def test_consent_is_given_and_asked_for(secure: Peer) -> None:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes.update(
        {"USERNAME": "ours:thrs", "PRIORITY": 1, "ICE-CONTROLLING": 5, "USE-CANDIDATE": None}
    )
    request.add_message_integrity(ICE.pwd.encode())
    secure.send_raw(bytes(request))
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
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, check.transaction_id)
    answer.add_message_integrity(ICE.remote_pwd.encode())
    secure.send_raw(bytes(answer))
    secure.send_raw(b"\x16last")
    await until(lambda: secure.others)
    assert [data for data, _ in secure.others] == [b"\x16last"]


async def test_a_check_with_another_password_is_not_ours(secure: Peer) -> None:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes.update({"USERNAME": "ours:thrs", "PRIORITY": 1, "ICE-CONTROLLING": 5})
    request.add_message_integrity(b"guessed")
    secure.send_raw(bytes(request))
    await until(lambda: secure.others)
    assert secure.received() == []


async def test_forged_media_is_counted_and_changes_nothing(secure: Peer) -> None:
    secure.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    for number in range(60):
        secure.send_raw(datagram(opus(99) + bytes(10), 60_000 + number, 0))
        secure.send(datagram(opus(number), number, number * 960))
        await asyncio.sleep(0.02)
    await until(lambda: secure.cuts and secure.pump.counters.total() == 60)
    assert secure.pump.counters == {"srtp_authentication": 60}
    (cut,) = secure.cuts
    assert isinstance(cut, AudioCut)
    assert len(cut.packets) == 50


async def test_sleeping_video_is_not_decrypted_and_its_roll_over_is_kept(secure: Peer) -> None:
    """Its sequence numbers wrap twice while it sleeps; then a picture is wanted, and decrypted."""
    now, first, many = asyncio.get_running_loop().time, 60_000, 75_000
    secure.pump.attach(Subscribe(SIGHT, VideoSpec(3600)))
    key, other = packetized(vp8(0, True), 1000)[0], packetized(vp8(1, False), 1000)[0]
    began = now()

    def sight(payload: bytes, number: int) -> bytes:
        return datagram(payload, first + number, int((now() - began) * 90_000), 2, 96, True)

    for number in range(2):
        secure.send(sight(key, number))
    await until(lambda: secure.cuts)

    def caught_up(asleep: int) -> bool:
        return secure.pump.counters["asleep"] == asleep

    for begin in range(2, many, 400):  # so few at a time that no socket's buffer fills
        for number in range(begin, min(begin + 400, many)):
            secure.send(sight(other, number))
        await until(partial(caught_up, number - 1))
    tampered = bytearray(secure.protecting.protect(sight(other, many)))
    tampered[-1] ^= 1
    secure.send_raw(bytes(tampered))
    await until(partial(caught_up, many - 1))
    secure.pump.attach(Subscribe(SIGHT._replace(task="another"), VideoSpec(3600)))
    for number in range(1, 3):
        secure.send(sight(key, many + number))
    await until(lambda: len(secure.cuts) == 2)
    assert secure.pump.counters["srtp_authentication"] == 0  # nobody looked into the tampered one


async def test_a_peer_that_moves_is_followed(secure: Peer) -> None:
    secure.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    await talk(secure, range(30))
    link, secure.address = secure.link()
    secure.pump.move(link.sock, link.address)
    await talk(secure, range(30, 60))
    await until(lambda: secure.cuts)
    elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    elsewhere.bind(("127.0.0.1", 0))
    elsewhere.settimeout(5)
    secure.received()
    secure.pump.redirect(elsewhere.getsockname())
    await talk(secure, range(60, 120))
    report = await asyncio.to_thread(elsewhere.recv, 2048)
    elsewhere.close()
    assert isinstance(
        rtcp.parse(secure.unprotecting.unprotect_rtcp(report))[0], rtcp.ReceiverReport
    )
    assert not secure.pump.counters


async def test_what_comes_another_way_is_taken(peer: Peer) -> None:
    peer.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    peer.pump.receive([datagram(opus(n), n, n * 960) for n in range(2)])
    await talk(peer, range(2, 60))
    await until(lambda: peer.cuts)
    first = peer.cuts[0]
    assert isinstance(first, AudioCut)
    assert len(first.packets) == 50


async def test_one_who_fails_does_not_keep_the_others_cuts(peer: Peer) -> None:
    broken = Peer([AUDIO])
    broken.pump = PlanePump(broken.plane, bundle_of("bob", [AUDIO]), failing)
    link, broken.address = broken.link()
    broken.pump.carry(link)
    for one in (broken, peer):
        one.pump.attach(Subscribe(SOUND, AudioSpec(1)))
    await asyncio.gather(talk(broken, range(60)), talk(peer, range(60)))
    await until(lambda: peer.cuts)
    with suppress(ValueError):
        broken.pump.close()
    broken.sock.close()


def failing(_cut: Cut) -> None:
    raise ValueError("this one cannot")


async def test_everything_is_given_back() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    def threads() -> int:
        names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
        return names.count("slicer-plane\n")

    gc.collect()  # the planes of other loops
    Peer([AUDIO]).close()  # our own is there from now on
    before, running = descriptors(), threads()
    peers = [Peer([AUDIO, VIDEO], True) for _ in range(50)]
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
        (("127.0.0.1", 1), (1, b"short", bytes(30)), None, "profile 1 with 5 bytes"),
        (("127.0.0.1", 1), (99, bytes(30), bytes(30)), None, "profile 99"),
        (("127.0.0.1", 1), None, ("a" * 300, "b", "c", "d", False, 0), "256 characters"),
        (("nowhere", 1), None, None, "illegal IP address"),
    ],
)
async def test_what_cannot_be_taken_is_refused(
    peer: Peer,
    address: Address,
    keys: tuple[int, bytes, bytes] | None,
    ice: tuple[str, str, str, str, bool, int] | None,
    said: str,
) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    descriptor = sock.detach()
    with pytest.raises((ValueError, OSError), match=said):
        peer.pump._peer.take(descriptor, address, keys, ice)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


async def test_a_long_datagram_is_refused_by_its_length(peer: Peer) -> None:
    peer.send_raw(struct.pack("!BBHII", 0x80, 111, 1, 1, 1) + bytes(4000))
    await until(lambda: peer.pump.counters)
    assert peer.pump.counters == {"srtp_oversized": 1}


async def test_a_bundle_in_a_peer_is_the_peers_alone() -> None:
    bundle = bundle_of("ann", [AUDIO])
    plane = running_plane()
    assert plane is not None
    pump = PlanePump(plane, bundle, failing)
    with pytest.raises(RuntimeError, match="another thread"):
        bundle.receive([], 0.0)
    pump.close()


@pytest.mark.parametrize(("native", "strict"), [("", False), ("1", True)])
async def test_without_libcrypto_sockets_are_read_on_the_loop(
    monkeypatch: pytest.MonkeyPatch, native: str, strict: bool
) -> None:
    monkeypatch.setenv("SLICER_NATIVE", native)
    monkeypatch.setattr(module, "srtp_missing", lambda: "no libcrypto here")
    if strict:
        with pytest.raises(RoomError, match="no libcrypto here"):
            running_plane()
    else:
        assert running_plane() is None


async def test_a_plane_that_cannot_be_made_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def plane() -> None:
        raise OSError("no descriptor left")

    monkeypatch.setenv("SLICER_NATIVE", "")
    monkeypatch.setattr(module, "Plane", plane)
    assert running_plane() is None
