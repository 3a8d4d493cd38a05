"""An anchor: its tracks go to the robots that asked, and only to them."""

import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from slicer.rooms.trouble import TROUBLES
from slicer.rooms.whip.anchor import Anchor
from slicer.rtp.parameters import OPUS, Kind, Role, RtpParameters
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import AnchorTrouble, AudioCut, Subscribe, TrackKey, TrackRefused
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc.connection import Network
from slicer.webrtc.counts import PathCounts
from slicer.webrtc.link import Address, Link
from slicer.webrtc.path import Deliver, Media
from tests.harness.rooms.descriptions import Track, described
from tests.harness.rooms.whip_client import LOOPBACK, Peer, Tone

ONE = TrackKey("one", "ann", Kind.AUDIO)
TWO = TrackKey("two", "ann", Kind.AUDIO)


def cut(track: TrackKey) -> AudioCut:
    return AudioCut(track, OPUS, 0, 48_000, (), 0.0)


class Cutter:
    """Stands in for a connection's media: each batch is a cut for each track, and so is an end."""

    heard = 0.0

    def __init__(self, deliver: Deliver) -> None:
        self.counters: Counter[str] = Counter()
        self.sections: list[tuple[str, Kind, Role]] = []
        self._deliver = deliver
        self._tracks: list[TrackKey] = []

    def media_heard(self, anchor: str) -> float:
        return self.heard

    def set_sections(self, anchor: str, sections: Sequence[RtpParameters]) -> None:
        self.sections = [(anchor, *section.slot) for section in sections]

    def attach(self, subscribe: Subscribe) -> None:
        self._tracks.append(subscribe.track)

    def detach(self, track: TrackKey) -> None:
        self._tracks.remove(track)
        self._deliver(cut(track))

    def receive(self, datagrams: Sequence[bytes]) -> None:
        self.counters["padding"] += len(datagrams)
        for track in self._tracks:
            self._deliver(cut(track))

    def counters_of(self, anchor: str) -> Counter[str]:
        return Counter()

    def read(self) -> None: ...

    def close(self) -> None:
        self.receive([])

    def carry(self, link: Link) -> None: ...

    def redirect(self, address: Address) -> None: ...

    def move(self, sock: socket.socket, address: Address) -> None: ...

    def release(self) -> None: ...

    def discard(self) -> None: ...


class Cutters:
    """A media path of those."""

    cpu = None
    counts = PathCounts()

    def open(self, deliver: Deliver, requests_of: RequestsOf | None = None) -> Media:
        return Cutter(deliver)


@pytest.fixture
async def ann() -> AsyncIterator[Anchor]:
    peer = Peer()
    anchor = Anchor("ann", Cutters(), Network(LOOPBACK), lambda _: None, lambda *_: None)
    await anchor.accept(await peer.offer([Tone()]))
    yield anchor
    await anchor.connection.close()
    await peer.close()


async def test_each_robot_gets_its_own_cuts(ann: Anchor) -> None:
    assert ann.slots == ((Kind.AUDIO, Role.MAIN),)
    first: list[object] = []
    second: list[object] = []
    ann.subscribe(Subscribe(ONE, AudioSpec()), first.append)
    ann.subscribe(Subscribe(TWO, AudioSpec()), second.append)
    ann.media.receive([b"x"])
    assert (first, second) == ([cut(ONE)], [cut(TWO)])


async def test_the_last_cut_comes_before_unsubscribe_returns(ann: Anchor) -> None:
    got: list[object] = []
    ann.subscribe(Subscribe(ONE, AudioSpec()), got.append)
    ann.unsubscribe(ONE)
    assert got == [cut(ONE)]
    ann.unsubscribe(ONE)
    ann.media.receive([b"x"])
    assert got == [cut(ONE)]


async def test_who_left_is_told_nothing(ann: Anchor) -> None:
    got: list[object] = []
    listen = got.append
    ann.subscribe(Subscribe(ONE, AudioSpec()), listen)
    ann.forget(listen)
    ann.flush()
    assert got == []


async def test_the_end_flushes_once(ann: Anchor) -> None:
    got: list[object] = []
    ann.subscribe(Subscribe(ONE, AudioSpec()), got.append)
    ann.flush()
    ann.flush()
    ann.media.receive([b"late"])
    ann.subscribe(Subscribe(TWO, AudioSpec()), got.append)
    assert got == [cut(ONE)]


async def test_what_was_counted_outlives_the_media(ann: Anchor) -> None:
    ann.media.receive([b"x", b"y"])
    ann.connection.counters["rtcp_unsent"] += 1
    assert ann.counters == {"padding": 2, "rtcp_unsent": 1}
    ann.flush()
    assert ann.counters == {"padding": 2, "rtcp_unsent": 1}


async def test_what_a_user_must_know_is_told_once(ann: Anchor) -> None:
    words, news = TROUBLES["malformed_payload"]
    ann.connection.counters["malformed_payload"] = news
    assert ann.troubles(0.0) == [AnchorTrouble("ann", words, news)]
    assert ann.troubles(1.0) == []


async def test_ice_of_a_full_agent_is_not_restarted_and_its_entity_tag_stays(ann: Anchor) -> None:
    tag = ann.etag
    fragment = "a=ice-ufrag:next\r\na=ice-pwd:0QqtkDq1yMZ4e2pE1rK/IV\r\n"
    assert await ann.restart(fragment) is None
    assert ann.etag == tag


async def test_a_kind_that_is_not_there_is_ignored(ann: Anchor) -> None:
    got: list[object] = []
    track = TrackKey("one", "ann", Kind.VIDEO)
    ann.subscribe(Subscribe(track, VideoSpec()), got.append)
    ann.unsubscribe(track)
    ann.media.receive([b"x"])
    assert got == []


async def test_a_third_track_of_a_kind_is_refused_with_a_reason() -> None:
    peer = Peer()
    anchor = Anchor("ann", Cutters(), Network(LOOPBACK), lambda _: None, lambda *_: None)
    await anchor.accept(await peer.offer([Tone(), Tone(), Tone()]))
    assert isinstance(anchor.media, Cutter)
    assert anchor.media.sections == [("ann", Kind.AUDIO, role) for role in Role]
    assert anchor.slots == tuple((Kind.AUDIO, role) for role in Role)
    reason = "a connection receives 2 audio m-lines at most"
    assert anchor.refused == (TrackRefused("ann", Kind.AUDIO, reason),)
    await anchor.connection.close()
    await peer.close()


async def test_of_two_hundred_m_lines_two_of_a_kind_are_taken_and_the_rest_is_told_once() -> None:
    anchor = Anchor("ann", Cutters(), Network(LOOPBACK), lambda _: None, lambda *_: None)
    answer = await anchor.accept(described([Track("audio", str(n)) for n in range(200)]))
    assert (answer.count("m=audio 0 "), answer.count("a=recvonly")) == (198, 2)
    reason = "a connection receives 2 audio m-lines at most"
    assert anchor.refused == (TrackRefused("ann", Kind.AUDIO, reason),)
    await anchor.connection.close()
