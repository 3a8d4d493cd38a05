"""A connection of ours against aiortc's own, in one process."""

import asyncio
import re
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import cast

import aioice.ice
import pytest
from aiortc import RTCDtlsTransport
from aiortc.rtp import RTCP_PSFB_PLI, RtcpPacket, RtcpPsfbPacket, RtcpSrPacket

from slicer.clock import LoopClock
from slicer.errors import BadInput, RoomError
from slicer.hot import Bundle
from slicer.rtp.parameters import Kind
from slicer.webrtc.connection import STALL, Connection, Events, Network
from slicer.webrtc.lite.dtls import Dtls
from slicer.webrtc.lite.transport import LiteTransport
from slicer.webrtc.loop_path import LoopMedia
from slicer.webrtc.path import media_path
from slicer.webrtc.transport import MAX_CANDIDATES, Transport
from tests.harness.descriptors import descriptors
from tests.harness.garbage import living, no_collector
from tests.harness.rooms.sfu import Sfu
from tests.harness.rooms.visit import Call, Seen, Visit, local_of
from tests.harness.rooms.whip_client import LOOPBACK, Flicker, Peer, Tone
from tests.harness.rtp.keyframes import starts_vp8_keyframe

PACKET = struct.pack("!BBHII", 0x80, 111, 1, 960, 5) + b"\xf8\xff\xfe"
ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
FRAGMENT = "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{}"


PARTS = (Connection, LoopMedia, Transport, LiteTransport, RTCDtlsTransport, Dtls)


def connection(addresses: Sequence[str]) -> Connection:
    """One that nothing is expected to come by."""
    seen = Seen()
    media = LoopMedia(cast("Bundle", seen), LoopClock(), lambda _: None)
    return Connection(Network(addresses), media, seen.events)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    call = Call()
    yield call
    await call.close()


async def test_media_comes_in_batches_from_the_taken_socket(call: Call) -> None:
    await call.connect()
    assert [stream.kind for stream in call.ours.streams] == [Kind.AUDIO, Kind.VIDEO]
    await call.seen.until(lambda: len(call.seen.rtp) > 60)
    payload_types = {one[1] & 0x7F for one in call.seen.rtp}
    audio, video = call.ours.streams
    assert payload_types & set(audio.codecs)
    assert payload_types & set(video.codecs)
    assert max(len(batch) for batch in call.seen.batches) > 1
    assert call.ours.counters == {"handshakes_connected": 1}
    assert not call.media.counters
    # Nothing is lost on the way from asyncio's reader to ours.
    sound = [one for one in call.seen.rtp if one[1] & 0x7F in audio.codecs]
    numbers = [struct.unpack_from("!H", one, 2)[0] for one in sound]
    assert sorted(numbers) == [(min(numbers) + i) % 65_536 for i in range(len(numbers))]


async def test_sender_reports_arrive_and_a_pli_is_answered(call: Call) -> None:
    await call.connect()
    await call.seen.until(lambda: len(call.seen.rtcp) >= 2)
    reports = [one for data in call.seen.rtcp for one in RtcpPacket.parse(data)]
    assert any(isinstance(one, RtcpSrPacket) for one in reports)
    video = call.ours.streams[1]
    vp8 = next(pt for pt, codec in video.codecs.items() if codec.name == "vp8")
    ssrc = next(
        struct.unpack_from("!I", one, 8)[0] for one in call.seen.rtp if one[1] & 0x7F == vp8
    )
    before = len(call.seen.rtp)
    pli = RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc)
    call.send_rtcp(bytes(pli))
    async with asyncio.timeout(20):
        while not any(starts_vp8_keyframe(one, vp8) for one in call.seen.rtp[before:]):
            await asyncio.sleep(0.01)
    assert not call.media.counters


async def test_a_dtls_goodbye_ends_it(call: Call) -> None:
    await call.connect()
    await call.seen.until(lambda: call.seen.rtp)
    await call.theirs.close()
    async with asyncio.timeout(20):
        assert await call.seen.closed == "DTLS closed by the peer"
    call.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01")
    assert call.media.counters["rtcp_unsent"] == 1


