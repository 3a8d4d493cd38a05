"""The samples hold what samples/README.md says of them."""

from pathlib import Path

import av
import numpy as np
import pytest

from slicer import AudioSpec, Credentials, Engine, SliceParams, TaskSpec, VideoSpec
from slicer.service.settings import ServiceSettings
from slicer.storage import open_storage
from tests.harness.media.content import find_beeps, read_frame_number, read_pictures
from tests.harness.media.slices import decode_ogg, mono, read_picture

SAMPLES = Path(__file__).parents[3] / "samples"
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
        audio = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    # The first beep begins with the file's first sample and is out of the finder's sight.
    assert find_beeps(audio) == pytest.approx(range(1, 24), abs=5e-4)


async def test_the_capture_is_sliced_as_described(tmp_path: Path) -> None:
    params = SliceParams(AudioSpec(5), VideoSpec(2))
    spec = TaskSpec(
        f"replay://{SAMPLES / 'chromium-vp8.rtpdump'}?speed=max", tmp_path.as_uri(), params
    )
    async with Engine() as engine:
        finished = await engine.finished(await engine.create(spec))
    assert (finished.stored, finished.lost) == (9, 0)
    pictures = [read_picture(path.read_bytes()) for path in sorted(tmp_path.rglob("*.png"))]
    assert {read_frame_number(picture) for picture in pictures} == {82, 94, 124, 155, 185, 215}
    assert {picture.shape for picture in pictures} == {(180, 320, 3)}
    files = [mono(decode_ogg(path.read_bytes())) for path in sorted(tmp_path.rglob("*.ogg"))]
    assert [len(audio) for audio in files] == [240_000, 240_000, 95_040]
    beeps = [index * 5 + beep for index, audio in enumerate(files) for beep in find_beeps(audio)]
    assert len(beeps) == 12
    assert np.allclose(beeps, beeps[0] + np.arange(12), atol=0.001)


@pytest.mark.parametrize("name", ["folder.toml", "s3.toml", "serve.toml", "signed.toml"])
def test_a_configuration_is_ready(name: str) -> None:
    secrets = {
        "signed.toml": {"SLICER_USERSIG_KEY": "0" * 64},
        "serve.toml": {"SLICER_APP_1400000001_CALLBACK_KEY": "0" * 32},
    }
    settings = ServiceSettings.load(SAMPLES / name, secrets.get(name, {}))
    assert settings != ServiceSettings()
    if settings.engine.storage.url:
        assert open_storage(settings.engine.storage.url, Credentials("id", "key")).label
