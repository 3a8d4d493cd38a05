"""H.264 payload kinds (RFC 6184) and senders' habits; whole streams are in tests/contract."""

import base64

import pytest
from aiortc.codecs.h264 import H264Encoder

from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import H264
from tests.harness.media.video import decoded, encoded
from tests.harness.rtp.depacketize import TICKS, Sent, canonical, depacketizer, received, sent
from tests.harness.rtp.packetize import annexb, h264
from tests.harness.rtp.parts import H264Depacketizer
from tests.harness.rtp.parts import h264_starts_keyframe as starts_keyframe

START = b"\x00\x00\x00\x01"
SPS, PPS = b"\x67\x42\x00\x0a\xf8\x41", b"\x68\xce\x38\x80"
AUD, SEI = b"\x09\xf0", b"\x06\x05\x01\x00"
IDR, IDR_2 = b"\x65\x88\x84", b"\x65\x42\x84"  # first_mb_in_slice 0, then 1
SLICE, SLICE_2 = b"\x41\x9a\x00", b"\x41\x5a\x00"


def stap(*nals: bytes) -> bytes:
    """One payload of several NAL units (RFC 6184 5.7.1)."""
    return b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


STAP = stap(SPS, PPS)

Step = tuple[bytes, int, bool]


def pushed(*steps: Step, taker: H264Depacketizer | None = None) -> list[Frame]:
    """The frames out of (payload, timestamp, marker), none missing."""
    taker = taker or H264Depacketizer(H264)
    frames = [taker.push(*step, True) for step in steps]
    return [frame for frame in frames if frame]


def unit(*nals: bytes) -> bytes:
    """Annex B."""
    return b"".join(START + nal for nal in nals)


def believer() -> H264Depacketizer:
    """One that has seen the marker tell the truth, and parameter sets."""
    taker = H264Depacketizer(H264)
    steps = [(STAP, -2, False), (IDR, -2, True), (SLICE, -1, False), (SLICE_2, -1, True)]
    assert [frame.timestamp for frame in pushed(*steps, taker=taker)] == [-2, -1]
    return taker


def test_the_first_frame_waits_until_the_marker_is_proved() -> None:
    taker = H264Depacketizer(H264)
    assert taker.push(STAP, 0, False, True) is None
    assert taker.push(IDR, 0, True, True) is None
    assert taker.push(SLICE, 1, False, True) == Frame(0, unit(SPS, PPS, IDR), True)
    assert taker.push(SLICE_2, 1, True, True) == Frame(1, unit(SLICE, SLICE_2), False)
    assert taker.push(SLICE, 2, True, True) == Frame(2, unit(SLICE), False)


def test_a_sender_that_never_sets_the_marker() -> None:
    units = encoded("h264")
    packets = [p._replace(marker=False) for p in sent("h264", units, 333)]
    frames = received(depacketizer("h264"), packets)
    assert [f.data for f in frames] == [canonical("h264", u.data) for u in units[:-1]]


def test_a_sender_that_sets_the_marker_on_every_packet() -> None:
    units = encoded("h264")
    packets = [p._replace(marker=True) for p in sent("h264", units, 333)]
    frames = received(depacketizer("h264"), packets)
    assert [f.data for f in frames] == [canonical("h264", u.data) for u in units[:-1]]


@pytest.mark.parametrize("marked", [True, False])
def test_no_lost_packet_breaks_a_frame_of_such_senders(marked: bool) -> None:
    units = encoded("h264")
    packets = [p._replace(marker=marked) for p in sent("h264", units, 333)]
    whole = {index * TICKS: canonical("h264", u.data) for index, u in enumerate(units)}
    for lost, packet in enumerate(packets):
        frames = received(depacketizer("h264"), packets, {lost})
        assert all(frame.data == whole[frame.timestamp] for frame in frames)
        assert packet.timestamp not in {frame.timestamp for frame in frames}


def test_marked_parameter_sets_end_nothing() -> None:
    taker = believer()
    frames = pushed((SPS, 0, True), (PPS, 0, True), (IDR, 0, True), (SLICE, 1, True), taker=taker)
    assert frames == [Frame(0, unit(SPS, PPS, IDR), True), Frame(1, unit(SLICE), False)]


def test_a_believed_marker_that_lies_is_believed_no_more() -> None:
    frames = pushed(
        (SLICE, 0, True),
        (SLICE_2, 0, True),  # too late: this frame was given without it
        (SLICE, 1, True),
        (SLICE_2, 1, True),
        (SLICE, 2, True),
        taker=believer(),
    )
    assert [f.timestamp for f in frames] == [0, 1]
    assert frames[1].data == unit(SLICE, SLICE_2)


def test_parameter_sets_under_a_timestamp_of_their_own_are_put_ahead_of_the_idr() -> None:
    frames = pushed((STAP, 0, True), (IDR, 1, True), (SLICE, 2, True))
    assert frames[0] == Frame(1, unit(SPS, PPS, IDR), True)


