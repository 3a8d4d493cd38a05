"""Datagrams in, cuts and RTCP out: whatever comes, at any time, and for an hour."""

import ctypes
import gc
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.packet import MAX_DATAGRAM
from slicer.rtp.parameters import (
    MID,
    OPUS,
    TRANSPORT_WIDE_CC,
    VP8,
    Codec,
    Kind,
    Role,
    RtpParameters,
)
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey, TrackOutput, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.video import LATE
from tests.harness.rtp.call import (
    AUDIO,
    AUDIO_TRACK,
    VIDEO,
    VIDEO_TRACK,
    Call,
    Network,
    Sender,
    datagram,
    heard,
    number_of,
    opus,
    vp8,
)
from tests.harness.rtp.parts import Bundle, bundle_of

NAMED = {3: TRANSPORT_WIDE_CC, 4: MID}
BOTH = replace(AUDIO, feedback=frozenset({"nack"}))


def bundle(seconds: int = 1) -> Bundle:
    made = bundle_of("ann", [BOTH, VIDEO])
    made.attach(AUDIO_TRACK, AudioSpec(seconds), 0.0)
    made.attach(VIDEO_TRACK, VideoSpec(seconds), 0.0)
    return made


def check(outputs: Sequence[TrackOutput | Transmit]) -> None:
    """What holds for whatever came."""
    slices = [cut for cut in outputs if isinstance(cut, AudioCut)]
    for cut in slices:
        assert cut.start < cut.end <= cut.start + 48_000
        for a, b in pairwise(cut.packets):
            assert a.timestamp + a.duration <= b.timestamp
        assert cut.packets[-1].timestamp < cut.end
        assert cut.packets[-1].timestamp + cut.packets[-1].duration > cut.start
    for one, two in pairwise(slices):
        assert (one.epoch, one.end) <= (two.epoch, two.start) or one.epoch < two.epoch
    for picture in (cut for cut in outputs if isinstance(cut, PictureCut)):
        assert picture.timestamp >= picture.due
        assert picture.frames
    for output in outputs:
        if isinstance(output, Transmit):
            assert isinstance(rtcp.parse(output.data)[0], rtcp.ReceiverReport)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too_short"),
        (b"\x80\x6f" + bytes(9), "too_short"),
        (datagram(bytes(MAX_DATAGRAM), 1, 1), "oversized"),
        (b"\x00" + bytes(20), "bad_version"),
        (b"\x8f" + datagram(b"abc", 1, 1)[1:], "truncated"),
        (b"\xa0" + datagram(b"\xff", 1, 1)[1:], "bad_padding"),
        (datagram(b"abc", 1, 1, payload_type=50), "unknown_payload_type"),
        (b"\x81\xc8\x00\x06" + bytes(4), "malformed_rtcp"),
    ],
)
def test_what_is_refused_is_counted_by_its_reason(data: bytes, reason: str) -> None:
    made = bundle()
    assert made.receive([data], 1.0) == []
    assert made.counters == {reason: 1}


def test_garbage_between_good_packets_changes_nothing() -> None:
    talk = Call(bundle(), [Sender(BOTH, 1), Sender(VIDEO, 2, every=0.04)])
    for number in range(1000):
        talk.run(0.01)
        talk.take(talk.bundle.receive([bytes([number % 256]) * (number % 30)], talk.now))
    talk.end()
    check(talk.cuts)
    assert heard(talk.slices) == talk.senders[0].sent
    assert len(talk.pictures) == 10
    assert {"too_short", "bad_version"} <= talk.bundle.counters.keys()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60) | st.binary(max_size=40).map(lambda b: b"\x90\x60" + b)))
def test_no_bytes_are_fatal(datagrams: list[bytes]) -> None:
    made = bundle()
    outputs = made.receive(datagrams, 1.0)
    check(outputs + made.receive([datagram(opus(i), i, i * 960) for i in range(9)], 2.0))
    check(made.flush(3.0))


STEPS = st.tuples(
    st.sampled_from([111, 96, 97]),
    st.sampled_from([1, 1, 1, 2, 3, 1001]),
    st.sampled_from([1, 1, 1, 1, 2, 0, -1, -3, 40, 3000, -3000, 30_000]),
    st.sampled_from([960, 960, 960, 0, 120, 961, -960, 48_000, 144_000, -480_000, 2**31]),
    st.sampled_from([0.0, 0.02, 0.02, 0.3, 2.5, 11.0]),
    st.integers(0, 9),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, max_size=80), st.integers(1, 5))
