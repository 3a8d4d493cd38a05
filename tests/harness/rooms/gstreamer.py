"""Publishes H.265 or Opus by GStreamer, in a process of the system's Python."""

import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from tests.harness.rooms.publishing_process import publishing

PYTHON = "/usr/bin/python3"
PROCESS = Path(__file__).with_name("gstreamer_process.py")
_ELEMENTS = ("webrtcbin", "nicesrc", "x265enc", "h265parse", "rtph265pay", "y4mdec")


def missing() -> str:
    """What GStreamer lacks here to publish H.265; "" where nothing is missing."""
    program = (
        "import gi; gi.require_version('GstWebRTC', '1.0'); gi.require_version('Gst', '1.0');"
        "from gi.repository import Gst, GstWebRTC; Gst.init(None);"
        f"print(*[e for e in {_ELEMENTS} if not Gst.ElementFactory.find(e)])"
    )
    try:
        done = subprocess.run(
            [PYTHON, "-c", program], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError as error:
        return str(error)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()[-200:]


@contextlib.asynccontextmanager
async def gstreamer(url: str, file: Path, parameters: str = "") -> AsyncIterator[None]:
    """Publish a file until the context ends: y4m as H.265, *parameters* of x265, each with its
    colon; WAV as Opus.

    Raises RuntimeError with what it said where it cannot publish.
    """
    async with publishing(PYTHON, str(PROCESS), url, str(file), parameters):
        yield
