"""The page's requests: who may ask, what is answered, and what is done."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from slicer.console.console import Console
from slicer.console.guard import CSRF_HEADER, HEADERS
from slicer.console.live import MAX_PAGES
from slicer.console.requests import MAX_BODY
from slicer.console.sessions import MAX_TOLD, TRIES
from slicer.engine.operation import WaitingSlice
from slicer.moderation import Label, Suggest
from slicer.rtp.parameters import Kind
from tests.harness.clock import settle
from tests.harness.console.staged import TOKEN, Stage, console, served, webhook

OURS = {"sec-fetch-site": "same-origin"}
URL = "http://console.test"


@asynccontextmanager
async def browser(opened: Console, url: str = URL) -> AsyncIterator[httpx.AsyncClient]:
    """A browser's requests, without a session."""
    transport = httpx.ASGITransport(Starlette(routes=opened.routes), client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=OURS) as client:
        yield client


async def log_in(client: httpx.AsyncClient, name: str = "Mara") -> httpx.Response:
    response = await client.post("/console/api/login", json={"token": TOKEN, "name": name})
    assert response.status_code == 200
    client.headers[CSRF_HEADER] = response.json()["csrf"]
    return response


async def audited(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    entries = (await client.get("/console/api/audit")).json()
    return [(one["who"], one["what"]) for one in entries]


READ = ["live", "tasks/t", "fleet", "health", "waiting", "audit", "../media/x"]
CHANGED = ["logout", "again", "drop"]


async def test_nothing_is_told_without_a_session(tmp_path: Path) -> None:
    async with console(tmp_path) as (_, opened), browser(opened) as client:
        for path in READ:
            response = await client.get(f"/console/api/{path}")
            assert response.status_code == 401, path
            assert response.headers["cache-control"] == "no-store"
        for path in CHANGED:
            assert (await client.post(f"/console/api/{path}")).status_code == 401, path
        page = await client.get("/console/")
        assert page.status_code == 200
        assert {name: page.headers[name] for name in HEADERS} == HEADERS
        assert (await client.get("/console/static/main.js")).status_code == 200
        assert (await client.get("/console/static/token")).status_code == 404
        assert (await client.get("/console")).headers["location"] == "console/"


async def test_a_login_and_its_cookie(tmp_path: Path) -> None:
    async with console(tmp_path) as (_, opened), browser(opened) as client:
        response = await log_in(client)
        cookie = response.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=strict", "Path=/console"):
            assert part in cookie
        assert "Secure" not in cookie, "this one speaks no TLS"
        assert TOKEN not in cookie + response.text
        session = (await client.get("/console/api/session")).json()
        token = client.headers[CSRF_HEADER]
        assert session == {"name": "Mara", "csrf": token, "fleet": False}
        assert (await client.get("/console/api/fleet")).status_code == 404
        out = await client.post("/console/api/logout")
        assert out.headers["clear-site-data"] == '"cache"'
        assert (await client.get("/console/api/session")).json() == {
            "name": "",
            "csrf": "",
            "fleet": False,
        }
        await log_in(client, "Bo")
        assert await audited(client) == [
            ("Bo (192.0.2.7)", "login"),
            ("Mara (192.0.2.7)", "logout"),
            ("Mara (192.0.2.7)", "login"),
        ]


async def test_a_cookie_over_tls_is_for_tls_alone(tmp_path: Path) -> None:
    async with console(tmp_path) as (_, opened):
        async with browser(opened, "https://console.test") as client:
            assert "Secure" in (await log_in(client)).headers["set-cookie"]
        async with browser(opened) as client:
            client.headers["x-forwarded-proto"] = "https"
            assert "Secure" in (await log_in(client)).headers["set-cookie"]


async def test_wrong_tokens_are_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with console(tmp_path) as (_, opened), browser(opened) as client:
        wrong = {"token": "a-token-that-is-wrong"}
        for _ in range(TRIES):
            assert (await client.post("/console/api/login", json=wrong)).status_code == 401
        for _ in range(MAX_TOLD):
            refused = await client.post("/console/api/login", json=wrong)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
        for body in (b"", b"[]", b"{", b'{"token": 1}', b"x" * (MAX_BODY + 1)):
            response = await client.post("/console/api/login", content=body)
            assert response.status_code == 400
        await log_in(client)  # the right one always enters
        told = [one for one in await audited(client) if one[1] == "login refused"]
        assert told == [("somebody (192.0.2.7)", "login refused")] * MAX_TOLD
    assert "wrong token from 192.0.2.7" in caplog.text
    assert "too many wrong tokens from 192.0.2.7" in caplog.text
    assert wrong["token"] not in caplog.text


@pytest.mark.parametrize("site", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil"}])
async def test_other_sites_get_and_do_nothing(site: dict[str, str], tmp_path: Path) -> None:
    async with console(tmp_path) as (stage, opened), browser(opened) as client:
        await log_in(client)
        for path in ("login", *CHANGED):
            response = await client.post(f"/console/api/{path}", json={}, headers=site)
            assert response.status_code == 403, path
        if "sec-fetch-site" in site:
            assert (await client.get("/console/api/health", headers=site)).status_code == 403
        no_csrf = {CSRF_HEADER: "another"}
        again = {"what": "slices"}
        response = await client.post("/console/api/again", json=again, headers=no_csrf)
        assert response.status_code == 403
        assert stage.done == []


async def test_what_waits_is_tried_again_and_dropped(tmp_path: Path) -> None:
    async with console(tmp_path) as (stage, opened), browser(opened) as client:
        stage.slices = [WaitingSlice("t/a.jpg", "t", "ready", "s3://b", 10, 0, True)]
        stage.callbacks = [webhook(0, 1, "502")]
        await log_in(client)
        waiting = (await client.get("/console/api/waiting")).json()
        assert waiting["slices"][0]["key"] == "t/a.jpg"
        assert (await client.get("/console/api/health")).json()["callbacks"]["waiting"] == 1
        for what in ("slices", "callbacks"):
            response = await client.post("/console/api/again", json={"what": what})
            assert response.json() == {"count": 1}
        for what, identity in (("slice", "t/a.jpg"), ("callback", "message-0")):
            body = {"what": what, "id": identity}
            assert (await client.post("/console/api/drop", json=body)).status_code == 200
            assert (await client.post("/console/api/drop", json=body)).status_code == 409
        for wrong in ({}, {"what": "task", "id": "t"}, {"what": "slice", "id": 7}):
            assert (await client.post("/console/api/drop", json=wrong)).status_code == 400
        assert (await client.post("/console/api/again", json={})).status_code == 400
        reason = "dropped by an operator: Mara (192.0.2.7)"
        assert stage.done[:4] == [
            ("slices again",),
            ("callbacks again",),
            ("drop slice", "t/a.jpg", reason),
            ("drop slice", "t/a.jpg", reason),
        ]
        assert ("Mara (192.0.2.7)", "drop callback") in await audited(client)


async def test_a_time_line_and_its_files(tmp_path: Path) -> None:
    async with console(tmp_path) as (stage, opened), browser(opened) as client:
        await log_in(client)
        await client.get("/console/api/health")  # somebody looks
        stage.begin("t", "150")
        stage.join("t", "ada")
        await settle()
        kept = stage.make("t", "ada", b"picture")
        stage.judge(kept, Suggest.REVIEW, Label.QR_CODE, 71)
        audio = stage.make("t", "ada", b"0123456789", Kind.AUDIO)
        stage.store(audio)
        await settle()
        answer = (await client.get("/console/api/tasks/t")).json()
        assert answer["task"]["room"] == "150"
        picture, audio = answer["slices"]
        assert (picture["kind"], picture["verdict"]["label"]) == ("video", "QRCode")
        assert (audio["state"], audio["size"]) == ("stored", 10)
        found = await client.get(f"/console/media/{picture['id']}")
        assert (found.content, found.headers["content-type"]) == (b"picture", "image/jpeg")
        assert found.headers["x-content-type-options"] == "nosniff"
        part = await client.get(f"/console/media/{audio['id']}", headers={"range": "bytes=2-4"})
        assert (part.status_code, part.content) == (206, b"234")
        assert (await client.get("/console/media/unknown")).status_code == 404
        assert (await client.get("/console/api/tasks/unknown")).status_code == 404
        stage.views.clear()
        assert (await client.get("/console/api/tasks/t")).json()["task"] is None


async def test_a_file_that_a_folder_has_is_read_there(tmp_path: Path) -> None:
    async with console(tmp_path, memory=0) as (stage, opened), browser(opened) as client:
        await log_in(client)
        stage.begin("t", "150")
        stage.join("t", "ada")
        await settle()
        info = stage.make("t", "ada", b"picture")
        place = tmp_path / "out" / info.key
        place.parent.mkdir(parents=True)
        place.write_bytes(b"picture")
        (one,) = (await client.get("/console/api/tasks/t")).json()["slices"]
        assert (await client.get(f"/console/media/{one['id']}")).status_code == 404, "not stored"
        stage.store(info, (tmp_path / "out").as_uri())
        await settle()
        assert (await client.get(f"/console/media/{one['id']}")).content == b"picture"


async def test_the_wall_comes_as_events_over_a_real_server(tmp_path: Path) -> None:
    async with served(tmp_path) as (stage, url), httpx.AsyncClient(headers=OURS) as client:
        login = await client.post(f"{url}api/login", json={"token": TOKEN})
        assert login.status_code == 200
        async with client.stream("GET", f"{url}api/live") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.aiter_lines()
            told = await _data(lines, "wall")
            assert told == {"whole": True, "tiles": [], "gone": []}
            stage.begin("t", "150")
            stage.join("t", "ada")
            (tile,) = (await _data(lines, "wall"))["tiles"]
            assert (tile["anchor"], tile["room"], tile["audio"]) == ("ada", "150", True)


async def _data(lines: AsyncIterator[str], event: str) -> dict[str, Any]:
    """The data of the next event of this name."""
    async for line in lines:
        if line == f"event: {event}":
            return json.loads((await anext(lines)).removeprefix("data: "))  # type: ignore[no-any-return]
    raise AssertionError("the stream has ended")


async def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    async with console(tmp_path) as (_, opened), browser(opened) as client:
        await log_in(client)
        opened.live.pages = MAX_PAGES
        response = await client.get("/console/api/live")
        assert (response.status_code, response.headers["retry-after"]) == (503, "10")
        assert opened.live.refused == 1
        opened.live.pages = 0


def test_the_stage_is_like_the_operations() -> None:
    """What stands in for them has every method, so that no test passes by one that is not there."""
    from slicer.service.operations import Operations

    public = {name for name in vars(Operations) if not name.startswith("_")}
    assert public <= set(dir(Stage))
