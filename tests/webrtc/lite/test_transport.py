"""A peer that comes to our port: checks, handshake, another address, restarts, strangers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.harness.rooms.lite_call import SECONDS, Call
from tests.harness.rooms.manual_peer import ManualPeer

ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    call = Call()
    yield call
    await call.close()


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_a_peer_connects(setup: str) -> None:
    call = Call(setup)
    link = await call.connect()
    assert call.peer.dtls is not None
    theirs = call.peer.dtls.keys()
    assert link.keys is not None
    assert (link.keys.inbound, link.keys.outbound) == (theirs.outbound, theirs.inbound)
    assert link.address == call.peer.address == call.ours.address
    assert link.ice is None
    assert call.ours.counters == Counter()
    await call.close()


async def test_media_behind_the_handshake_waits_in_the_kernel(call: Call) -> None:
    link = await call.connect()
    packet = b"\x80\x60" + bytes(30)
    call.peer.media(packet)
    async with asyncio.timeout(SECONDS):
        data = await asyncio.get_running_loop().sock_recv(link.sock, 2_048)
    assert data[:2] == packet[:2]
    assert call.ours.counters == Counter()


async def test_nothing_is_sent_before_a_check(call: Call) -> None:
    """Nor is anything where an offer says: candidates are not even read."""
    await call.meet()
    host, number = call.peer.address
    await call.ours.add_candidates([f"1 1 udp 1 {host} {number} typ host"])
    call.ours.check_consent(True)
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        call.peer.sock.recv(100)
    assert call.ours.address is None


async def test_who_does_not_know_the_password_is_not_answered(call: Call) -> None:
    await call.meet()
    call.peer.check(pwd="0" * 32)
    await call.until(lambda: call.ours.counters["stun_unauthenticated"] == 1)
    assert call.peer.answers == []
    assert call.ours.address is None


async def test_the_time_to_connect_is_bounded(call: Call) -> None:
    await call.meet(seconds=0.1)
    assert call.connecting is not None
    assert await call.connecting == "no connectivity check came within 0.1 s"
    again = call.transport()
    peer = ManualPeer()
    peer.meet(await again.local())
    connecting = asyncio.create_task(again.connect(peer.remote, False, 0.2, call.take))
    await asyncio.sleep(0)
    peer.check()
    assert await connecting == "DTLS was not done within 0.2 s"
    await again.stop()
    peer.close()


async def test_a_stranger_s_datagrams_change_nothing(call: Call) -> None:
    """From any address, before the handshake and within it: one of them used to end it."""
    stranger = ManualPeer()
    await call.meet()
    stranger.meet(call.peer.ours)
    for data in (b"", b"\x16", b"\xff", ALERT, b"\x80" + bytes(40), b"\x16\xfe\xff" + bytes(20)):
        stranger.send(data)
    assert call.peer.dtls is not None
    call.peer.check()
    await call.until(lambda: call.peer.answers)
    for data in (ALERT, b"\x16\xfe\xff" + bytes(20), b"\x16", b"\xff"):
        stranger.send(data)
        call.peer.send(data)  # as if its address were forged
    await call.until(lambda: call.ours.counters["datagrams_misplaced"] >= 1)
    assert call.connecting is not None
    for out in call.peer.dtls.begin():
        call.peer.send(out)
    await call.until(call.connecting.done)
    assert call.connecting.result() == ""
    stranger.close()


async def test_a_client_s_first_flight_is_repeated_early() -> None:
    """The publisher was not ready for it."""
    call = Call("passive")
    await call.meet()
    call.peer.check()
    await asyncio.sleep(0.01)
    dtls, call.peer.dtls = call.peer.dtls, None
    await call.until(lambda: call.peer.answers)  # what is of DTLS is lost
    call.peer.dtls = dtls
    assert call.connecting is not None
    await call.until(call.connecting.done)
    assert call.connecting.result() == ""
    await call.close()


async def test_a_nomination_moves_the_peer(call: Call) -> None:
    await call.connect()
    before = call.peer.address
    call.peer.move()
    call.peer.check(nominate=False)
    await call.until(lambda: len(call.peer.answers) == 2)
    assert call.ours.address == before
    assert call.ours.take_moved() is None
    call.peer.check(nominate=True)
    await call.until(lambda: call.moved)
    moved = call.ours.take_moved()
    assert moved is not None
    sock, address = moved
    assert address == call.peer.address == call.ours.address
    call.peer.send(b"\x80 media")
    async with asyncio.timeout(SECONDS):
        assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"\x80 media"
    sock.close()


async def test_a_peer_that_nominates_once_is_followed_where_nothing_comes_any_more(
    call: Call,
) -> None:
    """A check of consent from elsewhere says where it is; one that comes again says nothing."""
    await call.connect()
    call.peer.move()
    seen = call.peer.check(nominate=False)
    await call.until(lambda: len(call.peer.answers) == 2)
    call.quiet = True
    call.peer.send(seen)
    await call.until(lambda: len(call.peer.answers) == 3)
    assert call.moved == 0
    call.peer.check(nominate=False)
    await call.until(lambda: call.moved)
    assert call.ours.address == call.peer.address


async def test_who_is_faster_with_the_peer_s_own_check_moves_nobody(call: Call) -> None:
    """The media path reads the peer's check later than the loop reads the other one."""
    await call.connect()
    stranger = ManualPeer()
    stranger.meet(call.peer.ours)
    stranger.send(call.peer.check())
    await call.until(lambda: call.ours.counters["stun_unauthenticated"] == 1)
    await call.until(lambda: len(call.peer.answers) == 2)
    assert call.moved == 0
    stranger.close()


