"""Content keeps its frame numbers and beeps through files, codecs, scaling and JPEG."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from tests.harness.media.content import (
    AMBER,
    Content,
    Encoding,
    Painter,
    encode,
    find_beeps,
    is_grey,
    read_frame_number,
    read_pictures,
    write_wav,
    write_y4m,
)

CONTENT = Content(Painter(AMBER), seconds=2)
CASES = [("vp8", "a.webm"), ("vp9", "a.webm"), ("h264", "a.mp4"), ("h264", "a.mkv")]


@pytest.mark.parametrize(("video", "name"), CASES)
def test_every_frame_is_read_back_at_300_kbit(tmp_path: Path, video: str, name: str) -> None:
    encode(tmp_path / name, CONTENT, Encoding(video, video_rate=300_000))
    pictures = list(read_pictures(tmp_path / name))
    assert [read_frame_number(picture) for picture in pictures] == list(range(30))
    assert not any(is_grey(picture) for picture in pictures)


@pytest.mark.parametrize("video", ["vp8", "h264"])
def test_every_frame_is_read_back_scaled_down_by_the_sender(tmp_path: Path, video: str) -> None:
    small = Content(Painter(width=480, height=270), seconds=2)
    encode(tmp_path / "a.mkv", small, Encoding(video, video_rate=100_000))
    numbers = [read_frame_number(picture) for picture in read_pictures(tmp_path / "a.mkv")]
    assert numbers == list(range(30))


@pytest.mark.parametrize("quality", [2, 31])
def test_the_number_survives_jpeg(tmp_path: Path, quality: int) -> None:
    path = tmp_path / "a.jpg"
    picture = CONTENT.painter.draw(9_999)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("mjpeg", rate=1, options={"qmin": str(quality)})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuvj420p"
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (read,) = read_pictures(path)
    assert read_frame_number(read) == 9_999


@pytest.mark.parametrize(("video", "name"), CASES[:1] + CASES[2:3])
def test_the_group_length_is_kept_and_nothing_is_reordered(
    tmp_path: Path, video: str, name: str
) -> None:
    encode(tmp_path / name, CONTENT, Encoding(video, gop=10))
    with av.open(str(tmp_path / name)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keyframes = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    assert keyframes == [0, 10, 20]
    assert all(packet.pts == packet.dts for packet in packets)


def test_h264_is_constrained_baseline(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", CONTENT, Encoding("h264"))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.profile == "Constrained Baseline"
        assert container.streams.audio[0].layout.name == "stereo"


def test_beeps_in_a_file_are_where_they_were_made(tmp_path: Path) -> None:
    encode(tmp_path / "a.mkv", CONTENT, Encoding(video=None))
    with av.open(str(tmp_path / "a.mkv")) as container:
        audio = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    # The first beep begins with the file's first sample and is out of the finder's sight.
    assert find_beeps(audio) == pytest.approx([1], abs=3e-4)


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_one_kind_alone(tmp_path: Path, kind: str) -> None:
    encoding = Encoding(video=None) if kind == "audio" else Encoding(audio=None)
    encode(tmp_path / "a.webm", CONTENT, encoding)
    with av.open(str(tmp_path / "a.webm")) as container:
        assert [stream.type for stream in container.streams] == [kind]


@pytest.mark.parametrize(("video", "name"), CASES[:1] + CASES[2:3])
def test_the_same_content_is_the_same_file(tmp_path: Path, video: str, name: str) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        encode(tmp_path / folder / name, Content(CONTENT.painter, 1), Encoding(video))
    assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_files_for_a_browser(tmp_path: Path) -> None:
    write_y4m(tmp_path / "a.y4m", CONTENT)
    numbers = [read_frame_number(picture) for picture in read_pictures(tmp_path / "a.y4m")]
    assert numbers == list(range(30))
    write_wav(tmp_path / "a.wav", CONTENT)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (48_000, 2, 96_000)
        both = np.frombuffer(file.readframes(96_000), np.int16).reshape(-1, 2)
    assert np.array_equal(both[:, 0], CONTENT.audio)
    assert np.array_equal(both[:, 1], CONTENT.audio)
