"""GStreamer's RTSP server, which plays a file to whoever asks: a process of the system's Python."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness.rooms.gstreamer import PYTHON

PROCESS = Path(__file__).with_name("rtsp_server_process.py")
_ELEMENTS = ("matroskademux", "h264parse", "rtph264pay", "opusparse", "rtpopuspay")


def missing() -> str:
    """What GStreamer lacks here; "" where nothing is missing."""
    program = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        f"print(*[e for e in {_ELEMENTS} if not Gst.ElementFactory.find(e)])"
    )
    try:
        done = subprocess.run(
            [PYTHON, "-c", program], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError as error:
        return str(error)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()[-200:]


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
