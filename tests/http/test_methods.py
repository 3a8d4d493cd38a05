"""One resource: every method answered, and `Allow` complete wherever it stands."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from slicer.http import resource
from slicer.http.methods import application


async def told(request: Request) -> Response:
    return PlainTextResponse(request.method)


APP = Starlette(
    routes=[
        resource("/read", {"GET": told}),
        resource("/write/{name}", {"POST": told, "DELETE": told}, {"Accept-Post": "text/plain"}),
    ]
)
READ, WRITE = "GET, HEAD, OPTIONS", "DELETE, OPTIONS, POST"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(APP)
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/read"), ("POST", "/write/a"), ("DELETE", "/write/a")]
)
async def test_what_it_has(client: httpx.AsyncClient, method: str, path: str) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.text) == (200, method)


async def test_head_is_answered_by_get(client: httpx.AsyncClient) -> None:
    assert (await client.head("/read")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/read", READ), ("DELETE", "/read", READ), ("QUERY", "/read", READ),
        ("GET", "/write/a", WRITE), ("HEAD", "/write/a", WRITE), ("PATCH", "/write/a", WRITE),
        ("get", "/write/a", WRITE),
    ],
)  # fmt: skip
async def test_what_it_has_not(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)


async def test_options(client: httpx.AsyncClient) -> None:
    read, write = await client.options("/read"), await client.options("/write/a")
    assert (read.status_code, read.headers["allow"]) == (204, READ)
    assert (write.status_code, write.headers["allow"]) == (204, WRITE)
    assert write.headers["accept-post"] == "text/plain"


async def test_another_path(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).status_code == 404


async def test_a_slash_too_many_is_another_path_and_leads_nowhere() -> None:
    transport = httpx.ASGITransport(application([resource("/read", {"GET": told})]))
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        assert (await client.get("/read")).status_code == 200
        response = await client.get("/read/")
    assert (response.status_code, "location" in response.headers) == (404, False)
