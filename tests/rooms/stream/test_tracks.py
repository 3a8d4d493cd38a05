"""What is taken of a container: codecs as they are, other audio transcoded, the rest refused."""

import base64
import itertools
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from slicer.rooms.frames import EncodedFrame
from slicer.rooms.stream.tracks import Tracks, find_tracks
from slicer.rooms.stream.transcoder import Transcoder
from slicer.rtp.parameters import OPUS, PCMA, PCMU, VP8, Codec, Kind
from tests.harness.media.content import Encoding
from tests.harness.media.video import decoded
from tests.harness.rooms.streams import SHORT, write_file
from tests.harness.rtp.packetize import annexb


def read(path: Path) -> tuple[Tracks, list[EncodedFrame], Counter[str]]:
    counters: Counter[str] = Counter()
    with av.open(str(path)) as container:
        tracks = find_tracks(container, counters)
        frames = [
            frame
            for packet in container.demux()
            if packet.dts is not None and packet.stream_index in tracks.by_index
            for frame in tracks.by_index[packet.stream_index].frames(packet)
        ]
    return tracks, frames, counters


@pytest.mark.parametrize("suffix", ["flv", "mp4", "mkv", "ts"])
def test_h264_comes_as_a_byte_stream_that_decodes(tmp_path: Path, suffix: str) -> None:
    path = write_file(tmp_path / f"a.{suffix}", encoding=Encoding("h264", None, gop=10))
    tracks, frames, counters = read(path)
    assert tracks.codecs[Kind.VIDEO].name == "h264"
    assert counters == {}
    assert len(frames) == SHORT.frames
    steps = [later.timestamp - one.timestamp for one, later in itertools.pairwise(frames)]
    assert set(steps) == {9000}
    # By the decoder's own count, and each keyframe by itself.
    assert len(decoded("h264", [frame.data for frame in frames])) == SHORT.frames
    assert len(decoded("h264", [frames[20].data])) == 1
    kinds = [nal[0] & 31 for nal in annexb(frames[20].data)]
    assert {7, 8, 5} <= set(kinds)


def test_parameter_sets_that_only_the_description_has_go_along(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.ts", encoding=Encoding("h264", None))
    tracks, _, _ = read(path)
    sets = [base64.b64decode(one) for one in tracks.codecs[Kind.VIDEO].parameter_sets.split(",")]
    assert [nal[0] & 31 for nal in sets] == [7, 8]


def test_opus_and_vp8_go_through_as_they_are(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.mkv", encoding=Encoding("vp8", "opus"))
    tracks, frames, _ = read(path)
    assert tracks.codecs == {Kind.AUDIO: OPUS, Kind.VIDEO: VP8}
    assert tracks.refused == []
    with av.open(str(path)) as container:
        packets = [bytes(one) for one in container.demux() if one.dts is not None]
    assert [frame.data for frame in frames] == packets


@pytest.mark.parametrize(
    ("encoder", "rate", "layout", "codec"),
    [
        ("pcm_mulaw", 8000, "mono", PCMU),
        ("pcm_alaw", 8000, "mono", PCMA),
        ("pcm_alaw", 16_000, "mono", OPUS),
        ("pcm_mulaw", 8000, "stereo", OPUS),
        ("libmp3lame", 44_100, "stereo", OPUS),
    ],
)
def test_audio_is_copied_or_becomes_opus(
    tmp_path: Path, encoder: str, rate: int, layout: str, codec: Codec
) -> None:
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = layout
        size = stream.codec_context.frame_size or rate // 50
        for number in range(rate // size):
            samples = np.zeros((1, size * stream.codec_context.layout.nb_channels), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            frame.sample_rate, frame.pts = rate, number * size
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    tracks, frames, counters = read(path)
    (track,) = tracks.by_index.values()
    assert track.codec is codec
    assert isinstance(track, Transcoder) == (codec is OPUS)
    span = frames[-1].timestamp - frames[0].timestamp
    assert span / codec.clock_rate == pytest.approx(1, abs=0.13)
    assert counters == {}


def test_what_cannot_be_taken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    made = write_file(tmp_path / "b.mkv", encoding=Encoding("vp9", "opus"))
    with av.open(str(made)) as source, av.open(str(path), "w") as container:
        outputs = [container.add_stream_from_template(one) for one in source.streams]
        container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = outputs[packet.stream_index]
                container.mux(packet)
    tracks, _, _ = read(path)
    assert tracks.codecs == {Kind.AUDIO: OPUS}
    assert tracks.refused == [
        (Kind.VIDEO, "vp9 cannot be taken"),
        (Kind.AUDIO, "a second audio track: the first one is taken"),
    ]


def test_a_packet_without_a_time_is_counted(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.mkv", encoding=Encoding("vp8", None))
    counters: Counter[str] = Counter()
    with av.open(str(path)) as container:
        (track,) = find_tracks(container, counters).by_index.values()
        packet = next(container.demux())
        packet.pts = None
        assert list(track.frames(packet)) == []
    assert counters == {"no_timestamp": 1}


@pytest.mark.parametrize("suffix", ["mp4", "ts", "flv"])
def test_h265_comes_as_a_byte_stream_that_decodes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    texture = np.random.default_rng(1).integers(0, 255, (128, 160, 3), np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error"}
        stream = container.add_stream("libx265", rate=10, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, number, 1), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    tracks, frames, counters = read(path)
    assert tracks.codecs[Kind.VIDEO].name == "h265"
    assert len(decoded("h265", [frame.data for frame in frames])) == 6
    assert all(annexb(frame.data) for frame in frames)
    assert counters == {}
