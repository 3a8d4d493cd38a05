"""GStreamer's RTSP server, which plays a file to whoever asks: a process of the system's Python."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness.rooms.gstreamer_elements import PYTHON, lacking

PROCESS = Path(__file__).with_name("rtsp_server_process.py")
_ELEMENTS = ("matroskademux", "h264parse", "rtph264pay", "opusparse", "rtpopuspay")


def missing() -> str:
    """What GStreamer lacks here; "" where nothing is missing."""
    return lacking(_ELEMENTS, ("GstRtspServer",))


@contextlib.contextmanager
def rtsp_server(file: Path, user: str = "", password: str = "") -> Iterator[int]:
    """Serve a Matroska file of H.264 and Opus at `/ada`, to this user where one is given; the port.

    Raises RuntimeError where it cannot.
    """
    process = subprocess.Popen(
        [PYTHON, str(PROCESS), str(file), user, password], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError(f"the RTSP server ended: {line}")
        yield int(line)
    finally:
        process.kill()
        process.communicate()
