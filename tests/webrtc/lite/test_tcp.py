"""ICE-TCP: frames, who may hold a connection, and a peer that comes, moves and goes by it."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from slicer.errors import RoomError
from slicer.webrtc.lite import tcp
from slicer.webrtc.lite.port import UdpPort
from slicer.webrtc.lite.tcp import (
    MAX_FRAMES_UNPROVEN,
    MAX_OF_SESSION,
    MAX_UNPROVEN_OF_ADDRESS,
    TcpPort,
)
from tests.harness.rooms.lite_call import LOOPBACK, SECONDS, Call
from tests.harness.rooms.manual_peer import NOW, ManualPeer

PACKET = b"\x80\x60" + bytes(30)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    call = Call(tcp=True)
    yield call
    await call.close()


@pytest.fixture
def stranger(call: Call) -> Iterator[Callable[[], socket.socket]]:
    """Makes connections that have sent nothing yet."""
    made: list[socket.socket] = []

    def connect() -> socket.socket:
        made.append(socket.create_connection((LOOPBACK, call.tcp.port)))
        made[-1].setblocking(False)
        return made[-1]

    yield connect
    for sock in made:
        sock.close()


async def received(sock: socket.socket) -> bytes:
    async with asyncio.timeout(SECONDS):
        return await asyncio.get_running_loop().sock_recv(sock, 2_048)


async def test_a_passive_candidate_is_offered_below_udp(call: Call) -> None:
    by_udp, by_tcp = (await call.ours.local()).candidates
    assert by_tcp == (f"1 1 tcp 1671430143 {LOOPBACK} {call.tcp.port} typ host tcptype passive")
    assert int(by_udp.split()[3]) > int(by_tcp.split()[3])


async def test_a_peer_connects_and_its_media_waits_in_the_kernel(call: Call) -> None:
    link = await call.connect()
    call.peer.media(PACKET)
    assert (await received(link.sock))[:2] == PACKET[:2]
    assert call.peer.dtls is not None
    assert link.keys is not None
    assert link.keys.inbound == call.peer.dtls.keys().outbound
    assert call.port.counters.total() == call.ours.counters.total() == 0


async def test_the_answer_tells_the_peer_s_own_address(call: Call) -> None:
    await call.connect()
    assert call.peer.answers[0].attributes["XOR-MAPPED-ADDRESS"] == call.peer.address


async def test_checks_go_on_beside_the_media(call: Call) -> None:
    link = await call.connect()
    call.peer.answers.clear()
    call.peer.check()
    link.others(await received(link.sock), link.address)
    await call.until(lambda: call.peer.answers)
    assert call.peer.answers[0].attributes["XOR-MAPPED-ADDRESS"] == call.peer.address
    assert call.moved == 0


async def test_what_the_media_path_sends_leaves_in_frames(call: Call) -> None:
    link = await call.connect()
    link.sock.sendto(b"\x80\xc9 a report", link.address)
    link.sock.send(b"\x80\xca another")
    loop = asyncio.get_running_loop()
    got = b""
    async with asyncio.timeout(SECONDS):
        while b"another" not in got:
            got += await loop.sock_recv(call.peer.sock, 4_096)
    assert b"\x00\x0b\x80\xc9 a report\x00\x0a\x80\xca another" in got


async def test_frames_that_come_byte_by_byte(call: Call) -> None:
    link = await call.connect()
    for byte in len(PACKET).to_bytes(2, "big") + PACKET:
        call.peer.sock.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await received(link.sock) == PACKET


async def test_a_media_path_that_is_behind_loses_nothing(call: Call) -> None:
    """TCP has it all: a pair on loopback holds some 92 of these, and drops the others."""
    link = await call.connect()
    count, frame = 2_000, len(PACKET).to_bytes(2, "big") + PACKET
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(call.peer.sock, frame * count))
    await asyncio.sleep(0.1)
    for _ in range(count):
        assert await received(link.sock) == PACKET
    await sending
    assert call.port.counters.total() == 0


async def test_an_empty_frame_is_nothing(call: Call) -> None:
    await call.meet()
    call.peer.send(b"")
    call.peer.check()
    await call.until(lambda: call.peer.answers)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 400,
        b"\x00\x01\x16",
        b"\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    ],
    ids=["http", "dtls", "check-of-nobody"],
)
async def test_what_a_stranger_sends_ends_his_connection(
    call: Call, stranger: Callable[[], socket.socket], data: bytes
) -> None:
    await call.meet()
    sock = stranger()
    sock.send(data)
    assert await closed(sock)
    assert call.tcp.connections == 1
    counted = set(call.port.counters)
    assert counted <= {"tcp_connections_of_strangers", "tcp_frames_too_long"}
    assert len(counted) == 1


async def closed(sock: socket.socket) -> bool:
    try:
        return await received(sock) == b""
    except ConnectionResetError:
        return True


async def test_a_wrong_password_is_not_answered(call: Call) -> None:
    await call.meet()
    call.peer.check(pwd="0" * 32)
    await call.until(lambda: call.ours.counters["stun_unauthenticated"] == 1)
    assert call.peer.answers == []
    assert call.ours.address is None


async def test_who_goes_on_with_a_wrong_password_is_disconnected(call: Call) -> None:
    """Each of his checks costs us a signature, and a connection brings them by the thousand."""
    await call.meet()
    for _ in range(MAX_FRAMES_UNPROVEN + 10):
        call.peer.check(pwd="0" * 32)
    with contextlib.suppress(ConnectionResetError):
        await call.until(call.port.counters.total)
    assert call.tcp.connections == 0
    assert call.ours.counters["stun_unauthenticated"] == MAX_FRAMES_UNPROVEN
    assert call.port.counters == {"tcp_connections_of_strangers": 1}


async def test_who_says_nothing_is_disconnected(
    call: Call, stranger: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "FIRST", 0.05)
    assert await closed(stranger())
    assert call.port.counters == {"tcp_connections_silent": 1}


async def test_a_proven_one_lives_while_frames_come(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "FIRST", 0.05)
    monkeypatch.setattr(tcp, "IDLE", 0.2)
    await call.connect()
    await call.until(lambda: call.tcp.connections == 0)
    assert call.port.counters == {"tcp_connections_silent": 1}


async def test_an_address_has_so_many_that_prove_nothing(
    call: Call, stranger: Callable[[], socket.socket]
) -> None:
    strangers = [stranger() for _ in range(MAX_UNPROVEN_OF_ADDRESS + 1)]
    assert await closed(strangers[-1])
    assert call.tcp.connections == MAX_UNPROVEN_OF_ADDRESS
    assert call.port.counters == {"tcp_connections_refused": 1}


async def test_a_session_has_so_many(call: Call) -> None:
    await call.connect()
    others: list[ManualPeer] = []
    for _ in range(MAX_OF_SESSION - 1):
        other = ManualPeer(tcp=True)
        other.remote = call.peer.remote
        other.meet(call.peer.ours)
        other.check(nominate=False)
        while not other.answers:
            await other.pump()
        others.append(other)
    one_more = ManualPeer(tcp=True)
    one_more.meet(call.peer.ours)
    one_more.check(nominate=False)
    assert await closed(one_more.sock)
    assert call.port.counters == {"tcp_connections_refused": 1}
    for one in (*others, one_more):
        one.close()


async def test_a_peer_whose_connection_broke_comes_again(call: Call) -> None:
    await call.connect()
    call.peer.move()
    await call.until(lambda: call.tcp.connections == 1)
    call.peer.answers.clear()
    call.peer.check(nominate=False)
    await call.until(lambda: call.peer.answers)
    assert call.moved == 1
    moved = call.ours.take_moved()
    assert moved is not None
    call.peer.media(PACKET)
    assert (await received(moved[0]))[:2] == PACKET[:2]
    moved[0].close()


async def test_from_tcp_to_udp_and_the_connection_stays_for_later(call: Call) -> None:
    link = await call.connect()
    by_udp = ManualPeer()
    by_udp.remote = call.peer.remote
    by_udp.meet(call.peer.ours)
    by_udp.check(nominate=True)
    while not by_udp.answers:
        await by_udp.pump()
    assert call.moved == 1
    moved = call.ours.take_moved()
    assert moved is not None
    moved[0].close()
    call.peer.answers.clear()
    call.peer.check(nominate=False)
    await call.until(lambda: call.peer.answers)
    assert call.moved == 1
    assert link.sock.fileno() >= 0
    by_udp.close()


async def test_the_peer_hears_the_end(call: Call) -> None:
    await call.connect()
    await call.ours.stop()
    assert call.peer.dtls is not None
    await call.until(lambda: call.peer.dtls is not None and call.peer.dtls.failure)


async def test_a_peer_that_reads_nothing_loses_reports(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNSENT", 4_096)
    link = await call.connect()
    async with asyncio.timeout(SECONDS):
        while not call.port.counters["tcp_frames_unsent"]:
            with contextlib.suppress(BlockingIOError):
                link.sock.send(bytes(1_400))
            await asyncio.sleep(0)
    assert call.tcp.connections == 1


async def test_a_port_in_use_is_refused_by_name(call: Call) -> None:
    with pytest.raises(RoomError, match=f"the TCP port cannot be had: .* port {call.tcp.port}"):
        TcpPort(call.port, [LOOPBACK], call.tcp.port, ())


async def test_what_is_advertised_is_offered(call: Call) -> None:
    port = UdpPort([LOOPBACK], 0, ["203.0.113.9", "203.0.113.10"], lambda: NOW)
    listening = TcpPort(port, [LOOPBACK], 0, ["203.0.113.9", "203.0.113.10"])
    lines = [line for line in port.candidates.lines if "tcp" in line]
    assert [line.split()[4] for line in lines] == ["203.0.113.9", "203.0.113.10"]
    assert len({line.split()[0] for line in port.candidates.lines}) == 4
    listening.close()
    port.close()


async def test_without_a_descriptor_it_waits_instead_of_spinning(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "PAUSE", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    lowest = os.dup(waiting.fileno())
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        waiting.setblocking(False)
        waiting.connect_ex((LOOPBACK, call.tcp.port))
        await asyncio.sleep(0.2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 1 <= call.port.counters["tcp_accepts_failed"] <= 8
    async with asyncio.timeout(SECONDS):
        while call.tcp.connections == 0:
            await asyncio.sleep(0.01)
    waiting.close()
