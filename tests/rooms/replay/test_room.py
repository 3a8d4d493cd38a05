"""A capture as a room: the same cuts at any speed, facts in order, slices in their time."""

import asyncio
import base64
import gzip
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pylibsrtp
import pytest

from slicer.errors import BadInput, RoomError
from slicer.rooms import Context, Pace, Room, at_once
from slicer.rooms.replay.capture import LONGEST_GAP, Captured
from slicer.rooms.replay.network import Endpoints
from slicer.rooms.replay.room import QUIET, TICK, ReplayConnector, ReplayRoom, batches
from slicer.rooms.trouble import TROUBLES
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import (
    AnchorTrouble,
    AudioCut,
    Cut,
    EndReason,
    GroupFrames,
    PictureCut,
    PictureMissing,
    Settled,
    Subscribe,
    TrackKey,
    TrackOutput,
)
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.clock import ManualClock, settle
from tests.harness.rooms.captures import (
    BEGAN,
    enhanced,
    ethernet,
    gre,
    ipv4,
    ipv6,
    mjr,
    pcap,
    pcapng,
    rtcp_sr,
    rtp,
    rtpdump,
    tcp,
    udp,
)

NOWHERE = Endpoints("", "")
SPECS: dict[Kind, AudioSpec | VideoSpec] = {Kind.AUDIO: AudioSpec(1), Kind.VIDEO: VideoSpec(1)}
VP8_KEYFRAME = bytes.fromhex("10 000000 9d012a 0200 0200") + bytes(20)
END = [AnchorLeft("a", "the capture is over"), Stopped(EndReason.ROOM_GONE)]
ENTER = [RoomEntered(), AnchorJoined("a"), TrackPublished("a", Kind.AUDIO)]


@dataclass
class Task:
    """Listens as a driver does: it subscribes while it is told of a track."""

    wanted: set[Kind] = field(default_factory=lambda: set(Kind))
    facts: list[Fact] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    room: Room | None = None

    def listen(self, told: Fact | TrackOutput) -> None:
        if isinstance(told, AudioCut | PictureCut):
            self.cuts.append(told)
            return
        if isinstance(told, GroupFrames | PictureMissing | Settled):
            return
        self.facts.append(told)
        assert self.room is not None
        if isinstance(told, TrackPublished) and told.kind in self.wanted:
            track = TrackKey("task", told.anchor, told.kind)
            self.room.subscribe(Subscribe(track, SPECS[told.kind]))
        if isinstance(told, AnchorLeft):
            for kind in Kind:
                self.room.unsubscribe(TrackKey("task", told.anchor, kind))

    @property
    def ended(self) -> bool:
        return bool(self.facts) and isinstance(self.facts[-1], Stopped)


async def opened(path: Path, options: str, clock: ManualClock, pace: Pace = at_once) -> Task:
    task = Task()
    rooms = ReplayConnector(Context(clock, pace=pace))
    url = urlsplit(f"replay://{path}{options}")
    rooms.check(url)
    task.room = await rooms.open(url, "robot", task.listen)
    await task.room.enter()
    return task


async def played(
    path: Path, options: str = "?speed=max", clock: ManualClock | None = None, pace: Pace = at_once
) -> Task:
    """Play to the end on a clock that goes on by itself."""
    clock = clock or ManualClock()
    task = await opened(path, options, clock, pace)
    for _ in range(20_000):
        if task.ended:
            return task
        await settle(3)
        clock.advance(0.05)
    raise AssertionError("the capture did not end")


def pcmu(
    seconds: float, first: int = 0, ssrc: int = 1, start: float = 0.0
) -> list[tuple[float, bytes]]:
    """G.711 packets of 20 ms, each of other bytes."""
    return [
        (
            start + index / 50,
            rtp(0, first + index, (first + index) * 160, bytes([index % 251]) * 160, ssrc),
        )
        for index in range(round(seconds * 50))
    ]


def far_pcap(*datagrams: tuple[float, bytes], began: float) -> bytes:
    """A pcapng whose clock is beyond every calendar."""
    ticks = round(began)
    frames = (enhanced(ipv4(udp(data)), ticks + round(at * 100)) for at, data in datagrams)
    return pcapng(*frames, resolution=2)


def dump(tmp_path: Path, *datagrams: tuple[float, bytes], began: float = 0.0) -> Path:
    path = tmp_path / "a.rtpdump"
    path.write_bytes(rtpdump(*datagrams, began=began))
    return path


