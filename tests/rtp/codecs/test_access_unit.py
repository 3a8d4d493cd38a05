"""Access units of NAL units: senders' habits and holes; each format's payloads have their own."""

from typing import NamedTuple

import pytest

from slicer.rtp.codecs import video_format
from slicer.rtp.codecs.frame import Frame, VideoDepacketizer
from slicer.rtp.parameters import H264, H265, Codec
from tests.harness.media.video import decoded, encoded
from tests.harness.rtp.depacketize import (
    TICKS,
    Sent,
    canonical,
    depacketizer,
    described,
    received,
    sent,
)
from tests.harness.rtp.packetize import annexb, nal_payloads
from tests.harness.rtp.parts import VIDEO


class Nals(NamedTuple):
    """NAL units of one format that look right. A slice and the second one of the same picture."""

    codec: Codec
    sets: tuple[bytes, ...]
    delimiter: bytes
    sei: bytes
    key: tuple[bytes, bytes]
    slices: tuple[bytes, bytes]
    aggregation: bytes
    """The header of a payload of several."""
    fragments: tuple[bytes, bytes, bytes]
    """The first, a middle and the last of a slice."""

    def aggregated(self, *nals: bytes) -> bytes:
        """One payload of several NAL units."""
        return self.aggregation + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


ALL = {
    "h264": Nals(
        H264,
        (b"\x67\x42\x00\x0a\xf8\x41", b"\x68\xce\x38\x80"),
        b"\x09\xf0",
        b"\x06\x05\x01\x00",
        (b"\x65\x88\x84", b"\x65\x42\x84"),  # first_mb_in_slice 0, then 1
        (b"\x41\x9a\x00", b"\x41\x5a\x00"),
        b"\x78",
        (b"\x7c\x81\x9a", b"\x7c\x01\x9a", b"\x7c\x41\x9a"),
    ),
    "h265": Nals(
        H265,
        (b"\x40\x01\x0c\x01", b"\x42\x01\x01" + b"\x60" * 12 + b"\xa0", b"\x44\x01\xc1"),
        b"\x46\x01\x50",
        b"\x4e\x01\x05\x01",
        (b"\x26\x01\xaf", b"\x26\x01\x2f"),  # first_slice_segment_in_pic_flag, then not
        (b"\x02\x01\xd0", b"\x02\x01\x50"),
        b"\x60\x01",
        (b"\x62\x01\x81\x9a", b"\x62\x01\x01\x9a", b"\x62\x01\x41\x9a"),
    ),
}
every_format = pytest.mark.parametrize("nals", ALL.values(), ids=ALL.keys())

Step = tuple[bytes, int, bool]


def fresh(nals: Nals) -> VideoDepacketizer:
    return VIDEO[nals.codec.name].depacketizer(nals.codec)


def pushed(taker: VideoDepacketizer, *steps: Step) -> list[Frame]:
    """The frames out of (payload, timestamp, marker), none missing."""
    frames = [taker.push(*step, True) for step in steps]
    return [frame for frame in frames if frame]


def unit(*nals: bytes) -> bytes:
    """Annex B."""
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


def believer(nals: Nals) -> VideoDepacketizer:
    """One that has seen the marker tell the truth, and parameter sets."""
    taker = fresh(nals)
    steps = [(nals.aggregated(*nals.sets), -2, False), (nals.key[0], -2, True)]
    steps += [(nals.slices[0], -1, False), (nals.slices[1], -1, True)]
    assert [frame.timestamp for frame in pushed(taker, *steps)] == [-2, -1]
    return taker