async def test_a_peer_that_answers_no_check_stays(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg's muxer sends its own, and nothing else."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    await call.connect()
    call.theirs.ignore_checks()
    heard = len(call.seen.rtp)
    await call.seen.until(lambda: len(call.seen.rtp) > heard + 200)
    assert not call.seen.closed.done()


async def test_a_peer_that_vanishes_is_noticed() -> None:
    call = Call(silence=1.0)
    await call.connect()
    await call.seen.until(lambda: len(call.seen.rtp) > 10)
    await call.theirs.vanish()
    async with asyncio.timeout(20):
        assert await call.seen.closed == "nothing received for 1 s"
    await call.close()


async def test_nobody_comes() -> None:
    call = Call(connect_timeout=0.3)
    await call.ours.answer(await call.theirs.offer([Tone()]))
    async with asyncio.timeout(20):
        assert await call.seen.closed == "not connected within 0.3 s"
    assert call.ours.counters == {"handshakes_ice_failed": 1}
    assert not call.seen.connected.is_set()
    await call.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_connection_that_is_closed_before_it_is_made_is_counted() -> None:
    call = Call()
    await call.ours.answer(await call.theirs.offer([Tone()]))
    await asyncio.sleep(0)  # it begins to connect
    await call.close()
    assert call.ours.counters == {"handshakes_closed": 1}


async def test_a_wrong_fingerprint_is_not_let_in(call: Call) -> None:
    offer = await call.theirs.offer([Tone()])
    forged = re.sub(r"(a=fingerprint:\S+ )[0-9A-F]{2}:[0-9A-F]{2}", r"\g<1>00:00", offer)
    await call.theirs.accept(await call.ours.answer(forged))
    async with asyncio.timeout(20):
        assert await call.seen.closed == "DTLS failed"
    assert call.ours.counters == {"handshakes_dtls_failed": 1}
    assert not call.seen.connected.is_set()


async def test_closing_while_it_closes_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    call, closing = Call(), list[asyncio.Future[None]]()
    await call.connect()
    assert descriptors() > before
    release = call.media.release

    def released() -> None:
        closing.append(asyncio.ensure_future(call.ours.close()))
        release()

    monkeypatch.setattr(call.media, "release", released)
    await call.theirs.close()  # which ends ours
    await call.seen.until(lambda: closing)
    await asyncio.gather(*closing)
    await call.seen.until(lambda: descriptors() == before)
    assert len(closing) == 1


async def test_after_close_nothing_is_told(call: Call) -> None:
    await call.connect()
    await call.ours.close()
    count = len(call.seen.batches)
    await call.ours.close()
    await asyncio.sleep(0.1)
    assert len(call.seen.batches) == count
    assert not call.seen.closed.done()


async def test_garbage_is_counted_and_harmless(call: Call) -> None:
    await call.connect()
    for data in (
        b"",
        b"\x00",
        b"\x00\x01" + bytes(40),
        b"\x80\x60" + bytes(40),
        b"\x80\xc8\x00\x06" + bytes(24),
        b"\xff" * 9,
    ):
        await call.theirs.send_raw(data)
    await call.seen.until(lambda: len(call.seen.rtp) > 60)
    assert call.ours.counters["stun_malformed"] >= 1
    assert call.media.counters.total() >= 1
    assert not call.seen.closed.done()


async def test_trickle(call: Call) -> None:
    """The offer has no candidates and ours are hidden: only the fragment leads to the peer."""
    offer = await call.theirs.offer([Tone()])
    lines = offer.split("\r\n")
    bare = "\r\n".join(line for line in lines if "candidate" not in line)
    ufrag = re.search(r"a=ice-ufrag:(\S+)", offer)
    pwd = re.search(r"a=ice-pwd:(\S+)", offer)
    assert ufrag
    assert pwd
    answer = await call.ours.answer(bare)
    hidden = re.sub(r"a=candidate:.*\r\n", "", answer).replace("a=end-of-candidates\r\n", "")
    await call.theirs.accept(hidden)
    candidates = "\r\n".join(line for line in lines if line.startswith("a=candidate"))
    assert not await call.ours.add_candidates(FRAGMENT.format("other", pwd[1], candidates))
    assert not await call.ours.add_candidates(FRAGMENT.format(ufrag[1], "x" * 22, candidates))
    assert await call.ours.add_candidates(FRAGMENT.format(ufrag[1], pwd[1], candidates))
    async with asyncio.timeout(20):
        await call.seen.connected.wait()


async def test_candidates_of_no_use_are_ignored(call: Call) -> None:
    await call.ours.answer(await call.theirs.offer([Tone()]))
    useless = [
        "a=candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active",
        "a=candidate:1 1 udp 1 6f0a4e0c-0000-0000-0000-000000000000.local 5000 typ host",
        "a=candidate:1 2 udp 1 127.0.0.1 5000 typ host",
        "a=candidate:1 1 udp 1 127.0.0.1 0 typ host",
        "a=candidate:nonsense",
        "a=candidate:1 x udp 1 127.0.0.1 1 typ host",
    ]
    assert await call.ours.add_candidates("\n".join(useless))
    assert call.ours.counters["candidates_ignored"] == len(useless)
    many = [f"a=candidate:1 1 udp 1 127.0.0.1 {5000 + i} typ host" for i in range(MAX_CANDIDATES)]
    assert await call.ours.add_candidates("\n".join(many))
    assert call.ours.counters["candidates_ignored"] > len(useless)
    with pytest.raises(BadInput):
        await call.ours.add_candidates("hello")


async def test_only_the_given_addresses_are_offered(call: Call) -> None:
    answer = await call.ours.answer(await call.theirs.offer([Tone()]))
    candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) \d+ typ host", answer)
    assert candidates == LOOPBACK