def test_no_stream_breaks_what_cuts_promise(
    steps: list[tuple[int, int, int, int, float, int]], size: int
) -> None:
    made, outputs, batch = bundle(), list[TrackOutput | Transmit](), list[bytes]()
    sequence = timestamp = 60_000
    now = 0.0
    for payload_type, ssrc, ahead, ticks, wait, kind in steps:
        sequence, timestamp, now = sequence + ahead, timestamp + ticks, now + wait
        if payload_type == 111:
            payload = b"\xff\xff" if kind == 9 else bytes([0xE0 + (kind & 3) * 8]) + b"ab"
        else:
            payload = b"\x10" * (kind < 8) + vp8(sequence & 0xFFFF, kind < 3)
        if payload_type == 97:
            payload = struct.pack("!H", sequence - 2 & 0xFFFF) + payload
        batch.append(datagram(payload, sequence, timestamp, ssrc, payload_type, True))
        if len(batch) >= size:
            outputs += made.receive(batch, now)
            batch = []
        deadline = made.deadline()
        if deadline is not None and deadline <= now:
            outputs += made.handle_timer(now)
    outputs += made.receive(batch, now)
    outputs += made.flush(now)
    check(outputs)


def test_handle_timer_at_the_deadline_always_gets_on() -> None:
    made, now = bundle(), 0.0
    made.receive([datagram(opus(i), i, i * 960) for i in (0, 1, 2, 5)], now)
    made.receive([datagram(b"\x10" + vp8(0, False), 0, 0, 2, 96, True)] * 2, now)
    for _ in range(60):
        deadline = made.deadline()
        assert deadline is not None
        assert deadline > now or now == 0.0
        now = max(now, deadline)
        made.handle_timer(now)
    assert now > 20


def test_a_codec_that_nobody_can_read_is_refused_and_not_fatal() -> None:
    strange = RtpParameters(Kind.VIDEO, {100: Codec("h261", 90_000), 96: VP8}, {101: 100})
    made = bundle_of("ann", [strange])
    made.attach(VIDEO_TRACK, VideoSpec(1), 0.0)
    made.receive(
        [datagram(b"abc", i, 0, 1, payload_type) for i in range(4) for payload_type in (100, 101)],
        1.0,
    )
    assert made.counters == {"unknown_payload_type": 8}


def test_a_second_stream_of_a_kind_is_only_counted() -> None:
    second = RtpParameters(Kind.AUDIO, {112: OPUS})
    made = bundle_of("ann", [AUDIO, second])
    made.attach(AUDIO_TRACK, AudioSpec(1), 0.0)
    outputs = []
    for i in range(200):
        pair = [datagram(opus(i), i, i * 960), datagram(opus(i), i, i * 960, 2, 112)]
        outputs += made.receive(pair, i * 0.02)
    assert made.counters["asleep"] == 200
    check(outputs)
    assert len([cut for cut in outputs if isinstance(cut, AudioCut)]) == 4


def test_a_kind_that_is_not_sent_is_ignored() -> None:
    made = bundle_of("ann", [AUDIO])
    assert made.attach(VIDEO_TRACK, VideoSpec(1), 0.0) == []
    assert made.detach(VIDEO_TRACK, 1.0) == []
    assert made.deadline() is None


def test_a_track_attached_again_gives_its_last_cut_and_begins_anew() -> None:
    talk = Call(bundle_of("ann", [AUDIO]), [Sender(AUDIO)])
    talk.take(talk.bundle.attach(AUDIO_TRACK, AudioSpec(15), 0.0))
    talk.run(4)
    talk.take(talk.bundle.attach(AUDIO_TRACK, AudioSpec(2), talk.now))
    talk.run(6)
    talk.end()
    assert [round((cut.end - cut.start) / 48_000) for cut in talk.slices] == [4, 2, 2, 2]
    assert heard(talk.slices) == talk.senders[0].sent


