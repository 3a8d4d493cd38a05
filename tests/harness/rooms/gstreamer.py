"""Publishes H.265 or Opus by GStreamer, in a process of the system's Python."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.harness.rooms.gstreamer_elements import PYTHON, lacking
from tests.harness.rooms.publishing_process import publishing

PROCESS = Path(__file__).with_name("gstreamer_process.py")
_ELEMENTS = ("webrtcbin", "nicesrc", "x265enc", "h265parse", "rtph265pay", "y4mdec")


def missing() -> str:
    """What GStreamer lacks here to publish H.265; "" where nothing is missing."""
    return lacking(_ELEMENTS, ("GstWebRTC",))


@contextlib.asynccontextmanager
async def gstreamer(url: str, file: Path, parameters: str = "") -> AsyncIterator[None]:
    """Publish a file until the context ends: y4m as H.265, *parameters* of x265, each with its
    colon; WAV as Opus.

    Raises RuntimeError with what it said where it cannot publish.
    """
    async with publishing(PYTHON, str(PROCESS), url, str(file), parameters):
        yield