async def test_an_address_of_a_nat_is_advertised() -> None:
    theirs, ours = Peer(), connection(["198.51.100.7"])
    answer = await ours.answer(await theirs.offer([Tone()]))
    assert re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) \d+ typ host", answer) == ["198.51.100.7"]
    assert "c=IN IP4 198.51.100.7" in answer
    await ours.close()
    await theirs.close()


async def test_no_address_at_all() -> None:
    theirs, ours = Peer(), connection([])
    with pytest.raises(RoomError):
        await ours.answer(await theirs.offer([Tone()]))
    await ours.close()
    await theirs.close()


async def test_a_malformed_offer_leaves_nothing_behind() -> None:
    ours = connection(LOOPBACK)
    with pytest.raises(BadInput):
        await ours.answer("v=0\r\n")
    await ours.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_we_offer_and_the_peer_sends(call: Call) -> None:
    offer = await call.ours.offer([Kind.AUDIO, Kind.VIDEO])
    await call.ours.accept(await call.theirs.answer(offer, [Tone(), Flicker()]))
    await call.seen.until(call.seen.connected.is_set)
    assert [(one.kind, one.mid) for one in call.ours.streams] == [
        (Kind.AUDIO, "0"),
        (Kind.VIDEO, "1"),
    ]
    await call.seen.until(lambda: len(call.seen.rtp) > 60)
    assert call.seen.mids(call.ours.streams) == {"0", "1"}
    # Who offered controls ICE (RFC 8445 6.1.1), and DTLS is as the answer says.
    assert not call.theirs.controlling


