"""Publishes H.265 by GStreamer, in a process of the system's Python, which has its bindings."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from tests.harness.rooms.whip_muxer import STARTED

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
    """Publish a y4m file until the context ends; *parameters* of x265, each with its colon.

    Raises RuntimeError with what it said where it cannot publish.
    """
    process = await asyncio.create_subprocess_exec(
        PYTHON, str(PROCESS), url, str(file), parameters,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = b""
        while STARTED.encode() not in said:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            if not line:
                raise RuntimeError(f"GStreamer ended: {said.decode(errors='replace')}")
            said += line
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
