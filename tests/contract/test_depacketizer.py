"""What every VideoDepacketizer of the table keeps, on real streams."""

import fractions
from contextlib import suppress

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.codecs.assembly import MAX_FRAME
from slicer.rtp.codecs.frame import VideoDepacketizer
from slicer.rtp.packet import parse
from tests.harness.media.priority import kept_priority
from tests.harness.media.video import ENCODERS, decoded, encoded
from tests.harness.rtp.depacketize import TICKS, Sent, canonical, depacketizer, received, sent
from tests.harness.rtp.packetize import payloads
from tests.harness.rtp.parts import VIDEO

CODECS = sorted(VIDEO)
every_codec = pytest.mark.parametrize("codec", CODECS)

# Payloads that begin a frame of any size: a keyframe's first bytes, then nothing of sense.
GIANT = {
    "vp8": b"\x10\x02\x00\x9d\x01\x2a" + bytes(MAX_FRAME),
    "vp9": b"\x82\x49\x83\x42" + bytes(MAX_FRAME),
    "h264": b"\0\0\0\1\x67\x42\x00\x0a\xff\0\0\0\1\x65" + b"\xff" * MAX_FRAME,
    "h265": b"\0\0\0\1\x40\1\x0c\1" + b"\0\0\0\1\x26\1" + b"\xff" * MAX_FRAME,
    "av1": b"\x0a\x01\x00\x32\x80\x80\x80\x02\x10" + bytes(MAX_FRAME - 1),
}


def test_the_table_holds_what_the_harness_encodes() -> None:
    assert sorted(ENCODERS) == CODECS


@every_codec
@pytest.mark.parametrize("mtu", [60, 333, 1200])
def test_every_frame_comes_out_as_it_was_encoded(codec: str, mtu: int) -> None:
    units = encoded(codec)
    frames = received(depacketizer(codec), sent(codec, units, mtu))
    assert [f.data for f in frames] == [canonical(codec, unit.data) for unit in units]
    assert [f.timestamp for f in frames] == [index * TICKS for index in range(len(units))]
    assert [f.keyframe for f in frames] == [unit.keyframe for unit in units]
    assert any(unit.keyframe for unit in units[1:])


@every_codec
def test_a_decoder_makes_the_same_pictures_of_it(codec: str) -> None:
    units = encoded(codec)
    frames = received(depacketizer(codec), sent(codec, units, 333))
    pictures = decoded(codec, [frame.data for frame in frames])
    assert len(pictures) == len(units)
    assert pictures == decoded(codec, [unit.data for unit in units])


@every_codec
def test_a_decoder_takes_each_keyframe_alone(codec: str) -> None:
    units = encoded(codec)
    frames = received(depacketizer(codec), sent(codec, units, 333))
    whole = decoded(codec, [unit.data for unit in units])
    for index, frame in enumerate(frames):
        if frame.keyframe:
            assert decoded(codec, [frame.data]) == [whole[index]]