@every_format
def test_the_first_frame_waits_until_the_marker_is_proved(nals: Nals) -> None:
    taker, (one, two) = fresh(nals), nals.slices
    assert taker.push(nals.aggregated(*nals.sets), 0, False, True) is None
    assert taker.push(nals.key[0], 0, True, True) is None
    assert taker.push(one, 1, False, True) == Frame(0, unit(*nals.sets, nals.key[0]), True)
    assert taker.push(two, 1, True, True) == Frame(1, unit(one, two), False)
    assert taker.push(one, 2, True, True) == Frame(2, unit(one), False)


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("marked", [True, False])
def test_a_sender_whose_marker_is_always_the_same(codec: str, marked: bool) -> None:
    units = encoded(codec)
    packets = [p._replace(marker=marked) for p in sent(codec, units, 333)]
    frames = received(depacketizer(codec), packets)
    assert [f.data for f in frames] == [canonical(codec, u.data) for u in units[:-1]]


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("marked", [True, False])
def test_no_lost_packet_breaks_a_frame_of_such_senders(codec: str, marked: bool) -> None:
    units = encoded(codec)
    packets = [p._replace(marker=marked) for p in sent(codec, units, 333)]
    whole = {index * TICKS: canonical(codec, u.data) for index, u in enumerate(units)}
    for lost, packet in enumerate(packets):
        frames = received(depacketizer(codec), packets, {lost})
        assert all(frame.data == whole[frame.timestamp] for frame in frames)
        assert packet.timestamp not in {frame.timestamp for frame in frames}


@every_format
def test_marked_parameter_sets_end_nothing(nals: Nals) -> None:
    marked = [(each, 0, True) for each in (*nals.sets, nals.key[0])]
    frames = pushed(believer(nals), *marked, (nals.slices[0], 1, True))
    assert frames == [
        Frame(0, unit(*nals.sets, nals.key[0]), True),
        Frame(1, unit(nals.slices[0]), False),
    ]


@every_format
def test_a_believed_marker_that_lies_is_believed_no_more(nals: Nals) -> None:
    one, two = nals.slices
    frames = pushed(
        believer(nals),
        (one, 0, True),
        (two, 0, True),  # too late: this frame was given without it
        (one, 1, True),
        (two, 1, True),
        (one, 2, True),
    )
    assert [f.timestamp for f in frames] == [0, 1]
    assert frames[1].data == unit(one, two)


@every_format
def test_parameter_sets_under_a_timestamp_of_their_own_are_put_ahead_of_the_keyframe(
    nals: Nals,
) -> None:
    steps = [(nals.aggregated(*nals.sets), 0, True), (nals.key[0], 1, True)]
    frames = pushed(fresh(nals), *steps, (nals.slices[0], 2, True))
    assert frames[0] == Frame(1, unit(*nals.sets, nals.key[0]), True)


@every_format
def test_a_keyframe_that_lacks_one_set_is_given_them_all(nals: Nals) -> None:
    for lacking in nals.sets:
        there = [each for each in nals.sets if each != lacking]
        steps = [(each, 0, False) for each in there]
        frames = pushed(believer(nals), *steps, (nals.key[0], 0, True))
        assert frames == [Frame(0, unit(*nals.sets, *there, nals.key[0]), True)]


@pytest.mark.parametrize("codec", ALL)
def test_parameter_sets_of_the_description_are_put_ahead_of_every_keyframe(codec: str) -> None:
    units = encoded(codec)
    kinds = [nal[0] for nal in ALL[codec].sets]
    sets = [nal for nal in annexb(units[0].data) if nal[0] in kinds]
    bare = []
    for index, coded in enumerate(units):
        slices = [nal for nal in annexb(coded.data) if nal[0] not in kinds]
        parts = nal_payloads(codec, slices, 700, aggregate=False)
        bare += [
            Sent(part, index * TICKS, at == len(parts) - 1, index) for at, part in enumerate(parts)
        ]
    taker = VIDEO[codec].depacketizer(described(codec, sets))
    frames = received(taker, bare)
    assert [f.timestamp for f in frames] == [index * TICKS for index in range(len(units))]
    pictures = decoded(codec, [coded.data for coded in units])
    for index, frame in enumerate(frames):
        if frame.keyframe:
            assert decoded(codec, [frame.data]) == [pictures[index]]


def describing(nals: Nals) -> VideoDepacketizer:
    """One whose description has the parameter sets, and whose marker is believed."""
    taker = VIDEO[nals.codec.name].depacketizer(described(nals.codec.name, nals.sets))
    pushed(
        taker, (nals.delimiter, -9, False), (nals.slices[0], -9, True), (nals.slices[0], -8, True)
    )
    return taker


@every_format
@pytest.mark.parametrize("ahead", [False, True], ids=["alone", "behind an SEI"])
def test_after_a_hole_a_described_keyframe_proves_its_start(nals: Nals, ahead: bool) -> None:
    taker = describing(nals)
    if ahead:
        taker.push(nals.sei, 0, False, False)
    given = [taker.push(nals.key[0], 0, True, ahead), taker.push(nals.slices[0], 1, True, True)]
    assert Frame(0, unit(*nals.sets, nals.key[0]), True) in given