def test_parameter_sets_of_the_fmtp_line_are_put_ahead_of_every_idr() -> None:
    units = encoded("h264")
    sprop = ",".join(base64.b64encode(nal).decode() for nal in annexb(units[0].data)[:2])
    bare = []
    for index, coded in enumerate(units):
        nals = [nal for nal in annexb(coded.data) if nal[0] & 0x1F not in (7, 8)]
        parts = h264(nals, 700, aggregate=False)
        bare += [
            Sent(part, index * TICKS, at == len(parts) - 1, index) for at, part in enumerate(parts)
        ]
    # The very first frame cannot be told from the rest of one that began before.
    leader = Sent(b"\x09\xf0", -TICKS, True, -1)
    frames = received(depacketizer("h264", sprop), [leader, *bare])
    assert [f.timestamp for f in frames] == [index * TICKS for index in range(len(units))]
    pictures = decoded("h264", [coded.data for coded in units])
    for index, frame in enumerate(frames):
        if frame.keyframe:
            assert decoded("h264", [frame.data]) == [pictures[index]]


def test_an_idr_nobody_could_decode_is_given_up() -> None:
    frames = pushed((AUD, 0, False), (IDR, 0, True), (SLICE, 1, True))
    assert frames == [Frame(1, unit(SLICE), False)]


def test_the_delimiter_stays_ahead_of_inserted_parameter_sets() -> None:
    frames = pushed((AUD, 0, False), (IDR, 0, False), (IDR_2, 0, True), taker=believer())
    assert frames == [Frame(0, unit(AUD, SPS, PPS, IDR, IDR_2), True)]


@pytest.mark.parametrize(
    ("first", "proved"),
    [
        (AUD, True),
        (SPS, True),
        (SEI, False),
        (IDR, False),
        (stap(SEI, SPS, PPS), True),
        (stap(SEI, PPS), False),
        (stap(SLICE, SPS), False),
    ],
)
def test_after_a_hole_only_an_aud_or_an_sps_proves_a_start(first: bytes, proved: bool) -> None:
    taker = believer()
    taker.push(first, 0, False, False)
    frame = taker.push(IDR, 0, True, True)
    assert (frame is not None) == proved


def test_a_hole_after_a_believed_marker_keeps_the_frame_that_waited() -> None:
    taker = believer()
    assert taker.push(SLICE, 0, False, True) is None  # its marker never comes
    assert taker.push(SLICE, 1, True, True) == Frame(0, unit(SLICE), False)
    assert taker.push(SLICE, 9, True, False) == Frame(1, unit(SLICE), False)


def test_packets_made_by_aiortc() -> None:
    units = encoded("h264")
    packets = []
    for index, coded in enumerate(units):
        parts = H264Encoder._packetize(iter(annexb(coded.data)))
        packets += [
            Sent(part, index * TICKS, at == len(parts) - 1, index) for at, part in enumerate(parts)
        ]
    frames = received(depacketizer("h264"), packets)
    assert [f.data for f in frames] == [canonical("h264", u.data) for u in units]


@pytest.mark.parametrize("aggregate", [True, False])
def test_mode_0_and_aggregation_give_the_same(aggregate: bool) -> None:
    nals = annexb(encoded("h264")[1].data)
    parts = h264(nals, 60_000, aggregate)
    assert len(parts) == (1 if aggregate else len(nals))
    taker = believer()
    frames = [
        taker.push(part, 0, index == len(parts) - 1, True) for index, part in enumerate(parts)
    ]
    assert frames[-1] == Frame(0, unit(*nals), False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00",
        b"\x78",
        b"\x78\x00",
        b"\x78\x00\x00",
        b"\x78\x00\x05\x67",
        b"\x78\x00\x01\x78",
        b"\x79\x00\x01\x67",  # STAP-B: interleaved mode
        b"\x7a\x00",
        b"\x7c",
        b"\x7c\x85",
        b"\x7c\x9c\x00",
        b"\x7d\x85\x00\x00",
        b"\x7e\x00",
        b"\x7f\x00",
    ],
)
def test_malformed_payloads_are_refused(payload: bytes) -> None:
    taker = believer()
    with pytest.raises(ValueError, match=r"H\.264"):
        taker.push(payload, 0, False, True)
    assert not starts_keyframe(payload)
    assert taker.push(SLICE, 0, True, True) is None
    assert taker.push(SLICE, 1, True, True) == Frame(1, unit(SLICE), False)


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x7c\x05\x01"],  # a middle without its beginning
        [b"\x7c\x85\x01", b"\x7c\x85\x01"],
        [b"\x7c\x85\x01", b"\x7c\x01\x01"],  # of another kind
        [b"\x7c\x85\x01", SLICE],
    ],
)
def test_fragments_that_do_not_fit_are_refused(payloads: list[bytes]) -> None:
    taker = believer()
    for payload in payloads[:-1]:
        assert taker.push(payload, 0, False, True) is None
    with pytest.raises(ValueError, match=r"H\.264"):
        taker.push(payloads[-1], 0, True, True)


def test_a_frame_that_ends_inside_a_fragment_is_given_up() -> None:
    taker = believer()
    assert taker.push(b"\x7c\x81\x9a\x00", 0, True, True) is None
    assert taker.push(SLICE, 1, True, True) == Frame(1, unit(SLICE), False)


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (SPS, True),
        (STAP, True),
        (IDR, True),
        (IDR_2, False),
        (b"\x7c\x85\x88\x84", True),
        (b"\x7c\x85\x42\x84", False),
        (b"\x7c\x05\x88\x84", False),
        (b"\x7c\x81\x9a\x84", False),
        (SLICE, False),
        (PPS, False),
        (b"", False),
    ],
)
def test_where_a_keyframe_starts(payload: bytes, starts: bool) -> None:
    assert starts_keyframe(payload) == starts
