"""The HTTP face of WHIP, over sessions that only write down what they are asked."""

from collections.abc import AsyncIterator

import httpx
import pytest

from slicer.errors import (
    BadInput,
    LimitReached,
    RoomError,
    TaskNotExist,
    Unauthorized,
)
from slicer.rooms.whip.endpoint import FRAGMENT, SDP, Published, WhipApp
from slicer.webrtc.sdp import parse

MAX_BODY = 1000
OFFER = "v=0\r\n"


class Written:
    """Sessions that answer as a test wants."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.error: Exception | None = None
        self.restarts = self.restartable = False
        self.refused = "wrong"

    def authorize(self, room: str, user: str, bearer: str | None) -> None:
        self.calls.append(("authorize", room, user, bearer))
        if bearer == self.refused:
            raise Unauthorized("signature: expired")

    async def publish(self, room: str, user: str, offer: str, address: str) -> Published:
        if self.error is not None:
            raise self.error
        self.calls.append(("publish", room, user, offer, address))
        return Published("s1", '"e1"', "v=0 answer")

    def etag(self, room: str, user: str, session: str) -> str:
        if session != "s1":
            raise TaskNotExist("no such session")
        return '"e1"'

    async def trickle(self, session: str, fragment: str) -> bool:
        self.calls.append(("trickle", session, fragment))
        return not self.restarts

    async def restart(self, session: str, fragment: str) -> tuple[str, str] | None:
        self.calls.append(("restart", session, fragment))
        return ('"e2"', "a=ice-lite") if self.restartable else None

    async def unpublish(self, session: str) -> None:
        self.calls.append(("unpublish", session))


@pytest.fixture
def sessions() -> Written:
    return Written()


@pytest.fixture
async def client(sessions: Written) -> AsyncIterator[httpx.AsyncClient]:
    app = WhipApp(sessions, "https://page.example", MAX_BODY).app
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://room") as client:
        yield client


async def post(client: httpx.AsyncClient, **changed: str) -> httpx.Response:
    headers = {"Content-Type": changed.pop("type", SDP)}
    if "bearer" in changed:
        headers["Authorization"] = changed.pop("bearer")
    path = changed.pop("path", "/whip/r1/ann")
    return await client.post(path, content=changed.pop("body", OFFER), headers=headers)


def problem(response: httpx.Response, status: int) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == status
    assert isinstance(said, dict)
    return said


async def test_publish(client: httpx.AsyncClient, sessions: Written) -> None:
    response = await post(client, bearer="Bearer token")
    assert response.status_code == 201
    assert response.text == "v=0 answer"
    assert response.headers["content-type"] == SDP
    assert response.headers["location"] == "ann/s1"
    assert response.headers["etag"] == '"e1"'
    assert response.headers["accept-patch"] == FRAGMENT
    authorized = ("authorize", "r1", "ann", "token")
    assert sessions.calls == [authorized, authorized, ("publish", "r1", "ann", OFFER, "127.0.0.1")]


@pytest.mark.parametrize("prefix", ["", "/media", "/a/b"])
async def test_the_session_is_found_below_any_prefix(
    client: httpx.AsyncClient, prefix: str
) -> None:
    """A proxy maps a path of its own to ours, and changes no header."""
    location = (await post(client)).headers["location"]
    outside = httpx.URL(f"https://proxy.example{prefix}/whip/r1/ann").join(location)
    assert outside == f"https://proxy.example{prefix}/whip/r1/ann/s1"
    assert (await client.delete(outside.path.removeprefix(prefix))).status_code == 200


async def test_a_slash_too_many_is_no_redirect(client: httpx.AsyncClient) -> None:
    problem(await post(client, path="/whip/r1/ann/"), 404)


async def test_a_room_that_changes_hands_while_the_offer_comes(
    client: httpx.AsyncClient, sessions: Written
) -> None:
    async def offer() -> AsyncIterator[bytes]:
        yield b"v=0"
        sessions.refused = "good"

    headers = {"Content-Type": SDP, "Authorization": "Bearer good"}
    problem(await client.post("/whip/r1/ann", content=offer(), headers=headers), 401)
    assert "publish" not in [call[0] for call in sessions.calls]


async def test_a_content_type_may_have_parameters(client: httpx.AsyncClient) -> None:
    assert (await post(client, type="Application/SDP; charset=utf-8")).status_code == 201


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("sdp", "m=", "m=kind port"), 400),
        (BadInput("media", ["video: no codec of ours: H263/90000"], "opus"), 422),
        (TaskNotExist("no task slices room 'r1'"), 404),
        (LimitReached("500 publishers are here already"), 503),
        (RoomError("no address"), 503),
    ],
)
async def test_errors_of_sessions(
    client: httpx.AsyncClient, sessions: Written, error: Exception, status: int
) -> None:
    sessions.error = error
    response = await post(client)
    said = problem(response, status)
    assert said["detail"] == str(error)
    assert ("retry-after" in response.headers) is (status == 503)
    if isinstance(error, BadInput):
        assert (said["field"], said["got"], said["allowed"]) == (
            error.field,
            error.got,
            error.allowed,
        )


async def test_a_wrong_bearer(client: httpx.AsyncClient, sessions: Written) -> None:
    response = await post(client, bearer="Bearer wrong")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "wrong" not in str(problem(response, 401))
    assert len(sessions.calls) == 1


@pytest.mark.parametrize(
    ("given", "taken"), [("bearer  t1 ", "t1"), ("Basic dTpw", None), ("", None)]
)
async def test_which_bearer_is_read(
    client: httpx.AsyncClient, sessions: Written, given: str, taken: str | None
) -> None:
    await post(client, bearer=given)
    assert sessions.calls[0] == ("authorize", "r1", "ann", taken)


async def test_a_foreign_content_type(client: httpx.AsyncClient) -> None:
    problem(await post(client, type="application/json"), 415)
    response = await client.post("/whip/r1/ann", content=OFFER)
    problem(response, 415)


async def test_a_body_too_large(client: httpx.AsyncClient, sessions: Written) -> None:
    problem(await post(client, body="x" * (MAX_BODY + 1)), 413)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    headers = {"Content-Type": SDP}
    problem(await client.post("/whip/r1/ann", content=chunks(), headers=headers), 413)
    assert not [call for call in sessions.calls if call[0] == "publish"]
    assert (await post(client, body="x" * MAX_BODY)).status_code == 201


async def test_a_name_in_another_charset(client: httpx.AsyncClient, sessions: Written) -> None:
    """Cameras write theirs in Latin-1 or GBK, with or without saying so by a=charset."""
    offer = b"v=0\r\ns=cam\xe9ra \xc9\xe3\r\na=charset:ISO-8859-1\r\nm=audio 9 RTP/SAVPF 0\r\n"
    response = await client.post("/whip/r1/ann", content=offer, headers={"Content-Type": SDP})
    assert response.status_code == 201
    (taken,) = [call[3] for call in sessions.calls if call[0] == "publish"]
    assert isinstance(taken, str)
    assert parse(taken).sections[0].kind == "audio"


@pytest.mark.parametrize("user", ["a" * 65, "a%20b", "%00", "a$", "%2e", "%2E%2e"])
async def test_a_user_id_that_cannot_be(client: httpx.AsyncClient, user: str) -> None:
    assert problem(await post(client, path=f"/whip/r1/{user}"), 400)["field"] == "user"


async def test_user_ids_of_all_allowed_letters(client: httpx.AsyncClient) -> None:
    response = await post(client, path="/whip/r1/A-z_0.9@x")
    assert response.headers["location"] == "A-z_0.9@x/s1"


async def test_trickle(client: httpx.AsyncClient, sessions: Written) -> None:
    for match in ({}, {"If-Match": '"e1"'}, {"If-Match": '"e0", "e1"'}):
        response = await client.patch(
            "/whip/r1/ann/s1", content="a=x", headers={"Content-Type": FRAGMENT, **match}
        )
        assert response.status_code == 204
        assert sessions.calls[-1] == ("trickle", "s1", "a=x")


@pytest.mark.parametrize(
    ("session", "headers", "status"),
    [
        ("s1", {"Content-Type": FRAGMENT, "If-Match": '"e2"'}, 412),
        ("s1", {"Content-Type": SDP}, 415),
        ("s2", {"Content-Type": FRAGMENT}, 404),
        ("s1", {"Content-Type": FRAGMENT, "Authorization": "Bearer wrong"}, 401),
    ],
)
async def test_a_patch_that_is_refused(
    client: httpx.AsyncClient,
    sessions: Written,
    session: str,
    headers: dict[str, str],
    status: int,
) -> None:
    problem(await client.patch(f"/whip/r1/ann/{session}", content="", headers=headers), status)
    assert "trickle" not in [call[0] for call in sessions.calls]


async def test_an_ice_restart(client: httpx.AsyncClient, sessions: Written) -> None:
    sessions.restarts = True
    headers = {"Content-Type": FRAGMENT, "If-Match": "*"}
    response = await client.patch("/whip/r1/ann/s1", content="a=x", headers=headers)
    assert "publish again" in str(problem(response, 422)["detail"])
    sessions.restartable = True
    response = await client.patch("/whip/r1/ann/s1", content="a=x", headers=headers)
    assert (response.status_code, response.headers["etag"]) == (200, '"e2"')
    assert (response.headers["content-type"], response.text) == (FRAGMENT, "a=ice-lite")


async def test_delete(client: httpx.AsyncClient, sessions: Written) -> None:
    problem(await client.delete("/whip/r1/ann/s2"), 404)
    problem(await client.delete("/whip/r1/ann/s1", headers={"Authorization": "Bearer wrong"}), 401)
    assert (await client.delete("/whip/r1/ann/s1")).status_code == 200
    assert sessions.calls[-1] == ("unpublish", "s1")


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/whip/r1/ann", "OPTIONS, POST"), ("/whip/r1/ann/s1", "DELETE, OPTIONS, PATCH")],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "TRACE", "FOO"])
async def test_other_methods(client: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)


async def test_elsewhere_is_nothing(client: httpx.AsyncClient) -> None:
    problem(await client.get("/"), 404)


async def test_options(client: httpx.AsyncClient) -> None:
    endpoint = await client.options("/whip/r1/ann")
    assert endpoint.status_code == 204
    assert endpoint.headers["accept-post"] == SDP
    session = await client.options("/whip/r1/ann/s1")
    assert session.headers["accept-patch"] == FRAGMENT
    assert endpoint.headers["allow"] == "OPTIONS, POST"
    assert session.headers["allow"] == "DELETE, OPTIONS, PATCH"


async def test_preflight(client: httpx.AsyncClient) -> None:
    asked = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type,if-match",
    }
    allowed = await client.options("/whip/r1/ann/s1", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://page.example"
    assert "PATCH" in allowed.headers["access-control-allow-methods"]
    named = allowed.headers["access-control-allow-headers"].lower()
    assert all(name in named for name in ("authorization", "content-type", "if-match"))
    refused = await client.options("/whip/r1/ann", headers=asked | {"Origin": "https://evil"})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


async def test_a_page_may_read_what_it_needs(client: httpx.AsyncClient) -> None:
    for content_type, status in ((SDP, 201), ("text/plain", 415)):
        headers = {"Content-Type": content_type, "Origin": "https://page.example"}
        response = await client.post("/whip/r1/ann", content=OFFER, headers=headers)
        assert response.status_code == status
        exposed = response.headers["access-control-expose-headers"].lower()
        assert all(name in exposed for name in ("location", "etag", "link"))
