"""Reading what was written: frames, due times, lengths."""

import os
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from bench.peers.capture import FRAMES
from bench.peers.outputs import Harvest, count, frame_number, inspect, place, unwrap
from tests.harness.media.picture import Painter

BEGIN = 1_700_000_000.0


def write_picture(path: Path, frame: int, time: float) -> None:
    rgb = Painter().draw(frame)
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width, encoder.pix_fmt = *rgb.shape[:2], "rgb24"
    packets = encoder.encode(av.VideoFrame.from_ndarray(np.asarray(rgb), "rgb24"))
    path.write_bytes(b"".join(map(bytes, packets)))
    os.utime(path, (time, time))


def write_sound(path: Path, seconds: float, time: float) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(int(seconds * 48_000) * 4))
    os.utime(path, (time, time))


@pytest.mark.parametrize(
    ("frame", "due", "late"), [(0, 0, 0.0), (30, 0, 1.0), (149, 1, -1 / 30), (180, 1, 1.0)]
)
def test_a_frame_belongs_to_the_nearest_due_time(frame: int, due: int, late: float) -> None:
    found = place(frame)
    assert found[0] == due
    assert found[1] == pytest.approx(late)


def test_frame_numbers_are_counted_on() -> None:
    assert unwrap([0, 150, 450, 10, 140, 599, 1]) == [
        0,
        150,
        450,
        FRAMES + 10,
        FRAMES + 140,
        FRAMES + 599,
        2 * FRAMES + 1,
    ]


def test_a_picture_out_of_order_is_no_new_round() -> None:
    assert unwrap([300, 299, 301]) == [300, 299, 301]


def test_what_is_no_picture_has_no_number(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    assert frame_number(path) is None


def test_pictures_are_held_against_their_due_times(tmp_path: Path) -> None:
    for number, (frame, after) in enumerate([(0, 0.1), (160, 5.5), (470, 16.0)]):
        write_picture(tmp_path / f"picture-{number}.png", frame, BEGIN + after)
    (tmp_path / "picture-9.png").write_bytes(b"no picture")
    found = Harvest()
    inspect(tmp_path, BEGIN, BEGIN + 20.0, found)
    assert [(one.frame, round(one.late, 3), round(one.landed, 3)) for one in found.pictures] == [
        (0, 0.0, 0.1),
        (160, 0.333, 0.5),
        (470, 0.667, 1.0),
    ]
    assert (found.pictures_due, found.missed, found.unreadable, found.repeated) == (4, 1, 1, 0)
    assert found.kinds == {".png"}


def test_two_pictures_of_one_due_time_are_one_too_many(tmp_path: Path) -> None:
    write_picture(tmp_path / "picture-0.png", 150, BEGIN)
    write_picture(tmp_path / "picture-1.png", 151, BEGIN)
    found = Harvest()
    inspect(tmp_path, BEGIN, BEGIN + 4.0, found)
    assert found.repeated == 1


def test_whole_sound_files_are_measured_the_last_one_is_not(tmp_path: Path) -> None:
    write_sound(tmp_path / "audio-0.wav", 15.0, BEGIN + 15.08)
    write_sound(tmp_path / "audio-1.wav", 14.0, BEGIN + 29.98)
    write_sound(tmp_path / "audio-2.wav", 1.0, BEGIN + 31.0)
    found = Harvest()
    inspect(tmp_path, BEGIN, BEGIN + 31.0, found)
    assert found.sounds == [15.0, 14.0]
    assert found.sounds_landed == pytest.approx([0.1, 0.0], abs=1e-5)


def test_pictures_are_counted_within_the_window(tmp_path: Path) -> None:
    for number in range(4):
        write_picture(tmp_path / f"{number}.png", number, BEGIN + number)
    (tmp_path / "empty.png").touch()
    assert count([tmp_path], BEGIN + 1, BEGIN + 3) == 2
