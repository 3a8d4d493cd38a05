"""The sample anchors hold what samples/README.md says of them."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.harness.content import find_beeps, read_frame_number, read_pictures

SAMPLES = Path(__file__).parents[2] / "samples"
CASES = [("anchor-blue.webm", "vp8", "blue"), ("anchor-amber.mp4", "h264", "red")]


@pytest.mark.parametrize(("name", "codec", "colour"), CASES)
def test_a_sample_is_as_described(name: str, codec: str, colour: str) -> None:
    path = SAMPLES / name
    assert path.stat().st_size <= 700_000
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == codec
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, 360, 15))
    assert all(packet.pts == packet.dts for packet in packets)
    pictures = list(read_pictures(path))
    assert [read_frame_number(picture) for picture in pictures] == list(range(360))
    assert pictures[0][10, 320].argmax() == ("red", "green", "blue").index(colour)


@pytest.mark.parametrize("name", [name for name, _, _ in CASES])
def test_a_sample_beeps_each_second(name: str) -> None:
    with av.open(str(SAMPLES / name)) as container:
        assert container.streams.audio[0].layout.name == "stereo"
        # As many packets as fill the pictures' time: laid end to end, rounds do not stumble.
        assert sum(packet.size > 0 for packet in container.demux(audio=0)) == 24 * 50
    with av.open(str(SAMPLES / name)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    # The first beep begins with the file's first sample and is out of the finder's sight.
    assert find_beeps(sound) == pytest.approx(range(1, 24), abs=5e-4)
