"""nginx and Traefik in front of a service, as `samples/` set them: API, console, rooms."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from slicer.api.signature import Message
from tests.harness.rooms.server_process import free_ports
from tests.harness.rooms.whip_client import Tone, publish_peer
from tests.harness.service.api import HEADERS, answer_of, authorize, seed
from tests.harness.service.customer import (
    KEY,
    KEY_ID,
    SECRETS,
    bucket,
    configuration,
    usersig,
)
from tests.harness.service.proxies import Front, Upstream, nginx, traefik
from tests.harness.service.serve import serve

Proxy = Callable[[Path, Upstream], AbstractAsyncContextManager[Front]]

TOKEN = "token-of-an-operator"
NOWHERE = "http://127.0.0.1:9"
"""Takes no callbacks, and is no store: neither is looked at here."""
AUDIO_FILE = 5_000_000
"""Bytes; in Base64 the largest request that the API takes."""


async def ask(client: httpx.AsyncClient, action: str, body: dict[str, object]) -> dict[str, object]:
    """Ask the API as TRTC's clients do: the Host that the proxy was called by is signed."""
    content = json.dumps(body).encode()
    now = int(time.time())
    headers = {
        "content-type": "application/json",
        "host": client.base_url.netloc.decode(),
        "x-tc-action": action,
        "x-tc-timestamp": str(now),
        **{name.lower(): value for name, value in HEADERS.items()},
    }
    message = Message("POST", "/", "", headers, content)
    headers["authorization"] = authorize(message, now, KEY_ID, KEY)
    return answer_of(await client.post("/", content=content, headers=headers))


async def publish(client: httpx.AsyncClient, user: str) -> None:
    """Publish into the room, and leave by the URL that the answer gives."""
    client.headers["authorization"] = f"Bearer {usersig(user)}"
    url = str(client.base_url.join(f"/whip/150/{user}"))
    session = await publish_peer(client, url, [Tone()])
    assert session.url.startswith(url)
    left = await client.delete(session.url)
    assert left.status_code == 200
    await session.close()
    del client.headers["authorization"]


async def watch(client: httpx.AsyncClient) -> None:
    """Log in to the console; its first events come while the connection is open."""
    ours = {"sec-fetch-site": "same-origin", "origin": str(client.base_url).rstrip("/")}
    assert (await client.get("/console/")).status_code == 200
    credentials = {"token": TOKEN, "name": "Mara"}
    done = await client.post("/console/api/login", json=credentials, headers=ours)
    assert done.status_code == 200, done.text
    assert "Secure" in done.headers["set-cookie"]
    async with client.stream("GET", "/console/api/live", headers=ours) as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        async with asyncio.timeout(20):
            async for line in live.aiter_lines():
                if line.startswith("data:"):
                    break
            else:
                raise AssertionError("it ended without an event")


@pytest.mark.parametrize("proxy", [nginx, traefik], ids=["nginx", "traefik"])
async def test_all_that_is_asked_of_a_service_passes_its_proxy(
    proxy: Proxy, tmp_path: Path
) -> None:
    (rooms,) = free_ports(1)
    settings = configuration(rooms, NOWHERE, tmp_path, NOWHERE)
    secrets = SECRETS | {"SLICER_CONSOLE_TOKEN": TOKEN}
    async with (
        serve(settings, tmp_path, secrets=secrets) as served,
        proxy(tmp_path, Upstream(served.port, rooms)) as front,
        front.client() as client,
    ):
        order = seed("CreateCloudSliceTask") | {
            "UserSig": usersig("inspect"),
            "SliceStorageParams": {"CloudSliceStorage": bucket("none")},
        }
        created = await ask(client, "CreateCloudSliceTask", order)
        assert "TaskId" in created, created
        await publish(client, "ada")
        await watch(client)
        judged = await ask(
            client,
            "CreateAudioModerationSync",
            seed("CreateAudioModerationSync")
            | {"Sdkappid": order["SdkAppId"], "FileContent": "A" * (AUDIO_FILE * 4 // 3)},
        )
        assert "Error" in judged, "the API itself has looked at it: it is no WAV file"