async def test_a_room_from_beginning_to_end(tmp_path: Path) -> None:
    task = await played(dump(tmp_path, *pcmu(2.5)))
    assert task.facts == [*ENTER, *END]
    cuts = [cut for cut in task.cuts if isinstance(cut, AudioCut)]
    assert [cut.end - cut.start for cut in cuts] == [8_000, 8_000, 4_000]
    assert [cut.start for cut in cuts] == [0, 8_000, 16_000]
    heard = {packet.timestamp: packet.payload for cut in cuts for packet in cut.packets}
    assert heard == {index * 160: bytes([index % 251]) * 160 for index in range(125)}


async def test_slices_are_placed_where_they_were_captured(tmp_path: Path) -> None:
    """Also where that is years before the clock's zero."""
    clock = ManualClock()
    task = await played(dump(tmp_path, *pcmu(1.5), began=BEGAN), clock=clock)
    first, second = (clock.wall(cut.began) for cut in task.cuts)
    assert abs(first - datetime.fromtimestamp(BEGAN, UTC)) < timedelta(milliseconds=TICK * 1e3)
    assert abs((second - first).total_seconds() - 1) < 1e-3


@pytest.mark.parametrize(
    ("options", "ago"),
    [("?speed=max", 4.98), ("?speed=2", 2.49), ("?speed=1", 0), ("?speed=0.5", 0)],
)
@pytest.mark.parametrize("began", [0.0, 4e9, 1e14])
async def test_without_a_time_in_the_file_it_ends_now(
    tmp_path: Path, options: str, ago: float, began: float
) -> None:
    """A time to come is none; no slice is named in the future, at whatever speed."""
    packets = rtpdump if began < 2**32 else far_pcap
    path = tmp_path / "a"
    path.write_bytes(packets(*pcmu(5), began=began))
    task = await played(path, options)
    assert task.cuts[0].began == pytest.approx(ManualClock().now() - ago, abs=2 * TICK)
    assert len(task.cuts) == 5


@pytest.mark.parametrize("options", ["", "?speed=2", "?speed=7.3"])
async def test_cuts_do_not_depend_on_the_speed(tmp_path: Path, options: str) -> None:
    path = dump(tmp_path, *pcmu(1.5), *pcmu(1, first=900, start=6), began=BEGAN)
    assert (await played(path, options)).cuts == (await played(path)).cuts


async def test_it_takes_as_long_as_the_capture_took(tmp_path: Path) -> None:
    path = dump(tmp_path, *pcmu(2.5))
    clock = ManualClock()
    task = await opened(path, "?speed=2", clock)
    moments = []
    while not task.ended:
        await settle(5)
        before = len(task.cuts)
        clock.advance(0.01)
        await settle(5)
        moments += [clock.now() - 1000.0] * (len(task.cuts) - before)
    assert moments == pytest.approx([0.5, 1.0, 1.24], abs=0.06)


async def test_a_gap_ends_its_slice_in_time(tmp_path: Path) -> None:
    """A timer of the core fires between two packets, at the capture's time."""
    path = dump(tmp_path, *pcmu(0.5), *pcmu(0.5, first=3000, start=90))
    clock = ManualClock()
    task = await opened(path, "", clock)
    for _ in range(200):
        await settle(3)
        clock.advance(0.2)
    assert [cut.end for cut in task.cuts if isinstance(cut, AudioCut)] == [4_000]
    assert not task.ended
    assert task.room is not None
    await task.room.leave()


async def test_a_long_gap_costs_no_more_than_a_short_one(tmp_path: Path) -> None:
    """A capture may be gaps alone: a hundred hours here, with a report due every few seconds."""
    turns = 0

    async def counted() -> None:
        nonlocal turns
        turns += 1

    found = []
    for gap in (QUIET, LONGEST_GAP):
        turns = 0
        parts = [pcmu(0.5, first=3000 * n, start=gap * n) for n in range(100)]
        path = dump(tmp_path, *(packet for part in parts for packet in part))
        task = await played(path, pace=counted)
        cuts = [cut for cut in task.cuts if isinstance(cut, AudioCut)]
        found.append([(cut.start, cut.end, cut.packets) for cut in cuts])
        assert len(cuts) == 100
        assert turns < 100 * 100
    assert found[0] == found[1]


async def test_leaving_ends_it_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    task = await opened(dump(tmp_path, *pcmu(60)), "", clock)
    for _ in range(10):
        await settle(3)
        clock.advance(0.02)
    assert task.room is not None
    await task.room.leave()
    await task.room.leave()
    facts, cuts = list(task.facts), list(task.cuts)
    clock.advance(100)
    await settle()
    assert (task.facts, task.cuts) == (facts, cuts) == (ENTER, [])


