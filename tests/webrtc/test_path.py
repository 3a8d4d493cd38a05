"""The media path: one face over both, one connection that carries many anchors by either."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from slicer.hot import IMPLEMENTATION
from slicer.rtp import rtcp
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, Subscribe, TrackKey, TrackOutput
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.counts import counted
from slicer.webrtc.loop_path import LoopPath
from slicer.webrtc.native_path import NativePath
from slicer.webrtc.path import MediaPath, media_path
from tests.harness.rooms.descriptions import Track, changed, many
from tests.harness.rooms.linked import SIGNED, Linked, talk, until
from tests.harness.rooms.sfu import Sfu
from tests.harness.rooms.whip_client import LOOPBACK
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, VIDEO, datagram, number_of, opus

FIRST_SSRC = 1000
NATIVE = pytest.param(
    "native",
    marks=pytest.mark.skipif(IMPLEMENTATION != "native", reason="this build has no plane"),
)


class Meeting:
    """An SFU at one end, our connection at the other, whose m-lines are two to an anchor."""

    def __init__(self, path: MediaPath) -> None:
        self.cuts: list[Cut] = []
        self.sfu = Sfu()
        self.media = path.open(self._take)
        self.connected = asyncio.Event()
        self.closed: list[str] = []
        events = Events(self.connected.set, self.closed.append)
        self.ours = Connection(Network(LOOPBACK), self.media, events)

    def _take(self, given: TrackOutput) -> None:
        if isinstance(given, AudioCut | PictureCut):
            self.cuts.append(given)

    async def sfu_offers(self, tracks: Sequence[Track]) -> None:
        answer = await self.ours.answer(await self.sfu.offer(tracks))
        self.assign()
        await self.sfu.accept(answer)
        await self.ready()

    async def we_offer(self, wants: Sequence[Kind] = (), stop: Sequence[str] = ()) -> None:
        answer = await self.sfu.answer(await self.ours.offer(wants, stop))
        await self.ours.accept(answer)
        self.assign()
        await self.ready()

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            await self.connected.wait()
        await self.sfu.connected()

    def assign(self) -> None:
        """Give each anchor its m-lines: signalling says whose they are; here, the number."""
        anchors: dict[str, list[int]] = {}
        for index, stream in enumerate(self.ours.streams):
            anchors.setdefault(self.anchor(stream.mid), []).append(index)
        for anchor in {*anchors, *getattr(self, "anchors", ())}:
            self.media.set_sections(anchor, [self.ours.streams[i] for i in anchors.get(anchor, ())])
        self.anchors = set(anchors)

    @staticmethod
    def anchor(mid: str) -> str:
        return f"anchor{int(mid) // 2}"

    def watch(self) -> None:
        """Cut everything that there is."""
        for stream in self.ours.streams:
            key = TrackKey("task", self.anchor(stream.mid), stream.kind)
            spec = AudioSpec(1) if stream.kind is Kind.AUDIO else VideoSpec(1)
            self.media.attach(Subscribe(key, spec))

    async def talk(self, tracks: Sequence[Track], packets: int = 60) -> None:
        """Every track in its own time; what is sent carries the number of its m-line."""
        for packet in range(packets):
            for track in tracks:
                number = int(track.mid)
                if track.kind == "audio" or packet % 10 < 2:
                    await self.sfu.send(track, number, FIRST_SSRC + number, packet * 0.02)
            await asyncio.sleep(0.02)

    async def until(self, done: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                await asyncio.sleep(0.02)

    def arrived(self) -> dict[tuple[str, Kind], set[int]]:
        """By anchor and kind, the numbers of the m-lines that its cuts are made of."""
        found: dict[tuple[str, Kind], set[int]] = {}
        for cut in self.cuts:
            whole = cut.packets if isinstance(cut, AudioCut) else cut.frames
            numbers = {number_of(one) for one in whole}
            found.setdefault((cut.track.anchor, cut.track.kind), set()).update(numbers)
        return found

    async def close(self) -> None:
        self.media.close()
        await self.ours.close()
        await self.sfu.close()


@pytest.fixture(params=["loop", NATIVE])
async def secure(request: pytest.FixtureRequest) -> AsyncIterator[Linked]:
    made = Linked(LoopPath() if request.param == "loop" else media_path(), [AUDIO, VIDEO], True)
    yield made
    made.close()


@pytest.fixture(params=["loop", NATIVE])
async def meeting(request: pytest.FixtureRequest) -> AsyncIterator[Meeting]:
    made = Meeting(LoopPath() if request.param == "loop" else media_path())
    yield made
    await made.close()


def expected(tracks: Sequence[Track]) -> dict[tuple[str, Kind], set[int]]:
    return {(Meeting.anchor(one.mid), Kind(one.kind)): {int(one.mid)} for one in tracks}


async def test_25_anchors_by_one_connection(meeting: Meeting) -> None:
    tracks = many(25)
    await meeting.sfu_offers(tracks)
    meeting.watch()
    await meeting.talk(tracks)
    await meeting.until(lambda: len(meeting.arrived()) == 50)
    assert meeting.arrived() == expected(tracks)
    assert meeting.ours.counters == {"handshakes_connected": 1}
    # Nothing went astray; a sender on a busy machine is late at times.
    assert meeting.media.counters.keys() <= {"asleep", "moved_into_place", "keyframe_requests"}


async def test_25_anchors_that_we_asked_for(meeting: Meeting) -> None:
    await meeting.we_offer([Kind.AUDIO, Kind.VIDEO] * 25)
    meeting.watch()
    await meeting.talk(meeting.sfu.tracks)
    await meeting.until(lambda: len(meeting.arrived()) == 50)
    assert meeting.arrived() == expected(meeting.sfu.tracks)


async def test_anchors_come_go_and_are_replaced_on_a_living_connection(meeting: Meeting) -> None:
    first = many(2)
    await meeting.sfu_offers(first)
    meeting.watch()
    await meeting.talk(first)
    await meeting.until(lambda: len(meeting.arrived()) == 4)
    # One leaves, another comes in the places of its m-lines, and a third behind them.
    gone = changed(first, "stopped", "0", "1")
    await meeting.sfu_offers(gone)
    meeting.cuts.clear()
    new = [Track("audio", "8"), Track("video", "9"), *first[2:]]
    new += [Track("audio", "10"), Track("video", "11")]
    await meeting.sfu_offers(new)
    meeting.watch()
    await meeting.talk([*new, *first[:2]])
    await meeting.until(lambda: len(meeting.arrived()) == 6)
    assert meeting.arrived() == expected(new)
    assert not meeting.closed


async def test_we_ask_for_more_and_for_less(meeting: Meeting) -> None:
    await meeting.we_offer([Kind.AUDIO, Kind.VIDEO])
    await meeting.we_offer([Kind.AUDIO, Kind.VIDEO])
    meeting.watch()
    await meeting.talk(meeting.sfu.tracks)
    await meeting.until(lambda: len(meeting.arrived()) == 4)
    assert meeting.arrived() == expected(meeting.sfu.tracks)
    await meeting.we_offer(stop=["0", "1"])
    meeting.cuts.clear()
    await meeting.talk(meeting.sfu.tracks)
    await meeting.until(lambda: len(meeting.arrived()) == 2)
    assert meeting.arrived() == expected(meeting.sfu.tracks[2:])


async def test_the_path_is_chosen_once_for_a_loop() -> None:
    path = media_path()
    assert media_path() is path
    assert isinstance(path, NativePath if IMPLEMENTATION == "native" else LoopPath)
    assert (path.cpu is None) is (IMPLEMENTATION != "native")
    counts, cpu = counted()
    assert (counts, cpu) == (path.counts, path.cpu or 0.0)


def test_another_loop_has_another_path() -> None:
    async def path() -> MediaPath:
        return media_path()

    assert asyncio.run(path()) is not asyncio.run(path())


async def test_a_picture_is_of_the_frame_that_was_sent(meeting: Meeting) -> None:
    tracks = many(1)
    await meeting.sfu_offers(tracks)
    meeting.watch()
    await meeting.talk(tracks)
    await meeting.until(lambda: any(isinstance(one, PictureCut) for one in meeting.cuts))
    assert meeting.arrived()["anchor0", Kind.VIDEO] == {1}


async def test_what_anybody_can_send_proves_nobody_there(secure: Linked) -> None:
    """From the peer's own address, too: it can be forged."""
    first = datagram(opus(0), 0, 0)
    before = secure.media.heard
    secure.send(first)
    await until(lambda: secure.media.heard > before)
    before = secure.media.heard
    replayed = secure.protecting.protect(datagram(opus(1), 1, 960))
    secure.send_raw(replayed)
    await until(lambda: secure.media.heard > before)
    before = secure.media.heard
    secure.send_raw(replayed)
    secure.send_raw(datagram(opus(2) + bytes(10), 2, 1920))
    secure.send_raw(rtcp.build([rtcp.ReceiverReport(1, ())]) + bytes(14))
    secure.send_raw(b"\x80")
    for other in (b"\x00\x01" + bytes(18), b"\x16\xfe\xfd" + bytes(20), b"\xff", b"\x00"):
        secure.send_raw(other)
    await until(lambda: len(secure.others) == 4)
    await until(lambda: secure.media.counters.total() - secure.media.counters["asleep"] == 4)
    assert secure.media.heard == before
    counts = secure.path.counts
    assert (counts.media, counts.refused, counts.other) == (2, 4, 4)
    assert counts.looks > 0
    assert secure.media.counters.keys() >= {
        "srtp_authentication",
        "srtp_replayed",
        "srtp_malformed",
    }


