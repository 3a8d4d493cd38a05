"""Who is in a room on a WHEP server."""

import pytest
from starlette.responses import JSONResponse, Response

from slicer.errors import RoomError
from slicer.rooms import parse_room
from slicer.rooms.whep import listing
from slicer.rooms.whep.address import WhepAddress
from slicer.rooms.whep.client import Client
from slicer.rooms.whep.listing import listed, usable
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer
from tests.rooms.whep.conftest import QUICK


@pytest.mark.parametrize(
    ("options", "broken", "words"),
    [
        ("list=/list.json", Response("{}"), "no list of anchors"),
        ("list=/list.json", Response("<html>"), "no JSON"),
        ("mediamtx={port}", Response("[1]"), "not the API of MediaMTX"),
        ("mediamtx={port}", Response("", 500), "answers 500"),
        (
            "mediamtx={port}",
            JSONResponse({"pageCount": 10**9, "items": []}),
            "more than 300 paths",
        ),
    ],
)
async def test_a_list_that_is_none(
    server: WhepServer,
    robot: Visitor,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    broken: Response,
    words: str,
) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 3)
    server.broken = broken
    with pytest.raises(RoomError, match=words):
        await robot.enter(server.url(options.format(port=server.port)))


async def test_each_way_to_tell_who_is_there(server: WhepServer) -> None:
    """Each anchor once; of a server's paths those of the room alone that somebody publishes to."""
    client = Client("", QUICK)

    async def told(options: str) -> tuple[str, ...]:
        url = server.url(options.format(port=server.port))
        return await listed(WhepAddress.parse(parse_room(url)), client)

    server.anchors, server.page = ["ada", "bob", "ada"], 2
    assert await told("anchors=zoe,ada") == ("zoe", "ada")
    assert await told("list=/list.json") == ("ada", "bob")
    assert await told("mediamtx={port}") == ("ada", "bob")
    await server.stop()
    with pytest.raises(RoomError, match="cannot be asked"):
        await told("list=/list.json")
    await server.start()
    await client.close()


def test_a_name_becomes_a_part_of_a_path() -> None:
    assert [name for name in ("ada", "../x", "", "a/b") if usable(name)] == ["ada"]
