"""Tencent's two Python SDKs, each in a process of its own: both install the same module."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("sdk_program.py")
# SDK → the folder that holds it, where it is not installed beside us.
SDKS: Mapping[str, Path | None] = {"trtc": None, "intl-en": Path(sys.prefix) / "sdk-intl"}


@dataclass(frozen=True)
class Sdk:
    """How the SDK is set, and where it calls."""

    port: int
    name: str = "trtc"
    id: str = ""
    key: str = ""
    region: str = "ap-singapore"
    method: str = "POST"
    sign: str = "TC3-HMAC-SHA256"
    unsigned_payload: bool = False

    async def call(self, *calls: tuple[str, str]) -> Sequence[Mapping[str, Any]]:
        """Make these calls, each an action and a body in JSON, one after the other.

        An answer holds beside what came when it was `called` and `returned`, in UTC milliseconds.
        """
        told = {
            "endpoint": f"127.0.0.1:{self.port}",
            "id": self.id,
            "key": self.key,
            "region": self.region,
            "method": self.method,
            "sign": self.sign,
            "unsigned_payload": self.unsigned_payload,
            "calls": calls,
        }
        folder = SDKS[self.name]
        environment = os.environ | {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(folder or "")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        out, err = await process.communicate(json.dumps(told).encode())
        assert process.returncode == 0, err.decode()
        answers: Sequence[Mapping[str, Any]] = json.loads(out)
        return answers