async def test_a_report_proves_the_peer_there_and_so_does_what_it_has_signed(
    secure: Linked,
) -> None:
    before = secure.media.heard
    secure.send(rtcp.build([rtcp.ReceiverReport(1, ())]))
    await until(lambda: secure.media.heard > before)
    before = secure.media.heard
    secure.send_raw(SIGNED)
    await until(lambda: secure.media.heard > before)


async def test_media_that_nobody_reads_proves_the_peer_there(secure: Linked) -> None:
    """A sleeping stream is not decrypted, but for one packet a second."""
    before = secure.media.heard
    for number in range(120):
        secure.send(datagram(opus(number), number, number * 960))
        await asyncio.sleep(0.02)
    assert secure.media.heard > before + 2
    assert secure.media.counters.keys() == {"asleep"}


async def test_what_waits_in_the_socket_is_read_before_a_move(secure: Linked) -> None:
    secure.media.attach(Subscribe(AUDIO_TRACK, AudioSpec(1)))
    await talk(secure, range(10))
    for number in range(10, 20):
        secure.send(datagram(opus(number), number, number * 960))
    link, secure.address = secure.link()
    secure.media.move(link.sock, link.address)
    secure.send_raw(b"\x16last")
    secure.media.read()
    assert [data for data, _ in secure.others] == [b"\x16last"], "in this very turn"
    secure.media.detach(AUDIO_TRACK)
    (cut,) = secure.cuts
    assert isinstance(cut, AudioCut)
    assert [number_of(one) for one in cut.packets] == list(range(20))
