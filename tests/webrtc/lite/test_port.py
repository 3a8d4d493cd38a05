"""One UDP port: whose datagrams go where, and which ports are refused."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from aioice import stun

from slicer.errors import RoomError
from slicer.webrtc.link import Address
from slicer.webrtc.lite import turns
from slicer.webrtc.lite.port import RENEW, Listener, UdpPort, bind_all

LOOPBACK = "127.0.0.1"


class Written:
    """A session that writes down what arrives."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[bytes, Address]] = []
        self.listener: Listener | None = None

    def arrived(self, data: bytes, address: Address, listener: Listener) -> None:
        self.arrivals.append((data, address))
        self.listener = listener


class Time:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def port(time: Time) -> AsyncIterator[UdpPort]:
    port = UdpPort([LOOPBACK], 0, (), time)
    yield port
    port.close()


@pytest.fixture
def sender() -> socket.socket:
    return _sender()


def _sender() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK, 0))
    return sock


def check(fragment: str) -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{fragment}:x"
    return bytes(request)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_check_goes_to_the_session_that_it_names(
    port: UdpPort, sender: socket.socket
) -> None:
    ann, bob = Written(), Written()
    port.name(ann, ["ann1", "ann2"])
    port.name(bob, ["bob1"])
    for fragment in ("ann2", "bob1", "nobody"):
        sender.sendto(check(fragment), (LOOPBACK, port.port))
    await until(port.counters.total)
    address = sender.getsockname()
    assert ann.arrivals == [(check_of(ann), address)]
    assert bob.arrivals == [(check_of(bob), address)]
    assert port.counters == {"datagrams_of_strangers": 1}


def check_of(session: Written) -> bytes:
    return session.arrivals[0][0]


async def test_names_that_were_replaced_are_nobody_s(port: UdpPort, sender: socket.socket) -> None:
    ann = Written()
    port.name(ann, ["old"])
    port.name(ann, ["new"])
    sender.sendto(check("old"), (LOOPBACK, port.port))
    await until(lambda: port.counters["datagrams_of_strangers"])
    assert ann.arrivals == []


async def test_what_strangers_send_is_counted_alone(port: UdpPort, sender: socket.socket) -> None:
    for data in (b"", b"\x00", b"\x16" * 40, b"\x80" * 200, b"\xff" * 1_500):
        sender.sendto(data, (LOOPBACK, port.port))
    await until(lambda: port.counters["datagrams_of_strangers"] == 5)


