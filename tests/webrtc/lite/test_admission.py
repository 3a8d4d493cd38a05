"""What of a listening socket's datagrams may be a peer's, by the reference and by the plane."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.webrtc.drain import MAX_BATCH, MAX_DATAGRAM, Datagram, read_batch
from slicer.webrtc.link import Address
from slicer.webrtc.lite import admission
from slicer.webrtc.lite.admission import admit, reader

LOOPBACK = "127.0.0.1"
ADA: Address = ("192.0.2.1", 5000)
BOB: Address = ("192.0.2.2", 5000)
HELLO = b"\x16\xfe\xfd hello"
HEAD = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)


def attribute(kind: int, value: bytes) -> bytes:
    head = kind.to_bytes(2, "big") + len(value).to_bytes(2, "big")
    return head + value + bytes(-len(value) % 4)


def check(fragment: str, before: int = 0) -> bytes:
    """Of a user name behind so many other attributes."""
    others = attribute(0x24, b"1234") * before
    return HEAD + others + attribute(0x06, f"{fragment}:x".encode())


def test_peers_and_checks_that_name_a_session_pass() -> None:
    batch: list[Datagram] = [
        (HELLO, ADA),
        (b"", ADA),
        (HELLO, BOB),
        (b"", BOB),
        (check("nobody"), BOB),
        (check("ann", before=3), BOB),
    ]
    assert admit(batch, {ADA}, {"ann"}) == [batch[0], batch[1], batch[5]]


def test_what_comes_behind_a_check_from_there_passes() -> None:
    batch: list[Datagram] = [(HELLO, BOB), (check("ann"), BOB), (HELLO, BOB), (HELLO, ADA)]
    assert admit(batch, set(), {"ann"}) == batch[1:3]


def test_an_address_of_ipv6_has_two_parts_as_peers_have() -> None:
    batch = [(HELLO, ("::1", 5000, 0, 0))]
    assert admit(batch, {("::1", 5000)}, set()) == [(HELLO, ("::1", 5000))]  # type: ignore[arg-type]


class Flood:
    """A listening socket, and some who send to it."""

    def __init__(self, stack: ExitStack, host: str = LOOPBACK, senders: int = 3) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = [
            stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            for _ in range(senders + 1)
        ]
        self.sock, *self.senders = made
        for sock in made:
            sock.bind((host, 0))
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.peers, self.fragments = set[Address](), {"ann", "bob"}

    def address(self, sender: int) -> Address:
        found: Address = self.senders[sender].getsockname()[:2]
        return found

    def send(self, sender: int, data: bytes) -> None:
        self.senders[sender].sendto(data, self.sock.getsockname())


@pytest.fixture
def flood() -> Iterator[Flood]:
    with ExitStack() as stack:
        yield Flood(stack)


def test_a_reader_leaves_strangers_out_and_counts_all(flood: Flood) -> None:
    read = reader(flood.sock, flood.peers, flood.fragments)
    assert read() == ([], 0)
    for data in (HELLO, b"", check("ann"), HELLO):
        flood.send(0, data)
        flood.send(1, data[:-1])
    admitted, count = read()
    ann, cut = check("ann"), check("ann")[:-1]
    assert count == 8
    assert [data for data, whose in admitted if whose == flood.address(0)] == [ann, HELLO]
    assert [data for data, whose in admitted if whose == flood.address(1)] == [cut, HELLO[:-1]]
    flood.peers.add(flood.address(2))
    flood.send(2, b"\x80media")
    assert read() == ([(b"\x80media", flood.address(2))], 1)


def test_a_reader_s_look_is_bounded(flood: Flood) -> None:
    flood.peers.add(flood.address(0))
    for number in range(MAX_BATCH + 10):
        flood.send(0, number.to_bytes(2, "big"))
    read = reader(flood.sock, flood.peers, flood.fragments)
    admitted, count = read()
    assert (len(admitted), count) == (MAX_BATCH, MAX_BATCH)
    admitted, count = read()
    assert [data for data, _ in admitted] == [
        number.to_bytes(2, "big") for number in range(MAX_BATCH, MAX_BATCH + 10)
    ]


def test_a_long_datagram_is_cut_off(flood: Flood) -> None:
    flood.peers.add(flood.address(0))
    flood.send(0, bytes(MAX_DATAGRAM + 1))
    read = reader(flood.sock, flood.peers, flood.fragments)
    assert read() == ([(bytes(MAX_DATAGRAM), flood.address(0))], 1)


def test_peers_of_ipv6() -> None:
    with ExitStack() as stack:
        flood = Flood(stack, "::1")
        flood.peers.add(flood.address(1))
        for sender in (0, 1):
            flood.send(sender, HELLO)
        read = reader(flood.sock, flood.peers, flood.fragments)
        assert read() == ([(HELLO, flood.address(1))], 2)


def test_a_system_without_a_plane_has_the_reference(
    flood: Flood, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise OSError("no native listener on this system")

    monkeypatch.setattr(admission, "Listener", none, raising=False)
    for implementation in ("native", "reference"):
        monkeypatch.setattr(admission, "IMPLEMENTATION", implementation)
        flood.peers.add(flood.address(0))
        for sender in (0, 1):
            flood.send(sender, HELLO)
        read = reader(flood.sock, flood.peers, flood.fragments)
        assert read() == ([(HELLO, flood.address(0))], 2)


_names = st.sampled_from(["ann", "bob", "eve", "", "ann:", "\xe4", "a" * 300])
_attributes = st.lists(st.builds(attribute, st.integers(0, 9), st.binary(max_size=9)), max_size=18)
_checks = st.builds(
    lambda name, before, cut: (HEAD + b"".join(before) + attribute(6, name.encode()))[:cut],
    _names,
    _attributes,
    st.integers(0, 400),
)
_datagrams = st.one_of(
    _checks, st.binary(max_size=60), st.builds(lambda rest: HEAD + rest, st.binary(max_size=60))
)


@pytest.mark.skipif(sys.platform != "linux", reason="the plane needs Linux")
@given(
    sent=st.lists(st.tuples(st.integers(0, 2), _datagrams), max_size=90),
    peers=st.sets(st.integers(0, 2)),
)
def test_both_readers_admit_the_same(sent: list[tuple[int, bytes]], peers: set[int]) -> None:
    hot = pytest.importorskip("slicer._hot")
    with ExitStack() as stack:
        flood = Flood(stack)
        flood.peers.update(map(flood.address, peers))

        def send() -> None:
            for sender, data in sent:
                flood.send(sender, data)

        send()
        whole = read_batch(flood.sock)
        assert [data for data, _ in whole] == [data for _, data in sent]
        expected = admit(whole, flood.peers, flood.fragments)
        send()
        found, count = hot.Listener().read(
            flood.sock.fileno(), flood.peers, flood.fragments, MAX_BATCH
        )
        assert (found, count) == (expected, len(sent))
