"""An anchor: its tracks go to the robots that asked, and only to them."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from slicer.rooms.whip import anchor as anchor_module
from slicer.rooms.whip.anchor import Anchor, Network
from slicer.rtp.parameters import OPUS, Kind, RtpParameters
from slicer.slicing.outputs import AudioCut, Cut, Subscribe, TrackKey, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.clock import ManualClock
from tests.harness.rooms.whip_client import LOOPBACK, Peer, Tone

ONE = TrackKey("one", "ann", Kind.AUDIO)
TWO = TrackKey("two", "ann", Kind.AUDIO)


def cut(track: TrackKey) -> AudioCut:
    return AudioCut(track, OPUS, 0, 48_000, (), 0.0)


class Cutter:
    """Stands in for a receiver: each batch is a cut for each track, and so is a track's end."""

    def __init__(self, anchor: str, streams: Sequence[RtpParameters], ssrc: int) -> None:
        self.tracks: list[TrackKey] = []
        self.counters: Counter[str] = Counter()

    def attach(self, track: TrackKey, spec: object, now: float) -> list[Cut | Transmit]:
        self.tracks.append(track)
        return []

    def detach(self, track: TrackKey, now: float) -> list[Cut | Transmit]:
        self.tracks.remove(track)
        return [cut(track)]

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[Cut | Transmit]:
        self.counters["padding"] += len(datagrams)
        return [cut(track) for track in self.tracks]

    def flush(self, now: float) -> list[Cut | Transmit]:
        return [cut(track) for track in self.tracks]

    def deadline(self) -> float | None:
        return None


@pytest.fixture
async def ann(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Anchor]:
    monkeypatch.setattr(anchor_module, "Receiver", Cutter)
    peer = Peer()
    anchor = Anchor("ann", ManualClock(), Network(LOOPBACK, 15), lambda _: None, lambda *_: None)
    await anchor.accept(await peer.offer([Tone()]))
    yield anchor
    await anchor.connection.close()
    await peer.close()


async def test_each_robot_gets_its_own_cuts(ann: Anchor) -> None:
    assert ann.kinds == (Kind.AUDIO,)
    first: list[object] = []
    second: list[object] = []
    ann.subscribe(Subscribe(ONE, AudioSpec()), first.append)
    ann.subscribe(Subscribe(TWO, AudioSpec()), second.append)
    ann._media([b"x"])
    assert (first, second) == ([cut(ONE)], [cut(TWO)])


async def test_the_last_cut_comes_before_unsubscribe_returns(ann: Anchor) -> None:
    got: list[object] = []
    ann.subscribe(Subscribe(ONE, AudioSpec()), got.append)
    ann.unsubscribe(ONE)
    assert got == [cut(ONE)]
    ann.unsubscribe(ONE)
    ann._media([b"x"])
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
    ann._media([b"late"])
    ann.subscribe(Subscribe(TWO, AudioSpec()), got.append)
    assert got == [cut(ONE)]


async def test_what_was_counted_outlives_the_media(ann: Anchor) -> None:
    ann._media([b"x", b"y"])
    ann.connection.counters["rtcp_unsent"] += 1
    assert ann.counters == {"padding": 2, "rtcp_unsent": 1}
    ann.flush()
    assert ann.counters == {"padding": 2, "rtcp_unsent": 1}


async def test_a_kind_that_is_not_there_is_ignored(ann: Anchor) -> None:
    got: list[object] = []
    track = TrackKey("one", "ann", Kind.VIDEO)
    ann.subscribe(Subscribe(track, VideoSpec()), got.append)
    ann.unsubscribe(track)
    ann._media([b"x"])
    assert got == []
