"""What the kernel joins (UDP generic receive offload): taken datagram by datagram."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from slicer.hot import IMPLEMENTATION
from slicer.slicing.outputs import AudioCut, Subscribe
from slicer.slicing.spec import AudioSpec
from slicer.webrtc.path import media_path
from tests.harness.rooms.linked import Linked, until
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, VIDEO, datagram

UDP_GRO = 104  # of Linux; the socket module has no name for it

pytestmark = pytest.mark.skipif(IMPLEMENTATION != "native", reason="this is the native plane's")


@pytest.fixture(params=[False, True], ids=["plain", "srtp"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Linked]:
    made = Linked(media_path(), [AUDIO, VIDEO], request.param)
    yield made
    made.close()


async def test_the_kernel_is_asked_to_join(peer: Linked) -> None:
    link, _ = peer.link()
    watched = link.sock.dup()
    peer.media.carry(link)
    asked = watched.getsockopt(socket.IPPROTO_UDP, UDP_GRO)
    peer.media.release()
    given_back = watched.getsockopt(socket.IPPROTO_UDP, UDP_GRO)
    watched.close()
    assert (asked, given_back) == (1, 0)


async def test_datagrams_that_the_kernel_joined_are_taken_one_by_one(peer: Linked) -> None:
    """What came together is read at once: a frame's packets of one size, and a shorter last one."""
    peer.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    sizes = [60] * 29 + [31]
    payloads = [bytes([0xF8, number]) + bytes(size) for number, size in enumerate(sizes * 2)]
    sent = [datagram(one, number, number * 960) for number, one in enumerate(payloads)]
    peer.send_joined(sent[:30])
    peer.send_joined(sent[30:])
    await until(lambda: peer.cuts)
    (cut,) = peer.cuts
    assert isinstance(cut, AudioCut)
    assert [one.payload for one in cut.packets] == payloads[:50]
    assert not peer.media.counters


async def test_long_datagrams_that_the_kernel_joined_are_refused_each(peer: Linked) -> None:
    peer.secure = False
    peer.send_joined([datagram(bytes(3000), number, 0) for number in range(5)])
    await until(lambda: peer.media.counters["srtp_oversized"] == 5)
    assert peer.media.counters == {"srtp_oversized": 5}


async def test_joined_checks_are_handed_back_one_by_one(peer: Linked) -> None:
    """DTLS flights come as several records of one size, and Python reads one at a time."""
    records = [bytes([22, 254, 253]) + bytes([number]) * 97 for number in range(4)]
    peer.secure = False
    peer.send_joined(records)
    await until(lambda: len(peer.others) == 4)
    assert [data for data, _ in peer.others] == records


async def test_what_python_reads_again_is_not_joined(peer: Linked) -> None:
    """The plane's socket may be a duplicate of one that is read on the loop afterwards."""
    peer.secure = False
    link, peer.address = peer.link()
    again = link.sock.dup()
    peer.media.carry(link)
    peer.media.release()
    peer.send_joined([bytes(100)] * 3)
    async with asyncio.timeout(20):
        got = [await asyncio.get_running_loop().sock_recv(again, 4096) for _ in range(3)]
    again.close()
    assert got == [bytes(100)] * 3
