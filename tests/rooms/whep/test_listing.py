"""Who is in a room on a WHEP server."""

import pytest
from starlette.responses import JSONResponse, Response

from slicer.errors import RoomError
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer


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
            "more than 10000 paths",
        ),
    ],
)
async def test_a_list_that_is_none(
    server: WhepServer, robot: Visitor, options: str, broken: Response, words: str
) -> None:
    server.broken = broken
    with pytest.raises(RoomError, match=words):
        await robot.enter(server.url(options.format(port=server.port)))
