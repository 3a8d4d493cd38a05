"""The address of a room of ours: one for one room, however it is written."""

from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput
from slicer.rooms.whip.address import RoomAddress


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("whip://127.0.0.1:8080/r", RoomAddress("127.0.0.1", 8080, "r")),
        ("WHIP://LocalHost:8080/r", RoomAddress("127.0.0.1", 8080, "r")),
        ("whip://[::1]:0/r", RoomAddress("::1", 0, "r")),
        ("whip://[0:0:0:0:0:0:0:1]:0/r", RoomAddress("::1", 0, "r")),
        ("whip://[2001:DB8::0:A]:1/r", RoomAddress("2001:db8::a", 1, "r")),
    ],
)
def test_one_spelling(url: str, address: RoomAddress) -> None:
    assert RoomAddress.parse(urlsplit(url)) == address


@pytest.mark.parametrize(
    "url", ["whip://h:1/r", "whip://127.0.0.1/r", "whip://127.0.0.1:1/r/s", "whip://127.0.0.1:1/."]
)
def test_what_is_none(url: str) -> None:
    with pytest.raises(BadInput, match="whip://HOST:PORT/ROOM") as refused:
        RoomAddress.parse(urlsplit(url))
    assert refused.value.field == "room"
