"""Publishes by libwebrtc outside a browser: Node.js and the package @roamhq/wrtc."""

import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from tests.harness.rooms.publishing_process import publishing
from tests.harness.rooms.whip_muxer import STARTED

PROGRAM = Path(__file__).with_name("libwebrtc.mjs")
FOLDER = Path(__file__).parents[3] / "build" / "libwebrtc"
"""Where `tests/install-system.sh` puts the package."""


def missing() -> str:
    """Why it cannot be run here; "" where it can."""
    if shutil.which("node") is None:
        return "no node"
    program = f"require('node:module').createRequire('{FOLDER}/')('@roamhq/wrtc')"
    done = subprocess.run(
        ["node", "-e", program], capture_output=True, text=True, check=False, timeout=60
    )
    return "" if done.returncode == 0 else "no package @roamhq/wrtc that loads"


Way = Literal["", "relay", "tcp", "restart"]


@contextlib.asynccontextmanager
async def libwebrtc(url: str, file: Path, way: Way = "") -> AsyncIterator[None]:
    """Publish a file until the context ends: WAV (16 bit, stereo, 48 kHz), its left channel, as
    Opus; y4m, again and again, as VP8.

    *way*: by the TURN servers that the endpoint names alone, by ICE-TCP alone, or with a restart of
    ICE, after which another pair is used. Raises RuntimeError with what it said where it cannot
    publish.
    """
    command = ("node", str(PROGRAM), str(FOLDER), url, str(file), way)
    async with publishing(*command, started="restarted" if way == "restart" else STARTED):
        yield