async def test_the_peer_adds_tracks_and_takes_one_away(call: Call) -> None:
    await call.connect()
    first = call.ours.streams
    await call.theirs.accept(await call.ours.answer(await call.theirs.offer([Tone(), Flicker()])))
    assert call.ours.streams[:2] == first
    assert [one.kind for one in call.ours.streams[2:]] == [Kind.AUDIO, Kind.VIDEO]
    await call.seen.until(lambda: len(call.seen.mids(call.ours.streams)) == 4)
    answer = await call.ours.answer(await call.theirs.pause(1))
    await call.theirs.accept(answer)
    assert [one.mid for one in call.ours.streams] == ["0", "2", "3"]
    assert [line for line in answer.split() if line in {"a=recvonly", "a=inactive"}] == [
        "a=recvonly",
        "a=inactive",
        "a=recvonly",
        "a=recvonly",
    ]
    assert not call.seen.closed.done()


async def test_either_end_may_offer_on_a_living_connection(call: Call) -> None:
    await call.connect()
    offer = await call.ours.offer([Kind.AUDIO], stop=["1"])
    await call.ours.accept(await call.theirs.answer(offer, [Tone()]))
    assert [(one.kind, one.mid) for one in call.ours.streams] == [
        (Kind.AUDIO, "0"),
        (Kind.AUDIO, "2"),
    ]
    heard = len(call.seen.rtp)
    await call.seen.until(lambda: len(call.seen.rtp) > heard + 50)
    await call.seen.until(lambda: "2" in call.seen.mids(call.ours.streams))
    assert not call.seen.closed.done()
    assert not call.media.counters


async def test_an_offer_that_cannot_be_changes_nothing(call: Call) -> None:
    await call.connect()
    before = call.ours.streams
    restart = re.sub(r"a=ice-ufrag:\S+", "a=ice-ufrag:abcd", call.offer)
    with pytest.raises(BadInput, match="ICE restarts are not supported"):
        await call.ours.answer(restart)
    assert call.ours.streams == before
    heard = len(call.seen.rtp)
    await call.seen.until(lambda: len(call.seen.rtp) > heard + 20)


async def test_an_answer_belongs_to_the_offer_that_waits(call: Call) -> None:
    with pytest.raises(BadInput, match="waits for it"):
        await call.ours.accept("v=0\r\n")
    await call.ours.offer([Kind.AUDIO])
    with pytest.raises(BadInput, match="0 m-lines"):
        await call.ours.accept("v=0\r\n")
    with pytest.raises(BadInput, match="waits for it"):
        await call.ours.accept("v=0\r\n")


async def test_an_offer_of_the_peer_withdraws_ours(call: Call) -> None:
    await call.ours.offer([Kind.AUDIO])
    await call.connect()
    assert [one.kind for one in call.ours.streams] == [Kind.AUDIO, Kind.VIDEO]
    with pytest.raises(BadInput, match="waits for it"):
        await call.ours.accept(call.offer)


async def test_every_description_of_ours_has_the_next_version(call: Call) -> None:
    """RFC 9429 5.2.2: the same session, one version more each time."""
    offers = [await call.ours.offer([Kind.AUDIO]) for _ in range(2)]
    offers.append(await call.ours.answer(await call.theirs.offer([Tone()])))
    origins = [re.search(r"o=- (\d+) (\d+)", one) for one in offers]
    assert [origin and origin[2] for origin in origins] == ["1", "2", "3"]
    assert len({origin and origin[1] for origin in origins}) == 1


@pytest.mark.parametrize("lite", [True, False])
async def test_a_lite_peer_that_sends_nothing_is_asked_for_consent(
    lite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.2)
    ends: list[str] = []
    connected = asyncio.Event()
    media = media_path().open(lambda _cut: None)
    events = Events(connected.set, ends.append)
    connection = Connection(Network(["127.0.0.1"], silence=1.0), media, events)
    sfu = Sfu()
    answer = await sfu.answer(await connection.offer([Kind.AUDIO]))
    await connection.accept(answer.replace("a=group", "a=ice-lite\r\na=group") if lite else answer)
    await connected.wait()
    await sfu.connected()
    sfu.stop_checks()
    await asyncio.sleep(1.6)
    assert ends == ([] if lite else ["nothing received for 1 s"])
    await connection.close()
    await sfu.close()


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    visit = Visit()
    yield visit
    await visit.close()


