"""Who may have something changed, and what every answer says."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from slicer.console.guard import HEADERS, from_other_site, from_our_page, guarded, is_ours


def request(**headers: str) -> Request:
    given = {"host": "here:8088"} | {name.replace("_", "-"): text for name, text in headers.items()}
    raw = [(name.encode(), text.encode()) for name, text in given.items()]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-origin", "origin": "http://here:8088"}, True),
        ({"origin": "http://here:8088"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "same-origin", "origin": "http://there:8088"}, False),
        ({"origin": "http://here:9"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[", "sec_fetch_site": "same-origin"}, False),
        ({}, False),
    ],
)
def test_what_comes_from_our_page(headers: dict[str, str], ours: bool) -> None:
    assert from_our_page(request(**headers)) is ours


@pytest.mark.parametrize(("site", "other"), [("cross-site", True), ("none", False)])
def test_what_another_site_asks_for(site: str, other: bool) -> None:
    assert from_other_site(request(sec_fetch_site=site)) is other
    assert not from_other_site(request())


@pytest.mark.parametrize(
    ("authority", "ours"),
    [
        ("127.0.0.1:8088", True),
        ("192.0.2.7", True),
        ("[::1]:8088", True),
        ("LocalHost:8088", True),
        ("Console.Example", True),
        ("evil.example:8088", False),
        ("localhost.evil.example", False),
        ("console.example@evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_which_hosts_are_ours(authority: str, ours: bool) -> None:
    assert is_ours(authority, {"console.example"}) is ours


def test_every_answer_has_its_headers() -> None:
    async def cached(_: Request) -> Response:
        return Response("x", headers={"Cache-Control": "no-cache"})

    async def plain(_: Request) -> Response:
        return Response("x")

    app = Starlette(routes=[Route("/cached", cached), Route("/plain", plain)])
    client = TestClient(guarded(app, {"testserver"}))
    for path, cache in (("/cached", "no-cache"), ("/plain", "no-store"), ("/no", "no-store")):
        headers = client.get(path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS
        assert headers["cache-control"] == cache
    refused = client.get("/plain", headers={"host": "rebound.example:8088"})
    assert refused.status_code == 421
    assert "got 'rebound.example:8088'; allowed: an address" in refused.json()["reason"]
    assert {name: refused.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
