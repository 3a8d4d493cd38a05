"""Publishes by libwebrtc outside a browser: Node.js and the package @roamhq/wrtc."""

import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from tests.harness.rooms.publishing_process import publishing

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


@contextlib.asynccontextmanager
async def libwebrtc(url: str, file: Path) -> AsyncIterator[None]:
    """Publish a file until the context ends: WAV (16 bit, stereo, 48 kHz), its left channel, as
    Opus; y4m, again and again, as VP8.

    Raises RuntimeError with what it said where it cannot publish.
    """
    async with publishing("node", str(PROGRAM), str(FOLDER), url, str(file)):
        yield