async def test_a_replayed_check_of_another_session_moves_nobody(call: Call) -> None:
    await call.connect()
    other = call.transport()
    theirs = await other.local()
    stranger = ManualPeer()
    stranger.meet(theirs)
    stranger.check(ours=call.peer.ours, pwd=theirs.pwd)
    await call.until(lambda: call.ours.counters["stun_unauthenticated"])
    assert call.moved == 0
    await other.stop()
    stranger.close()


async def test_checks_go_on_by_the_media_path(call: Call) -> None:
    link = await call.connect()
    call.peer.check()
    async with asyncio.timeout(SECONDS):
        data = await asyncio.get_running_loop().sock_recv(link.sock, 2_048)
    link.others(data, call.peer.address)
    await call.until(lambda: len(call.peer.answers) == 2)


async def test_ice_restarts_and_media_goes_on(call: Call) -> None:
    link = await call.connect()
    before = call.peer.ours
    after = await call.ours.restart()
    assert (after.ufrag, after.pwd) != (before.ufrag, before.pwd)
    assert after.candidates == before.candidates
    call.peer.move()
    call.peer.check(nominate=False)  # `old-ours:new-theirs`
    await call.until(lambda: len(call.peer.answers) == 2)
    call.peer.meet(after)
    call.peer.check()
    await call.until(lambda: call.moved)
    moved = call.ours.take_moved()
    assert moved is not None
    moved[0].close()
    call.peer.check(ours=before)
    await asyncio.sleep(0.05)
    assert call.ours.address == call.peer.address
    assert not call.ended
    assert link.keys is not None


async def test_the_end_is_told_to_both(call: Call) -> None:
    link = await call.connect()
    assert call.peer.dtls is not None
    for out in call.peer.dtls.close():
        call.peer.send(out)
    async with asyncio.timeout(SECONDS):
        data = await asyncio.get_running_loop().sock_recv(link.sock, 2_048)
    link.others(data, call.peer.address)
    assert call.ended == ["DTLS closed by the peer"]


async def test_we_tell_the_end(call: Call) -> None:
    link = await call.connect()
    await call.ours.stop()
    link.sock.close()  # as the media path does
    dtls = call.peer.dtls
    assert dtls is not None
    await call.until(lambda: dtls.failure)
    assert dtls.failure == "DTLS closed by the peer"
    call.peer.check()
    await call.until(lambda: call.port.counters["datagrams_of_strangers"])


async def test_a_peer_that_would_hang_is_told_no_end() -> None:
    """FFmpeg's muxer, which wants to be the server of DTLS."""
    call = Call("passive")
    await call.connect()
    await call.peer.pump()
    await call.ours.stop()
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        call.peer.sock.recv(100)
    await call.close()