@every_format
def test_where_sets_came_in_packets_too_the_description_proves_nothing(nals: Nals) -> None:
    """Those that belong to the keyframe may be lost, and be others."""
    taker = describing(nals)
    taker.push(nals.sets[0], 0, False, True)
    given = [taker.push(nals.key[0], 1, True, False), taker.push(nals.slices[0], 2, True, True)]
    assert not any(frame.keyframe for frame in given if frame is not None)


@every_format
def test_a_keyframe_nobody_could_decode_is_given_as_bare(nals: Nals) -> None:
    steps = [(nals.delimiter, 0, False), (nals.key[0], 0, True)]
    steps += [(nals.slices[0], 1, True), (nals.slices[0], 2, True)]
    bare = Frame(0, b"", keyframe=True, bare=True)
    assert pushed(fresh(nals), *steps) == [bare, Frame(1, unit(nals.slices[0]), False)]


@every_format
def test_a_payload_of_a_type_that_is_not_read_is_told_apart_from_a_broken_one(nals: Nals) -> None:
    """STAP-B, MTAP and FU-B of H.264's interleaved mode, PACI of H.265, and what is reserved."""
    kinds = (0, 25, 26, 27, 29, 30, 31) if nals.codec is H264 else (50 << 1, 51 << 1, 63 << 1)
    unsupported = video_format(nals.codec).unsupported
    for kind in kinds:
        payload = bytes([kind, *nals.slices[0][1:]])
        assert unsupported(payload)
        with pytest.raises(ValueError, match="payload"):
            fresh(nals).push(payload, 0, True, True)
    broken = nals.aggregation + b"\xff\xff\1\1"
    assert not unsupported(broken)
    assert not unsupported(nals.aggregation[:1])
    with pytest.raises(ValueError, match="malformed"):
        fresh(nals).push(broken, 0, True, True)


@every_format
def test_the_delimiter_stays_ahead_of_inserted_parameter_sets(nals: Nals) -> None:
    steps = [(nals.delimiter, 0, False), (nals.key[0], 0, False), (nals.key[1], 0, True)]
    frames = pushed(believer(nals), *steps)
    assert frames == [Frame(0, unit(nals.delimiter, *nals.sets, *nals.key), True)]


@every_format
def test_after_a_hole_only_a_delimiter_or_the_first_set_proves_a_start(nals: Nals) -> None:
    first, *others = nals.sets
    for payload, proved in (
        (nals.delimiter, True),
        (first, True),
        (nals.sei, False),
        (nals.key[0], False),
        (nals.aggregated(nals.sei, first, *others), True),
        (nals.aggregated(nals.sei, *others), False),
        (nals.aggregated(nals.slices[0], first), False),
    ):
        taker = believer(nals)
        taker.push(payload, 0, False, False)
        frame = taker.push(nals.key[0], 0, True, True)
        assert (frame is not None) == proved, payload


@every_format
def test_a_hole_after_a_believed_marker_keeps_the_frame_that_waited(nals: Nals) -> None:
    taker, one = believer(nals), nals.slices[0]
    assert taker.push(one, 0, False, True) is None  # its marker never comes
    assert taker.push(one, 1, True, True) == Frame(0, unit(one), False)
    assert taker.push(one, 9, True, False) == Frame(1, unit(one), False)


@every_format
def test_fragments_that_do_not_fit_are_refused(nals: Nals) -> None:
    first, middle, _ = nals.fragments
    other = bytearray(middle)
    other[len(nals.aggregation)] ^= 0x04  # of another kind
    for payloads in ([middle], [first, first], [first, bytes(other)], [first, nals.slices[0]]):
        taker = believer(nals)
        for payload in payloads[:-1]:
            assert taker.push(payload, 0, False, True) is None
        with pytest.raises(ValueError, match="fragment"):
            taker.push(payloads[-1], 0, True, True)


@every_format
def test_a_frame_that_ends_inside_a_fragment_is_given_up(nals: Nals) -> None:
    taker, one = believer(nals), nals.slices[0]
    assert taker.push(nals.fragments[0], 0, True, True) is None
    assert taker.push(one, 1, True, True) == Frame(1, unit(one), False)