def test_sound_and_sight_agree_though_one_comes_later() -> None:
    sound = Sender(BOTH, 1, reports=1, timestamp=777)
    sight = Sender(VIDEO, 2, every=0.04, reports=1, timestamp=2**32 - 5000)
    talk = Call(bundle(), [sound, sight], delays={2: 0.2})
    talk.run(20)
    for cut in talk.slices[3:]:
        assert cut.began == pytest.approx(0.01 + (cut.start - 777) / 48_000, abs=0.015)
    for picture in talk.pictures[3:]:
        sent = (picture.timestamp - (2**32 - 5000)) / 90_000
        assert picture.began == pytest.approx(0.01 + sent, abs=0.015)
    assert talk.slices[0].epoch == talk.pictures[0].epoch == 0


MUTE = replace(VIDEO, feedback=frozenset())  # no keyframe may be asked for
LAGS: dict[str, Callable[[float], float]] = {
    "held up for 5 s": lambda at: max(30.0 - at, 0.0) * (at >= 25.0),
    "held up for 28 s": lambda at: max(53.0 - at, 0.0) * (at >= 25.0),
    "slower by and by": lambda at: min(max(at - 25.0, 0.0) / 5, 6.0),
    "slower at once": lambda at: 4.0 * (at >= 25.0),
    "slower for a while": lambda at: max(4.0 - abs(at - 35.0) / 2.5, 0.0),
}


def lagging(lag: Callable[[float], float], sight: RtpParameters, seconds: float) -> Call:
    """A second's slices and pictures of so many, over a path that loses nothing."""
    talk = Call(bundle_of("ann", [AUDIO, sight]), [], Network(lag=lag), tick=0.02)
    talk.senders += [Sender(AUDIO, 1, reports=1), Sender(sight, 2, every=0.04, reports=1)]
    for track, spec in (
        (AUDIO_TRACK, AudioSpec(1, report_wait=3)),
        (VIDEO_TRACK, VideoSpec(1, report_wait=3)),
    ):
        talk.take(talk.bundle.attach(track, spec, 0.0))
    return talk.run(seconds)


def undated(cut: Cut) -> Cut:
    return replace(cut, began=0.0, provisional=False)


@pytest.mark.parametrize("lag", LAGS)
def test_what_comes_whole_is_cut_alike_however_late(lag: str) -> None:
    late, usual = (lagging(one, MUTE, 70) for one in (LAGS[lag], lambda _: 0.0))
    assert min(len(late.slices), len(late.pictures)) > 60
    for kind in (AudioCut, PictureCut):
        cuts, expected = ([cut for cut in one.cuts if type(cut) is kind] for one in (late, usual))
        for cut, one in zip(cuts, expected, strict=False):
            assert undated(cut) == undated(one)
            assert cut.began == pytest.approx(one.began, abs=0.01)
    assert set(late.bundle.counters) == {"unknown_ssrc"}  # of the first reports


@pytest.mark.parametrize("lag", LAGS)
def test_a_picture_that_a_path_has_cost_is_told(lag: str) -> None:
    """A source that was asked for keyframes sends none for pictures whose request waits."""
    talk = lagging(LAGS[lag], VIDEO, 70)
    behind = [picture.timestamp - picture.due for picture in talk.pictures]
    assert all(picture.due % 90_000 == 0 for picture in talk.pictures)
    late = [one for one in behind if one > LATE * 90_000]
    assert len(late) <= talk.bundle.counters["picture_late"] <= len(late) + 1


FIRST_AND_LAST = slice(None, 4), slice(-4, None)


