"""The sockets of a port: whom is listened to, and where answers go."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from slicer.errors import RoomError
from slicer.rooms.rtp import sockets as module
from slicer.rooms.rtp.session import Port, section_of
from slicer.rooms.rtp.sockets import Sender as Identity
from slicer.rooms.rtp.sockets import Sockets
from slicer.rtp import rtcp
from slicer.rtp.parameters import Kind
from slicer.rtp.rtcp.reports import ReceiverReport
from slicer.webrtc.link import SrtpKeys
from slicer.webrtc.srtp import Protection, outbound
from tests.harness.rooms.rtp_sender import Sender, free_ports

REPORT = rtcp.build([ReceiverReport(1, ())])
KEYS = SrtpKeys(1, bytes(range(30)), bytes(range(30)))


class Listening:
    """Sockets on loopback and what they give; *now* is set by the test."""

    def __init__(self, keys: SrtpKeys | None = None, muxed: bool = True, pinned: str = "") -> None:
        (self.port,) = free_ports()
        self.now = 0.0
        self.taken: list[bytes] = []
        section = section_of(Kind.AUDIO, "96:opus")
        port = Port(self.port, None if muxed else self.port + 1, (section,), keys)
        self.identity = Identity(pinned)
        self.found = 0
        self.sockets = Sockets(
            "127.0.0.1", port, self.identity, self._find, self.taken.extend, lambda: self.now
        )

    def _find(self) -> None:
        self.found += 1

    async def until(self, taken: int, foreign: int = 0) -> None:
        async with asyncio.timeout(5):
            while (len(self.taken), self.sockets.counters["foreign_source"]) != (taken, foreign):
                await asyncio.sleep(0.005)


@pytest.fixture
def senders() -> Iterator[list[Sender]]:
    made = [Sender(), Sender(), Sender("127.0.0.2")]
    yield made
    for one in made:
        one.close()


async def test_the_first_sender_is_the_only_one(senders: list[Sender]) -> None:
    first, second, other = senders
    there = Listening()
    second.send([b"", b"\x80", b"\x80\x60" + bytes(5), b"\x80\x7f" + bytes(20), REPORT], there.port)
    await there.until(0, 5)
    first.talk(there.port, 0, 3)
    await there.until(4, 5)  # with a report
    second.talk(there.port, 0, 1)
    other.talk(there.port, 0, 1)
    await there.until(4, 9)
    there.sockets.transmit(REPORT)
    await asyncio.sleep(0.05)
    assert first.received() == [REPORT]
    assert second.received() == other.received() == []
    there.sockets.close()
    there.sockets.close()


async def test_a_sender_may_move_to_another_port_of_its_address(senders: list[Sender]) -> None:
    first, second, other = senders
    there = Listening()
    first.talk(there.port, 0, 1)
    await there.until(2)
    there.now = module.MOVES
    other.talk(there.port, 0, 1)
    await there.until(2, 2)
    second.talk(there.port, 1, 1)
    await there.until(4, 2)
    there.sockets.transmit(REPORT)
    await asyncio.sleep(0.05)
    assert (first.received(), second.received()) == ([], [REPORT])
    assert there.found == 2
    there.identity.forget()
    there.sockets.forget()
    other.talk(there.port, 0, 1)
    await there.until(5, 2)  # its report has gone already
    assert there.identity.host == "127.0.0.2"
    there.sockets.close()


async def test_a_sender_that_is_named_is_the_only_one_that_may_come(senders: list[Sender]) -> None:
    first, _, other = senders
    there = Listening(pinned="127.0.0.2")
    first.talk(there.port, 0, 1)
    await there.until(0, 2)
    other.talk(there.port, 0, 1)
    await there.until(2, 2)
    there.identity.forget()
    assert there.identity.host == "127.0.0.2"
    there.sockets.close()


async def test_rtcp_of_its_own_port_is_answered_where_it_came_from(senders: list[Sender]) -> None:
    first, control, other = senders
    there = Listening(muxed=False)
    control.send([REPORT], there.port + 1)
    async with asyncio.timeout(5):
        while not there.sockets.counters["early_rtcp"]:
            await asyncio.sleep(0.005)
    there.sockets.transmit(REPORT)
    assert there.sockets.counters["rtcp_unsent"] == 1
    first.talk(there.port, 0, 2, control=there.port + 1)
    await there.until(3)  # media and its report, which comes from the port of the media
    control.send([REPORT, b"no report at all"], there.port + 1)
    await there.until(4)
    other.send([REPORT], there.port + 1)
    await there.until(4, 1)
    there.sockets.transmit(REPORT)
    await asyncio.sleep(0.05)
    assert (control.received(), first.received(), other.received()) == ([REPORT], [], [])
    there.sockets.close()


async def test_srtp_is_what_proves_a_sender() -> None:
    there = Listening(KEYS)
    plain, sealed = Sender(), Sender(protect=_sealed())
    plain.talk(there.port, 0, 1)
    await there.until(0, 2)
    sealed.talk(there.port, 0, 2)
    await there.until(3, 2)
    there.sockets.transmit(REPORT)
    await asyncio.sleep(0.05)
    (answer,) = sealed.received()
    assert list(Protection(KEYS, there.sockets.counters).unprotect([answer])) == [REPORT]
    assert answer != REPORT
    plain.close()
    sealed.close()
    there.sockets.close()


async def test_packets_are_counted_by_fate(senders: list[Sender]) -> None:
    first, control, other = senders
    there = Listening(KEYS, muxed=False)
    sealed = Sender(protect=_sealed())
    control.send([REPORT, REPORT], there.port + 1)  # before anybody is the sender: nobody's
    async with asyncio.timeout(5):
        while there.sockets.counters["packets_other"] < 2:
            await asyncio.sleep(0.005)
    sealed.talk(there.port, 0, 2, control=there.port + 1)
    await there.until(3)
    first.talk(there.port, 0, 4)  # plain, and so are its reports
    other.send([REPORT], there.port + 1)
    control.send([b"to be answered here"], there.port + 1)
    async with asyncio.timeout(5):
        while there.sockets.counters["packets_refused"] < 7:
            await asyncio.sleep(0.005)
    fates = {name: n for name, n in there.sockets.counters.items() if name.startswith("packets_")}
    assert fates == {"packets_media": 3, "packets_refused": 7, "packets_other": 2}
    sealed.close()
    there.sockets.close()


def _sealed() -> Callable[[bytes], bytes]:
    session = outbound(KEYS)

    def seal(data: bytes) -> bytes:
        return session.protect_rtcp(data) if rtcp.is_rtcp(data) else session.protect(data)

    return seal


async def test_a_port_that_is_taken_is_said_and_nothing_stays_open() -> None:
    there = Listening()
    section = section_of(Kind.AUDIO, "96:opus")
    for number, control in ((there.port, None), (there.port - 1, there.port)):
        port = Port(number, control, (section,))
        with pytest.raises(RoomError, match=f"UDP 127.0.0.1, port {there.port}: Address already"):
            Sockets("127.0.0.1", port, Identity(""), print, print, lambda: 0.0)
    there.sockets.close()
    with pytest.raises(RoomError, match=r"UDP 192\.0\.2\.1"):
        Sockets("192.0.2.1", Port(5, None, (section,)), Identity(""), print, print, lambda: 0.0)


async def test_what_cannot_be_sent_is_counted() -> None:
    plain, sealed = Sender(), Sender(protect=_sealed())
    for sender, keys, unsent in ((plain, None, bytes(70_000)), (sealed, KEYS, b"none")):
        there = Listening(keys)
        there.sockets.transmit(REPORT)  # to nobody
        sender.talk(there.port, 0, 1)
        await there.until(2)
        there.sockets.transmit(unsent)
        assert there.sockets.counters["rtcp_unsent"] == 2
        there.sockets.close()
        sender.close()


async def test_who_reads_rtcp_and_sends_none_shows_where(senders: list[Sender]) -> None:
    """Janus' `rtp_forward` with an `rtcp_port` sends this, before media or after it."""
    first, control, other = senders
    latch = b"\x80" + bytes(11)
    there = Listening(muxed=False)
    control.send([latch], there.port + 1)
    async with asyncio.timeout(5):
        while not there.sockets.counters["early_rtcp"]:
            await asyncio.sleep(0.005)
    first.talk(there.port, 0, 1)
    await there.until(2)
    there.sockets.transmit(REPORT)
    await asyncio.sleep(0.05)
    assert (control.received(), first.received()) == ([REPORT], [])
    other.send([latch], there.port + 1)
    first.send([latch], there.port + 1)
    await there.until(2, 1)
    there.sockets.transmit(REPORT)
    await asyncio.sleep(0.05)
    assert (control.received(), first.received(), other.received()) == ([], [REPORT], [])
    there.sockets.close()