async def test_checks_that_come_together_are_taken_in_several_turns(
    port: UdpPort, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else is ready has its turn between two of them."""
    monkeypatch.setattr(turns, "BUDGET", 0.0)
    session, loop, count = Written(), asyncio.get_running_loop(), [0]
    came: list[int] = []
    arrived = session.arrived

    def note(data: bytes, address: Address, listener: Listener) -> None:
        came.append(count[0])
        arrived(data, address, listener)

    def turn() -> None:
        count[0] += 1
        loop.call_soon(turn)

    monkeypatch.setattr(session, "arrived", note)
    port.name(session, ["ours"])
    for _ in range(turns.MAX_OF_ONE):
        sender.sendto(check("ours"), (LOOPBACK, port.port))
    turn()
    await until(lambda: len(came) == turns.MAX_OF_ONE)
    assert len(set(came)) == turns.MAX_OF_ONE


async def test_checks_beyond_a_bound_are_dropped_and_counted(
    port: UdpPort, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 2)
    session = Written()
    port.name(session, ["ours"])
    for _ in range(5):
        sender.sendto(check("ours"), (LOOPBACK, port.port))
    await until(lambda: len(session.arrivals) == 2)
    assert port.counters == {"datagrams_of_joins_dropped": 3}


async def test_one_session_s_checks_leave_the_places_to_others(port: UdpPort) -> None:
    """Whoever has a session can name it from any number of addresses, and send what he likes with
    that."""
    mallory, ann = Written(), Written()
    port.name(mallory, ["his"])
    port.name(ann, ["ours"])
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(_sender()) for _ in range(2 * turns.MAX_OF_ONE)]
        for one in senders:
            one.sendto(check("his"), (LOOPBACK, port.port))
            one.sendto(b"\x16" * 40, (LOOPBACK, port.port))
        senders[0].sendto(check("ours"), (LOOPBACK, port.port))
        await until(lambda: ann.arrivals)
    assert len(mallory.arrivals) <= turns.MAX_OF_ONE
    dropped = port.counters["datagrams_of_joins_dropped"]
    assert dropped == 3 * turns.MAX_OF_ONE, "of checks and of what came with them"


async def test_names_of_nobody_have_one_peer_s_places(time: Time, sender: socket.socket) -> None:
    """They come from a peer's address, to another one of ours than that it is connected to."""
    port, ann = UdpPort([LOOPBACK, "127.0.0.2"], 0, (), time), Written()
    port.name(ann, ["ours"])
    sender.sendto(check("ours"), (LOOPBACK, port.port))
    await until(lambda: ann.arrivals)
    sock, _ = port.connect(own_listener(ann), sender.getsockname(), ann)
    for number in range(2 * turns.MAX_OF_ONE):
        sender.sendto(check(f"nobody-{number}"), ("127.0.0.2", port.port))
    await until(lambda: port.counters.total() == 2 * turns.MAX_OF_ONE)
    assert port.counters["datagrams_of_joins_dropped"] == turns.MAX_OF_ONE
    sock.close()
    port.close()


async def test_a_connected_peer_has_a_socket_of_its_own(
    port: UdpPort, sender: socket.socket
) -> None:
    ann = Written()
    port.name(ann, ["ann"])
    sender.sendto(check("ann"), (LOOPBACK, port.port))
    await until(lambda: ann.arrivals)
    assert ann.listener is not None
    own, _ = port.connect(ann.listener, sender.getsockname(), ann)
    assert own.getsockname() == (LOOPBACK, port.port)
    sender.sendto(b"\x80 of the peer", (LOOPBACK, port.port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(20):
            stranger.sendto(b"\x80 of a stranger", (LOOPBACK, port.port))
    await until(lambda: port.counters["datagrams_of_strangers"] == 20)
    assert own.recv(100) == b"\x80 of the peer"
    with pytest.raises(BlockingIOError):
        own.recv(100)
    own.close()


async def test_what_came_to_the_other_socket_finds_its_session(
    port: UdpPort, sender: socket.socket
) -> None:
    """Between `bind` and `connect` either socket may get anybody's datagrams."""
    ann, bob = Written(), Written()
    port.name(ann, ["ann"])
    port.name(bob, ["bob"])
    sender.sendto(check("ann"), (LOOPBACK, port.port))
    await until(lambda: ann.arrivals)
    assert ann.listener is not None
    peer: Address = sender.getsockname()
    own, _ = port.connect(ann.listener, peer, ann)
    port.take(ann.listener, b"\x16 late", peer)
    assert ann.arrivals[-1] == (b"\x16 late", peer)
    sender.sendto(check("bob"), (LOOPBACK, port.port))
    await asyncio.sleep(0.01)
    port.hand_on(own, ann.listener)  # by the address it is Ann's, whatever it names
    assert len(ann.arrivals) == 3
    port.forget(ann)
    port.take(own_listener(ann), check("ann"), peer)
    assert len(ann.arrivals) == 3
    port.take(own_listener(ann), check("bob"), peer)
    assert len(bob.arrivals) == 1
    own.close()


def own_listener(session: Written) -> Listener:
    assert session.listener is not None
    return session.listener


async def test_who_comes_again_by_the_same_address_is_another_session(
    port: UdpPort, sender: socket.socket
) -> None:
    first, second, before = Written(), Written(), Written()
    there, ours = sender.getsockname(), (LOOPBACK, port.port)
    port.name(before, ["ann"])
    sender.sendto(check("ann"), ours)
    await until(lambda: before.arrivals)
    listener = own_listener(before)
    port.forget(before)
    for session in (first, second):
        sock, _ = port.connect(listener, there, session)
        sock.close()
    port.forget(first)
    sender.sendto(b"\x80media", ours)
    await until(lambda: second.arrivals == [(b"\x80media", there)])
    port.forget(second)
    sender.sendto(b"\x80media", ours)
    await until(lambda: port.counters["datagrams_of_strangers"] == 1)
    assert first.arrivals == []


async def test_a_peer_that_cannot_be_reached(port: UdpPort, sender: socket.socket) -> None:
    ann = Written()
    port.name(ann, ["ann"])
    sender.sendto(check("ann"), (LOOPBACK, port.port))
    await until(lambda: ann.arrivals)
    with pytest.raises(PermissionError):
        port.connect(own_listener(ann), ("255.255.255.255", 9), ann)


async def test_several_addresses_have_one_number(time: Time) -> None:
    port = UdpPort([LOOPBACK, "::1"], 0, (), time)
    assert [line.split()[4:6] for line in port.candidates.lines] == [
        [LOOPBACK, str(port.port)],
        ["::1", str(port.port)],
    ]
    priorities = [int(line.split()[3]) for line in port.candidates.lines]
    assert priorities == sorted(priorities, reverse=True)
    port.close()


async def test_other_addresses_are_offered_where_there_is_a_nat(time: Time) -> None:
    port = UdpPort([LOOPBACK], 0, ["203.0.113.9"], time)
    assert port.candidates.address == "203.0.113.9"
    assert [line.split()[4] for line in port.candidates.lines] == ["203.0.113.9"]
    port.close()


async def test_a_port_in_use_is_refused_by_name(port: UdpPort) -> None:
    with pytest.raises(RoomError, match=rf"{LOOPBACK} port {port.port}: Address already in use"):
        bind_all([LOOPBACK], port.port)


async def test_an_address_of_others_is_refused_by_name() -> None:
    with pytest.raises(RoomError, match=r"203\.0\.113\.9 port any: Cannot assign"):
        bind_all(["203.0.113.9"], 0)


async def test_a_new_session_gets_a_certificate_that_is_not_old(port: UdpPort, time: Time) -> None:
    first = port.certificate
    time.now += RENEW - 1
    assert port.certificate is first
    time.now += 2
    second = port.certificate
    assert second is not first
    time.now -= 2 * RENEW  # a clock that was set back
    assert port.certificate is not second


async def test_an_answer_that_cannot_be_sent(port: UdpPort, sender: socket.socket) -> None:
    ann = Written()
    port.name(ann, ["ann"])
    sender.sendto(check("ann"), (LOOPBACK, port.port))
    await until(lambda: ann.arrivals)
    assert own_listener(ann).send(b"x", sender.getsockname())
    assert not own_listener(ann).send(bytes(70_000), sender.getsockname())


async def test_what_comes_right_behind_a_first_check_finds_its_session(
    port: UdpPort, sender: socket.socket
) -> None:
    """Both were read before the check gave the peer its socket."""
    sockets: list[socket.socket] = []

    class Connecting(Written):
        def arrived(self, data: bytes, address: Address, listener: Listener) -> None:
            super().arrived(data, address, listener)
            if not sockets:
                sockets.append(port.connect(listener, address, self)[0])

    ann = Connecting()
    port.name(ann, ["ann"])
    for data in (check("ann"), b"\x16\xfe\xfd hello"):
        sender.sendto(data, (LOOPBACK, port.port))
    await until(lambda: len(ann.arrivals) == 2)
    assert port.counters == {}
    sockets[0].close()
