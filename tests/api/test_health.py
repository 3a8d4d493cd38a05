"""Health: beside the API and behind a door of its own, which load on the API leaves open."""

import asyncio

import httpx
import pytest

from slicer.api import Listen, make_app, open_health, open_server
from slicer.errors import BadInput
from slicer.http import HttpSettings
from tests.harness.service.api import APP, Recorder


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_methods_beside_the_api(path: str) -> None:
    transport = httpx.ASGITransport(make_app({200806: APP}, Recorder()))
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405)):
            response = await client.request(method, path)
            assert response.status_code == status
            if status in (204, 405):
                assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_door_of_its_own() -> None:
    reason = ""
    server = open_health("127.0.0.1:0", lambda: reason)
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.port}"
        alive = await client.get(f"{url}/healthz")
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
        assert (await client.get(f"{url}/readyz")).json() == {"status": "ready"}
        reason = "the bus: no server is there"
        busy = await client.get(f"{url}/readyz")
        assert (busy.status_code, busy.json()) == (503, {"status": "busy", "reason": reason})
        # Nothing else is behind it.
        assert (await client.post(f"{url}/", content=b"{}")).status_code == 404
    await server.close()


async def test_it_is_open_while_the_api_has_no_place_left() -> None:
    api = await open_server(
        make_app({200806: APP}, Recorder()),
        Listen("127.0.0.1", 0),
        # All that other descriptors leave is reserved: nothing is accepted.
        http=HttpSettings(reserve=1.0),
    )
    health = open_health("127.0.0.1:0", lambda: "")
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://127.0.0.1:{api.port}/healthz")
        assert (await client.get(f"http://127.0.0.1:{health.port}/healthz")).status_code == 200
    await api.close()
    await health.close()


async def test_its_own_idle_connections_do_not_silence_it() -> None:
    health = open_health("127.0.0.1:0", lambda: "")
    opened = [await asyncio.open_connection("127.0.0.1", health.port) for _ in range(100)]
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{health.port}/healthz")).status_code == 200
    for _, writer in opened:
        writer.close()
    await health.close()


async def test_an_address_that_cannot_be() -> None:
    other = open_health("127.0.0.1:0", lambda: "")
    with pytest.raises(BadInput, match=r"serve\.health: got .*Address already in use"):
        open_health(f"127.0.0.1:{other.port}", lambda: "")
    await other.close()
    with pytest.raises(BadInput, match=r"serve\.health: got '8090'; allowed: HOST:PORT"):
        open_health("8090", lambda: "")
