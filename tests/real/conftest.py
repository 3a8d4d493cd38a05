"""What the tests on real parts share: the files that Chromium takes for camera and microphone."""

from pathlib import Path

import pytest

from tests.harness.media.content import Content, write_wav, write_y4m

CONTENT = Content(seconds=20)


@pytest.fixture(scope="session")
def devices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A camera of 15 frames a second that shows their numbers, a microphone that beeps."""
    folder = tmp_path_factory.mktemp("devices")
    camera, microphone = folder / "camera.y4m", folder / "microphone.wav"
    write_y4m(camera, CONTENT)
    write_wav(microphone, CONTENT)
    return camera, microphone