@every_codec
def test_a_lost_packet_loses_its_frame_and_at_most_the_next(codec: str) -> None:
    units = encoded(codec)
    packets = sent(codec, units, 333)
    whole = [canonical(codec, unit.data) for unit in units]
    for lost, packet in enumerate(packets):
        frames = {f.timestamp // TICKS: f for f in received(depacketizer(codec), packets, {lost})}
        assert packet.frame not in frames
        assert all(frame.data == whole[index] for index, frame in frames.items())
        gone = set(range(len(units))) - frames.keys()
        # Access units of NAL units: the first is held until the next packet has proved the marker.
        held = {0} if codec in {"h264", "h265"} and packet.frame == 1 else set()
        assert gone <= {packet.frame, packet.frame + 1} | held
        # Parameter sets or N prove the start of a keyframe even right after a hole.
        assert not any(units[index].keyframe for index in gone - held - {packet.frame})


@every_codec
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_broken_frame_comes_out_whatever_is_lost(codec: str, data: st.DataObject) -> None:
    units = encoded(codec)
    packets = sent(codec, units, 333)
    lost = data.draw(st.sets(st.integers(0, len(packets) - 1), max_size=len(packets)))
    whole = {index * TICKS: canonical(codec, unit.data) for index, unit in enumerate(units)}
    intact = {p.frame for p in packets} - {packets[index].frame for index in lost}
    frames = received(depacketizer(codec), packets, lost)
    assert all(frame.data == whole[frame.timestamp] for frame in frames)
    assert {frame.timestamp // TICKS for frame in frames} <= intact


@every_codec
def test_joining_in_the_middle_waits_for_the_start_of_a_frame(codec: str) -> None:
    units = encoded(codec)
    packets = sent(codec, units, 333)
    for begin in range(packets.index(next(p for p in packets if p.frame == 1))):
        frames = received(depacketizer(codec), packets, set(range(begin)))
        first = 0 if begin == 0 else 1
        assert [f.timestamp // TICKS for f in frames] == list(range(first, len(units)))


@every_codec
def test_padding_between_packets_means_nothing(codec: str) -> None:
    units = encoded(codec)
    packets = sent(codec, units, 333)
    padded = [q for p in packets for q in (p, Sent(b"", p.timestamp, False, p.frame))]
    frames = received(depacketizer(codec), padded)
    assert [f.timestamp // TICKS for f in frames] == list(range(len(units)))


@every_codec
def test_padding_does_not_hide_a_hole(codec: str) -> None:
    packets = sent(codec, encoded(codec), 333)
    victim = next(index for index, p in enumerate(packets) if p.frame == 5) + 1
    packets[victim] = Sent(b"", packets[victim].timestamp, False, 5)
    frames, taker = [], depacketizer(codec)
    for index, packet in enumerate(packets):
        frames.append(taker.push(packet.payload, packet.timestamp, packet.marker, index != victim))
    assert 5 * TICKS not in {frame.timestamp for frame in frames if frame}


@every_codec
def test_the_start_of_a_keyframe_is_known_from_its_payload_alone(codec: str) -> None:
    starts = VIDEO[codec].starts_keyframe
    units = encoded(codec)
    for unit in units:
        parts = payloads(codec, unit.data, 1200)
        assert starts(parts[0]) == unit.keyframe
        assert not (starts(parts[-1]) and len(parts) > 1)
    assert not starts(b"")


@every_codec
def test_a_frame_past_the_bound_is_given_up(codec: str) -> None:
    taker = depacketizer(codec)
    giant = payloads(codec, GIANT[codec], 60_000)
    refused = 0
    for index, payload in enumerate(giant):
        try:
            assert taker.push(payload, 0, index == len(giant) - 1, index > 0) is None
        except ValueError:
            refused += 1
    assert refused == 1
    units = encoded(codec)
    later = [p._replace(timestamp=p.timestamp + TICKS) for p in sent(codec, units, 1200)]
    assert len(received(taker, later)) == len(units)


@every_codec
@settings(max_examples=150, deadline=None)
@given(
    garbage=st.lists(
        st.tuples(st.binary(max_size=40), st.integers(0, 3), st.booleans(), st.booleans()),
        max_size=12,
    )
)
def test_garbage_raises_nothing_but_value_error(
    codec: str, garbage: list[tuple[bytes, int, bool, bool]]
) -> None:
    taker = depacketizer(codec)
    for payload, timestamp, marker, contiguous in garbage:
        VIDEO[codec].starts_keyframe(payload)
        with suppress(ValueError):
            taker.push(payload, timestamp, marker, contiguous)
    _still_works(codec, taker)


@every_codec
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_payloads_raise_nothing_but_value_error(codec: str, data: st.DataObject) -> None:
    packets = sent(codec, encoded(codec), 333)
    taker = depacketizer(codec)
    start = data.draw(st.integers(0, len(packets) - 10))
    for packet in packets[start : start + 10]:
        at = data.draw(st.integers(0, 12))
        end = data.draw(st.integers(0, 400))
        byte = bytes([data.draw(st.integers(0, 255))])
        payload = (packet.payload[:at] + byte + packet.payload[at + 1 :])[:end]
        VIDEO[codec].starts_keyframe(payload)
        with suppress(ValueError):
            taker.push(payload, packet.timestamp, packet.marker, True)
    _still_works(codec, taker)


def _still_works(codec: str, taker: VideoDepacketizer) -> None:
    units = encoded(codec)
    later = [p._replace(timestamp=p.timestamp + (1 << 40)) for p in sent(codec, units, 1200)]
    frames = [frame for frame in received(taker, later) if frame.timestamp >= 1 << 40]
    # The first may touch what was broken; the last is held where the garbage made the marker lie.
    mine = [frame.data for frame in frames if 0 < (frame.timestamp - (1 << 40)) // TICKS < 11]
    assert mine == [canonical(codec, unit.data) for unit in units[1:11]]


class _Datagrams:
    """What FFmpeg's RTP muxer writes, a datagram a time."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.sent.append(bytes(data))
        return len(data)


@every_codec
@kept_priority()
def test_streams_packetized_by_ffmpeg_come_out_whole(codec: str) -> None:
    units, sink = encoded(codec), _Datagrams()
    options = {"packetsize": "700", "strict": "-2"}
    with av.open(sink, "w", format="rtp", options=options, buffer_size=65_536) as muxer:
        stream = muxer.add_stream(ENCODERS[codec], rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for index, unit in enumerate(units):
            packet = av.Packet(unit.data)
            packet.stream, packet.time_base = stream, fractions.Fraction(1, 30)
            packet.pts = packet.dts = index
            packet.is_keyframe = unit.keyframe
            muxer.mux(packet)
    reports = [rtcp.parse(data) for data in sink.sent if rtcp.is_rtcp(data)]
    packets = [parse(data) for data in sink.sent if not rtcp.is_rtcp(data)]
    stream_packets = [Sent(p.payload, p.timestamp, p.marker, 0) for p in packets]
    frames = received(depacketizer(codec), stream_packets)
    assert [f.data for f in frames] == [canonical(codec, unit.data) for unit in units]
    assert [f.keyframe for f in frames] == [unit.keyframe for unit in units]
    report = reports[0][0]
    assert isinstance(report, rtcp.SenderReport)
    assert report.ssrc == packets[0].ssrc
    assert (
        abs(report.rtp_timestamp - packets[0].timestamp) < 9000
    )  # the muxer reads its clock twice
