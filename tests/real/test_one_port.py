"""Publishers come to the one port of our rooms: from other addresses, by IPv6, behind a proxy."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aioice import stun

from slicer.hot import IMPLEMENTATION
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp import rtcp
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft
from slicer.slicing.outputs import AudioCut
from tests.harness.network.namespace import own_network
from tests.harness.network.spoofed import Forger
from tests.harness.rooms.caller import Caller
from tests.harness.rooms.nginx import nginx
from tests.harness.rooms.own_room import visiting
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.rtp.call import datagram, number_of, opus

OURS, THEIRS, LATER = "10.9.8.1", "10.9.8.2", "10.9.8.3"
FORGED = (
    b"",
    b"\x16",
    b"\xff",
    b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28",  # an alert
    b"\x16\xfe\xff" + bytes(8) + b"\x00\x0a" + bytes(10),
    b"\x17\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x20" + bytes(32),  # of the epoch to come
    datagram(opus(9_999) + bytes(20), 300, 300 * 960),
    rtcp.build([rtcp.Bye((1,))]) + bytes(14),
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
)
UNPUBLISHED = "unpublished by the publisher"


def address(verb: str, *addresses: str) -> None:
    """Add or delete addresses of this thread's network."""
    for one in addresses:
        subprocess.run(["ip", "addr", verb, f"{one}/32", "dev", "test0"], check=True)


@pytest.fixture
def network() -> Iterator[None]:
    """A network of this test's own, with two addresses: ours and a publisher's."""
    with own_network():
        address("add", OURS, THEIRS)
        yield


def heard(visitor: Visitor) -> set[int]:
    """The numbers of the packets that are in audio slices."""
    cuts = [cut for cut in visitor.told if isinstance(cut, AudioCut)]
    return {number_of(one) for cut in cuts for one in cut.packets}


@pytest.mark.parametrize("loop_path", [True, False] if IMPLEMENTATION == "native" else [True])
async def test_an_address_that_changes_in_mid_call(network: None, loop_path: bool) -> None:
    """First the port alone, as behind a NAT that was restarted; then the whole network."""
    settings = WhipSettings(udp=f"{OURS}:0", silence=3)
    async with visiting(settings, loop_path=loop_path) as (visitor, url):
        caller = Caller(f"{url}/ann", host=THEIRS)
        await caller.connect()
        await caller.speak(range(25))
        caller.peer.move()
        await caller.speak(range(25, 30))  # from an address that has sent no check yet
        caller.peer.check()
        await caller.speak(range(30, 60))
        address("add", LATER)
        caller.peer.move(LATER)
        address("del", THEIRS)
        caller.peer.check()
        await caller.speak(range(60, 160))
        await visitor.until(lambda: len(heard(visitor)) > 100)
        rooms = visitor.connector
        assert isinstance(rooms, WhipConnector)
        assert not any(isinstance(one, AnchorLeft) for one in visitor.facts())
        # Lost is what came from an address that nobody had proven, or together with the proof.
        lost = set(range(150)) - heard(visitor)
        assert lost >= set(range(25, 30))
        assert lost <= {*range(25, 32), *range(60, 62)}
        counters = rooms.counters
        assert counters["datagrams_of_strangers"] == 5
        assert counters["datagrams_misplaced"] == len(lost) - 5
        await caller.peer.pump()  # we answer, and ask nothing
        assert {one.message_class for one in caller.peer.answers} == {stun.Class.RESPONSE}
        caller.close()


@pytest.mark.parametrize("loop_path", [True, False] if IMPLEMENTATION == "native" else [True])
async def test_what_is_forged_or_sent_again_costs_nothing(network: None, loop_path: bool) -> None:
    """In the publisher's name and from elsewhere: before the handshake, in it, and all the call."""
    address("add", LATER)
    settings = WhipSettings(udp=f"{OURS}:0", silence=3)
    forger, over = Forger(), asyncio.Event()
    async with visiting(settings, loop_path=loop_path) as (visitor, url):
        caller = Caller(f"{url}/ann", host=THEIRS)
        peer = caller.peer
        ours = await caller.meet()
        seen = list(FORGED)

        async def forge() -> None:
            while not over.is_set():
                for data in seen:
                    for source in (peer.address, (LATER, 4_000)):
                        forger.send(data, source, (ours.address, ours.port))
                await asyncio.sleep(0.05)

        forging = asyncio.ensure_future(forge())
        await asyncio.sleep(0.1)
        await caller.connect()
        seen += [peer.check(), peer.media(datagram(opus(0), 9_000, 0, 7))]
        await caller.speak(range(220))
        await visitor.until(lambda: max(heard(visitor), default=0) >= 150)
        over.set()
        await forging
        assert set(range(150)) - heard(visitor) == set()
        assert not any(isinstance(one, AnchorLeft) for one in visitor.facts())
        rooms = visitor.connector
        assert isinstance(rooms, WhipConnector)
        assert rooms.counters["stun_unauthenticated"] > 0, "checks that another address sent again"
        assert rooms.counters["srtp_replayed"] > 0
        assert rooms.counters["srtp_authentication"] > 0
        caller.close()
    forger.close()


async def test_every_address_of_ours_takes_publishers(network: None) -> None:
    address("add", LATER)
    async with visiting(WhipSettings(udp="0.0.0.0:0")) as (visitor, url):
        callers = [Caller(f"{url}/user{index}", host=LATER) for index in range(3)]
        met = [await caller.meet(index) for index, caller in enumerate(callers)]
        assert {OURS, THEIRS, LATER} <= {
            line.split()[4] for one in met for line in one.candidates
        } | {one.address for one in met}
        assert len({one.port for one in met}) == 1
        for caller in callers:
            await caller.connect()
            await caller.speak(range(60))
        await visitor.until(lambda: all(Kind.AUDIO in visitor.cuts(f"user{n}") for n in range(3)))
        for caller in callers:
            caller.close()


async def test_a_publisher_by_ipv6() -> None:
    async with visiting(WhipSettings(), "whip://[::1]:0/r") as (visitor, url):
        caller = Caller(f"{url}/ann", host="::1")
        ours = await caller.meet()
        assert (ours.address, len(ours.candidates)) == ("::1", 1)
        await caller.connect()
        await caller.speak(range(60))
        await visitor.until(lambda: Kind.AUDIO in visitor.cuts("ann"))
        assert caller.peer.answers[0].attributes["XOR-MAPPED-ADDRESS"] == caller.peer.address
        caller.close()


async def test_a_proxy_with_a_path_of_its_own_stands_before_the_room(tmp_path: Path) -> None:
    """FFmpeg's muxer deletes its session where the answer says that it is."""
    async with visiting(WhipSettings(udp="127.0.0.1:0")) as (visitor, url):
        found = re.fullmatch(r"(http://[\d.:]+)(/.*)", url)
        assert found is not None
        async with nginx(tmp_path, "/live/here", found[1]) as front:
            async with muxer(f"{front}{found[2]}/ann"):
                await visitor.told_of(AnchorJoined("ann"))
                await visitor.until(lambda: Kind.AUDIO in visitor.cuts("ann"))
            await visitor.told_of(AnchorLeft("ann", UNPUBLISHED))
