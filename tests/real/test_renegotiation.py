"""Chromium as the other end of sessions that both ends change while media flows; one by each media
path, at the same time."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import pytest
import pytest_asyncio

from slicer.media.slice import SliceInfo, make
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, Subscribe, TrackKey, TrackOutput
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.loop_path import LoopPath
from slicer.webrtc.path import MediaPath, media_path
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.browser_peer import BrowserPeer
from tests.harness.rooms.chromium import Chromium, chromium
from tests.harness.rooms.whip_client import LOOPBACK

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Session:
    """Our end; every m-line is an anchor of its own, named by its MID."""

    def __init__(self, path: MediaPath, peer: BrowserPeer) -> None:
        self.peer = peer
        self.cuts: dict[str, list[Cut]] = defaultdict(list)
        self.media = path.open(self._take)
        self.connected = asyncio.Event()
        self.closed: list[str] = []
        events = Events(self.connected.set, self.closed.append)
        self.ours = Connection(Network(LOOPBACK), self.media, events)
        self.anchors: set[str] = set()

    def _take(self, given: TrackOutput) -> None:
        if isinstance(given, AudioCut | PictureCut):
            self.cuts[given.track.anchor].append(given)

    async def they_offer(self, *added: tuple[str, int]) -> None:
        await self.peer.accept(await self.ours.answer(await self.peer.offer(added)))
        await self.assign()

    async def we_offer(
        self, wants: list[Kind], values: dict[str, int], stop: tuple[str, ...] = ()
    ) -> None:
        offer = await self.ours.offer(wants, stop)
        await self.ours.accept(await self.peer.answer(offer, values))
        await self.assign()

    async def assign(self) -> None:
        streams = {stream.mid: stream for stream in self.ours.streams}
        for mid in self.anchors | streams.keys():
            self.media.set_sections(mid, [streams[mid]] if mid in streams else [])
            if mid in streams and mid not in self.anchors:
                kind = streams[mid].kind
                spec = AudioSpec(1) if kind is Kind.AUDIO else VideoSpec(1)
                self.media.attach(Subscribe(TrackKey("task", mid, kind), spec))
        self.anchors = set(streams)
        self.cuts.clear()
        async with asyncio.timeout(20):
            await self.connected.wait()

    async def holds(self, expected: Mapping[str, int]) -> None:
        """Wait until each anchor's cuts are of its tone or its grey, and of no other's."""
        await until(lambda: all(len(self.cuts[mid]) >= 3 for mid in expected))
        found = {mid: value(cuts[2]) for mid, cuts in self.cuts.items()}
        assert found.keys() == expected.keys()
        for mid, wanted in expected.items():
            # Greys are 60 apart, and 180 is 192 in limited range.
            assert abs(found[mid] - wanted) < 20, found


async def until(done: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.05)


def value(cut: Cut) -> float:
    """The tone of an audio cut in hertz, or the grey of a picture."""
    data = make(cut, SliceInfo("k", cut.track, BEGAN)).data
    if isinstance(cut, AudioCut):
        sound = mono(decode_ogg(data))
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
        return float(np.argmax(spectrum) * 48_000 / sound.size)
    return float(np.mean(read_picture(data)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


@contextlib.asynccontextmanager
async def session(browser: Chromium, path: MediaPath) -> AsyncIterator[Session]:
    page = await browser.page("about:blank")
    peer = BrowserPeer(page)
    await peer.open()
    made = Session(path, peer)
    yield made
    await peer.close()
    await page.close()  # or it would go on drawing
    made.media.close()
    await made.ours.close()


@pytest_asyncio.fixture(loop_scope="module")
async def sessions(browser: Chromium) -> AsyncIterator[list[Session]]:
    """One by the loop's media path, one by the path that is chosen here."""
    async with session(browser, LoopPath()) as loop, session(browser, media_path()) as chosen:
        yield [loop, chosen]


async def test_a_browser_adds_stops_and_recycles(sessions: list[Session]) -> None:
    await asyncio.gather(*map(add_stop_and_recycle, sessions))


async def add_stop_and_recycle(session: Session) -> None:
    await session.they_offer(("audio", 500), ("video", 60))
    await session.holds({"0": 500, "1": 60})
    await session.they_offer(("audio", 900), ("video", 180))
    await session.holds({"0": 500, "1": 60, "2": 900, "3": 180})
    await session.peer.stop("1")
    await session.they_offer()
    await session.holds({"0": 500, "2": 900, "3": 180})
    # A browser puts the new track in the place of the stopped one, with a new MID.
    await session.they_offer(("video", 120))
    assert [one.mid for one in session.ours.streams] == ["0", "4", "2", "3"]
    await session.holds({"0": 500, "4": 120, "2": 900, "3": 180})
    assert await session.peer.state() == "connected"
    assert not session.closed


async def test_a_browser_answers_our_offers_and_we_answer_its(sessions: list[Session]) -> None:
    await asyncio.gather(*map(offer_either_way, sessions))


async def offer_either_way(session: Session) -> None:
    await session.we_offer([Kind.AUDIO, Kind.VIDEO], {"0": 500, "1": 60})
    await session.holds({"0": 500, "1": 60})
    await session.we_offer([Kind.VIDEO, Kind.AUDIO], {"2": 180, "3": 900}, stop=("1",))
    await session.holds({"0": 500, "2": 180, "3": 900})
    await session.they_offer(("audio", 1300))
    (new,) = {one.mid for one in session.ours.streams} - {"0", "2", "3"}
    await session.holds({"0": 500, "2": 180, "3": 900, new: 1300})
    assert await session.peer.state() == "connected"