async def test_trouble_is_told_at_the_end(tmp_path: Path) -> None:
    """The sender's clock jumps ahead by more than has passed."""
    jump = [(4 + at, packet) for at, packet in pcmu(2, 5_000)]
    task = await played(dump(tmp_path, *pcmu(3), *jump))
    words, _ = TROUBLES["clock_jumped"]
    assert task.facts[-3:] == [AnchorTrouble("a", words, 1), *END]


async def test_what_a_capture_holds_that_is_not_read_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "slicer.rooms.replay.room")
    strange = [(at / 50, rtp(99, at)) for at in range(7)]
    task = await played(dump(tmp_path, *pcmu(1), *strange))
    assert "{'unknown payload type': 7}" in caplog.text
    assert isinstance(task.room, ReplayRoom)
    fates = Counter(packets_media=50, packets_other=7)
    assert task.room.counters & Counter(dict.fromkeys(fates, 100)) == fates


async def test_a_picture(tmp_path: Path) -> None:
    frames = [
        (index / 10, rtp(96, index, index * 9_000, VP8_KEYFRAME, marker=True))
        for index in range(25)
    ]
    task = await played(dump(tmp_path, *frames), "?speed=max&video=96:vp8")
    assert task.facts[2] == TrackPublished("a", Kind.VIDEO)
    assert [cut.timestamp for cut in task.cuts if isinstance(cut, PictureCut)] == [
        0,
        90_000,
        180_000,
    ]
    assert {cut.frames for cut in task.cuts if isinstance(cut, PictureCut)} == {(VP8_KEYFRAME[1:],)}


async def test_a_track_nobody_wants_is_not_cut(tmp_path: Path) -> None:
    clock = ManualClock()
    task = Task(wanted=set())
    rooms = ReplayConnector(Context(clock))
    url = urlsplit(f"replay://{dump(tmp_path, *pcmu(2))}?speed=max")
    task.room = await rooms.open(url, "robot", task.listen)
    task.room.unsubscribe(TrackKey("task", "nobody", Kind.AUDIO))
    task.room.subscribe(Subscribe(TrackKey("task", "nobody", Kind.AUDIO), AudioSpec(1)))
    await task.room.enter()
    await settle(2_000)
    assert task.facts == [*ENTER, *END]
    assert task.cuts == []
    await rooms.close()


async def test_two_anchors_of_a_pcap(tmp_path: Path) -> None:
    first, second = pcmu(1, ssrc=1), pcmu(1, ssrc=2)
    frames = []
    for (_, one), (_, two) in zip(first, second, strict=True):
        frames += [ipv4(udp(one, 5004)), ipv4(udp(two, 6000)), ipv4(udp(bytes(20)))]
    frames += [ipv4(udp(rtcp_sr(1), 5005, 5007)), ipv4(udp(rtcp_sr(9), 9001, 9001))]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(*frames))
    task = await played(path)
    assert AnchorJoined("a-1") in task.facts
    assert AnchorLeft("a-2", "the capture is over") in task.facts
    assert {cut.track.anchor for cut in task.cuts} == {"a-1", "a-2"}


async def test_pace_is_kept(tmp_path: Path) -> None:
    """At full speed, nothing is cut that nobody has room for."""
    gate = asyncio.Event()

    async def pace() -> None:
        await gate.wait()

    task = await opened(dump(tmp_path, *pcmu(3)), "?speed=max", ManualClock(), pace)
    await settle(500)
    assert (task.facts, task.cuts) == ([RoomEntered()], [])
    gate.set()
    await settle(2_000)
    assert (task.ended, len(task.cuts)) == (True, 3)


async def test_a_file_that_goes_away_ends_the_room(tmp_path: Path) -> None:
    path = dump(tmp_path, *pcmu(1))
    task = Task()
    rooms = ReplayConnector(Context(ManualClock()))
    url = urlsplit(f"replay://{path}?speed=max")
    task.room = await rooms.open(url, "robot", task.listen)
    path.unlink()
    await task.room.enter()
    await settle()
    assert task.facts == [RoomEntered(), Stopped(EndReason.ROOM_GONE)]


@pytest.mark.parametrize("content", [b"", b"\x0a\x0d\x0d\x0a", b"RIFF"])
def test_check_refuses_what_is_no_capture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)

    async def check() -> None:
        ReplayConnector(Context(ManualClock())).check(urlsplit(f"replay://{path}"))

    with pytest.raises(BadInput, match="capture"):
        asyncio.run(check())


