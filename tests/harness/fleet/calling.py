"""Requests to a copy of the API that runs as a process, and what has to come before questions to a
worker."""

import asyncio
import json
from typing import Any

import httpx

from slicer.fleet.bus import Bus
from tests.harness.service.api import HEADERS


async def call(port: int, action: str, body: dict[str, object]) -> dict[str, Any]:
    """The answer to a request; the server trusts whoever asks."""
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = HEADERS | {"X-TC-Action": action, "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{port}/"
        answer = await client.post(url, headers=headers, content=json.dumps(body), timeout=20)
    found: dict[str, Any] = answer.json()["Response"]
    return found


async def hear(bus: Bus, worker: str) -> None:
    """Wait for a worker's heartbeat: it says which process of it is to be asked."""
    come = asyncio.Event()
    hear_no_more = await bus.hear_beats(lambda _: come.set(), worker)
    await asyncio.wait_for(come.wait(), 20)
    await hear_no_more()