async def test_a_visitor_moves_and_is_heard_on(visit: Visit) -> None:
    await visit.connect()
    await visit.heard(1)
    visit.peer.move()
    visit.peer.check()
    await visit.peer.pump()
    await visit.heard(2)
    assert not visit.seen.closed.done()


async def test_a_visitor_that_nominates_once_moves_and_is_heard_on(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checks of consent tell where it is, once nothing comes from where it was."""
    monkeypatch.setattr("slicer.webrtc.connection.QUIET", 0.0)
    await visit.connect()
    await visit.heard(1)
    visit.peer.move()
    visit.peer.check(nominate=False)
    await visit.peer.pump()
    await visit.heard(2)
    assert not visit.seen.closed.done()


async def test_a_visitor_restarts_ice(visit: Visit) -> None:
    await visit.connect()
    assert await visit.ours.add_candidates(FRAGMENT.format("peer", visit.peer.remote.pwd, ""))
    fresh = FRAGMENT.format("newer", "0" * 22, "")
    assert not await visit.ours.add_candidates(fresh)
    fragment = await visit.ours.restart(fresh)
    assert fragment is not None
    lines = fragment.split("\r\n")
    assert lines[:4] == [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
    ]
    visit.peer.meet_again(local_of(fragment, ()))
    visit.peer.move()
    visit.peer.check()
    await visit.peer.pump()
    await visit.heard(1)
    assert await visit.ours.add_candidates(fresh)  # what belongs to the restart that was
    with pytest.raises(BadInput, match="a=ice-ufrag"):
        await visit.ours.restart("a=ice-ufrag:x\r\n")


async def test_a_visitor_that_is_silent_is_gone() -> None:
    visit = Visit(silence=0.2)
    await visit.connect()
    async with asyncio.timeout(5):
        assert await visit.seen.closed == "nothing received for 0.2 s"
    await visit.close()


async def test_what_anybody_can_send_does_not_keep_a_visitor_that_is_gone() -> None:
    """From its own address: a check and a packet of before, and what nobody has signed."""
    visit = Visit(silence=0.5)
    await visit.connect()
    peer = visit.peer
    check, packet = peer.check(), peer.media(PACKET)
    await visit.seen.until(lambda: len(visit.seen.rtp) == 1)

    async def send_again() -> None:
        while True:
            for data in (check, packet, PACKET, b"\x00", b"\xff", b"\x16\xfe\xfd", ALERT):
                peer.send(data)
            peer.check(pwd="0" * 32)
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(send_again())
    async with asyncio.timeout(5):
        assert await visit.seen.closed == "nothing received for 0.5 s"
    sending.cancel()
    assert len(visit.seen.rtp) == 1
    await visit.close()


async def test_a_check_alone_keeps_a_visitor() -> None:
    visit = Visit(silence=0.5)
    await visit.connect()
    for _ in range(10):
        visit.peer.check(nominate=False)
        await asyncio.sleep(0.1)
    assert not visit.seen.closed.done()
    await visit.close()


async def test_a_process_that_stood_still_does_not_take_a_peer_for_gone() -> None:
    visit = Visit(silence=0.5)
    await visit.connect()
    time.sleep(0.5 + STALL)
    await visit.heard(1)
    await asyncio.sleep(0.3)
    assert not visit.seen.closed.done()
    await visit.close()


async def test_a_full_agent_does_not_restart(call: Call) -> None:
    assert await call.ours.restart(FRAGMENT.format("a" * 4, "b" * 22, "")) is None


@pytest.mark.parametrize("kind", [Call, Visit])
async def test_one_that_has_ended_is_freed_uncollected(kind: type[Call | Visit]) -> None:
    with no_collector():
        before = living(*PARTS)
        one = kind()
        await one.connect()
        assert (living(*PARTS) - before).total() == 5
        await one.close()
        del one
        theirs = Counter(RTCDtlsTransport=1) if kind is Call else Counter[str]()
        assert living(*PARTS) - before == theirs