class Heap(ctypes.Structure):
    """struct mallinfo2 of glibc: *uordblks* and *hblkhd* are the bytes in use, small and large."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost",
    )]  # fmt: skip


def allocated() -> tuple[int, int]:
    """Python's objects, and the bytes that malloc has given: the native plane's and large objects'.

    Both are exact where the memory of the process is not: that grows by pages, and by chance.
    """
    gc.collect()
    read = ctypes.CDLL(None).mallinfo2
    read.restype = Heap
    heap = read()
    return sys.getallocatedblocks(), int(heap.uordblks + heap.hblkhd)


@pytest.mark.skipif(sys.platform != "linux", reason="mallinfo2 is glibc's")
def test_memory_stays_flat() -> None:
    """Five anchors, 25 minutes over the wraps of audio; a block kept for each hundredth packet
    would show. At a seventh of the packets: one of audio in 120 ms, four frames a second."""
    calls = []
    for number in range(5):
        anchor = f"a{number}"
        made = bundle_of(anchor, [BOTH, VIDEO], number)
        audio = Sender(BOTH, 1, sequence=64_000, every=0.12, timestamp=2**32 - 9_600_000, ppm=40)
        video = Sender(VIDEO, 2, sequence=1_000, every=0.25, reports=5)
        call = Call(made, [audio, video], tick=0.5)
        call.network.lose = lambda n: n % 97 == 3
        made.attach(TrackKey("t", anchor, Kind.AUDIO), AudioSpec(15), 0.0)
        made.attach(TrackKey("t", anchor, Kind.VIDEO), VideoSpec(5), 0.0)
        calls.append(call)
    cuts, held = 0, list[tuple[int, int]]()
    for minute in range(26):
        for call in calls:
            call.run(60)
            cuts += len(call.cuts)
            for kept in (call.cuts, call.compounds, *vars_of(call)):
                kept.clear()
        if minute >= 12:
            held.append(allocated())
    assert cuts > 5 * (96 + 290)
    # The least of some minutes: in some of them a slice has been made that waits to be cut.
    then, now = ([min(kind) for kind in zip(*held[of], strict=True)] for of in FIRST_AND_LAST)
    assert now[0] - then[0] < 400, "of 41 000 packets"
    assert now[1] - then[1] < 100_000


def vars_of(call: Call) -> list[list[int] | list[float]]:
    """What the senders of a call remember for other tests."""
    return [kept for s in call.senders for kept in (s.sent, s.asked, s.keyframes)]


def test_a_screen_is_cut_beside_the_camera_and_apart_from_it() -> None:
    lines = [
        replace(line, mid=mid, role=role, extensions=NAMED)
        for role, mids in ((Role.AUX, "ab"), (Role.MAIN, "cd"))
        for line, mid in zip((BOTH, VIDEO), mids, strict=True)
    ]
    made = bundle_of("ann", lines)
    senders = [
        Sender(line, ssrc=ssrc, number=1000 * ssrc, every=0.02 if line.kind is Kind.AUDIO else 0.05)
        for ssrc, line in enumerate(lines, 1)
    ]
    call = Call(made, senders, Network(delay=0.02), tick=0.02)
    for line in lines:
        key = TrackKey("task", "ann", *line.slot)
        spec = AudioSpec(1) if line.kind is Kind.AUDIO else VideoSpec(1)
        call.take(made.attach(key, spec, 0.0))
    call.run(2.5)
    call.take(made.set_sections("ann", lines[2:], call.now))  # the screen is shared no longer
    call.run(2.5)
    call.end()
    seen: dict[tuple[Kind, Role], set[int]] = {}
    for cut in call.cuts:
        frames = cut.packets if isinstance(cut, AudioCut) else cut.frames
        seen.setdefault(cut.track.slot, set()).update(number_of(one) // 1000 for one in frames)
    assert seen == {line.slot: {ssrc} for ssrc, line in enumerate(lines, 1)}
    ends = {slot: max(_end(cut) for cut in call.cuts if cut.track.slot == slot) for slot in seen}
    assert all(ends[kind, Role.AUX] < 2.6 < ends[kind, Role.MAIN] for kind in Kind)


def _end(cut: AudioCut | PictureCut) -> float:
    """When the media of a cut was captured last, in seconds."""
    return cut.began + ((cut.end - cut.start) / 48_000 if isinstance(cut, AudioCut) else 0)


def test_the_counters_of_each_anchor_are_its_own() -> None:
    made = bundle_of("ann", [replace(AUDIO, mid="0", extensions=NAMED)])
    made.set_sections("bob", [replace(AUDIO, mid="1", extensions=NAMED)], 0.0)
    named = {mid: b"\xbe\xde\0\1" + bytes([0x40]) + mid + bytes(2) for mid in (b"0", b"1")}
    for number in range(9):
        mid = b"1" if number < 2 else b"0"
        made.receive([datagram(opus(number), number, 0, int(mid) + 1, extension=named[mid])], 0.0)
    made.receive([datagram(b"x", 9, 0, 1, 99)], 0.0)
    assert made.counters_of("ann") == {"asleep": 7}
    assert made.counters_of("bob") == {"asleep": 2}
    assert made.counters_of("eve") == {}
    assert made.counters == {"asleep": 9, "unknown_payload_type": 1}
    made.set_sections("ann", (), 1.0)
    assert made.counters_of("ann") == {}
    assert made.counters == {"asleep": 9, "unknown_payload_type": 1}
