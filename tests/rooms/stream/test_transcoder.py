"""Audio of other codecs to Opus: every sample at its place, and at a new one where audio lacks."""

import itertools
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from slicer.media import ogg
from slicer.rooms.frames import EncodedFrame
from slicer.rooms.stream.transcoder import FRAME, Transcoder
from slicer.slicing.outputs import AudioPacket
from tests.harness.media.content import Encoding, find_beeps
from tests.harness.media.slices import decode_ogg, mono
from tests.harness.rooms.streams import write_file

RATE = 48_000


def transcoded(
    path: Path, skip: range = range(0), junk: int = 0
) -> tuple[list[EncodedFrame], Counter[str]]:
    """A file's audio; of its packets those of *skip* are missing, and one, *junk*, is damaged."""
    counters: Counter[str] = Counter()
    frames: list[EncodedFrame] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        transcoder = Transcoder(stream, counters)
        damaged = av.Packet(b"\xff\xf1" + bytes(20))
        damaged.stream = stream
        for number, packet in enumerate(container.demux(stream)):
            if number not in skip and packet.dts is not None:
                frames += transcoder.frames(damaged if junk and number == junk else packet)
    return frames, counters


def steps(frames: list[EncodedFrame]) -> list[int]:
    return [later.timestamp - one.timestamp for one, later in itertools.pairwise(frames)]


def played(frames: list[EncodedFrame]) -> list[float]:
    """The seconds at which beeps are heard, by the frames' timestamps."""
    first = frames[0].timestamp
    packets = [AudioPacket(one.timestamp - first, FRAME, one.data) for one in frames]
    end = packets[-1].timestamp + FRAME
    samples = mono(decode_ogg(ogg.write(packets, 0, end)))
    return [at + first / RATE for at in find_beeps(np.asarray(samples).reshape(-1))]


@pytest.mark.parametrize(("suffix", "delay"), [("flv", 1024), ("ts", 1024), ("mp4", 0)])
def test_beeps_stay_where_they_were(tmp_path: Path, suffix: str, delay: int) -> None:
    """*delay*: what the encoder of AAC puts ahead, in samples, where the container does not say."""
    path = write_file(tmp_path / f"a.{suffix}", encoding=Encoding(None, "aac", audio_rate=128_000))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.time_base is not None
        zero = float((stream.start_time or 0) * stream.time_base) + delay / RATE
    frames, counters = transcoded(path)
    assert set(steps(frames)) == {FRAME}
    assert [at - zero for at in played(frames)][:3] == pytest.approx([0, 1, 2], abs=0.001)
    assert counters == {}


def test_where_audio_lacks_the_rest_stays_at_its_place(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.ts", encoding=Encoding(None, "aac", audio_rate=128_000))
    frames, counters = transcoded(path, skip=range(60, 80))
    (hole,) = [step for step in steps(frames) if step != FRAME]
    assert hole / RATE == pytest.approx(20 * 1024 / RATE, abs=0.05)
    assert counters == {"audio_restarted": 1}
    whole, _ = transcoded(path)
    assert frames[-1].timestamp == pytest.approx(whole[-1].timestamp, abs=2 * FRAME)


def test_what_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.ts", encoding=Encoding(None, "aac"))
    frames, counters = transcoded(path, junk=50)
    assert counters["undecodable_audio"] == 1
    assert len(frames) > 150