async def test_opening_a_file_without_anybody(tmp_path: Path) -> None:
    rooms = ReplayConnector(Context(ManualClock()))
    url = urlsplit(f"replay://{dump(tmp_path)}")
    rooms.check(url)
    with pytest.raises(RoomError, match="holds no RTP"):
        await rooms.open(url, "robot", Task().listen)


def times(*seconds: float) -> list[tuple[float, int]]:
    found = batches(Captured(second, b"", NOWHERE) for second in seconds)
    return [(round(when, 6), len(batch)) for when, batch in found]


def test_batches() -> None:
    assert times() == []
    assert times(0, 0.004, 0.01, 0.02, 0.5) == [(0.01, 3), (0.02, 1), (0.5, 1)]


TALK = [data for _, data in pcmu(2.5)]
SRTP_KEY = bytes(range(30))


def in_pcapng(wrap: Callable[[bytes], list[bytes]], link: int = 101) -> bytes:
    """The talk, each packet in as many frames as *wrap* makes of it."""
    blocks = [
        enhanced(frame, BEGAN * 1_000_000 + index * 20_000)
        for index, data in enumerate(TALK)
        for frame in wrap(data)
    ]
    return pcapng(*blocks, link=link)


def in_fragments(data: bytes) -> list[bytes]:
    whole = udp(data)
    number = data[2:4]  # each packet has its own IPv4 identification
    frames = [ipv4(whole[:80], fragment=0x2000), ipv4(whole[80:], fragment=10)]
    return [frame[:4] + number + frame[6:] for frame in frames]


def in_rtsp(data: bytes) -> list[bytes]:
    framed = b"$\0" + len(data).to_bytes(2) + data
    return [ipv4(tcp(framed, 1 + int.from_bytes(data[2:4]) * len(framed)), protocol=6)]


def in_srtp() -> Callable[[bytes], list[bytes]]:
    policy = pylibsrtp.Policy(key=SRTP_KEY, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    session = pylibsrtp.Session(policy)
    return lambda data: [ipv4(udp(session.protect(data)))]


WRAPPED: dict[str, Callable[[], bytes]] = {
    "pcapng": lambda: in_pcapng(lambda data: [ipv4(udp(data))]),
    "pcap": lambda: pcap(*(ethernet(ipv4(udp(data))) for data in TALK), link=1),
    "gzip": lambda: gzip.compress(pcap(*(ipv4(udp(data)) for data in TALK))),
    "rtpdump": lambda: rtpdump(*pcmu(2.5), began=BEGAN),
    "mjr": lambda: mjr(
        *((20 * index, data) for index, data in enumerate(TALK)),
        header=f'{{"t":"a","c":"pcmu","u":{BEGAN}000000}}'.encode(),
    ),
    "fragments": lambda: in_pcapng(in_fragments),
    "channel": lambda: in_pcapng(
        lambda data: [ipv4(udp(b"\x40\x01" + len(data).to_bytes(2) + data))]
    ),
    "rtsp": lambda: in_pcapng(in_rtsp),
    "gre": lambda: in_pcapng(lambda data: [ipv4(gre(0x0800, ipv4(udp(data))), protocol=47)]),
    "qinq": lambda: in_pcapng(
        lambda data: [ethernet(ipv4(udp(data)), tags=b"\x91\0\0\1\x81\0\0\7")], link=1
    ),
    "pppoe": lambda: in_pcapng(
        lambda data: [ethernet(b"\x11\0\0\1\0\x40\0\x21" + ipv4(udp(data)), 0x8864)], link=1
    ),
    "link-228": lambda: in_pcapng(lambda data: [ipv4(udp(data))], link=228),
    "link-229": lambda: in_pcapng(lambda data: [ipv6(udp(data))], link=229),
    "srtp": lambda: in_pcapng(in_srtp()),
}


@pytest.mark.parametrize("name", WRAPPED)
async def test_whatever_it_is_wrapped_in_gives_the_same_slices(tmp_path: Path, name: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"inline:{base64.b64encode(SRTP_KEY).decode()}")
    control = await played(dump(tmp_path, *pcmu(2.5), began=BEGAN))
    path = tmp_path / f"a.{name}"
    path.write_bytes(WRAPPED[name]())
    task = await played(path, f"?speed=max&keys={keys}")
    assert task.facts == control.facts
    assert len(task.cuts) == len(control.cuts) == 3
    for one, other in zip(task.cuts, control.cuts, strict=True):
        assert isinstance(one, AudioCut)
        assert isinstance(other, AudioCut)
        assert (one.start, one.end) == (other.start, other.end)
        assert [p.payload for p in one.packets] == [p.payload for p in other.packets]
        assert one.began == pytest.approx(other.began, abs=2 * TICK)
