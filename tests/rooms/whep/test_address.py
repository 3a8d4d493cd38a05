"""The address of a room on a WHEP server."""

import pytest

from slicer.errors import BadInput
from slicer.rooms import parse_room
from slicer.rooms.whep.address import WhepAddress


def test_a_fixed_list() -> None:
    at = WhepAddress.parse(parse_room("whep://media.example:8889/live/a?anchors=ada,bob,ada"))
    assert (at.server, at.host, at.port) == ("http://media.example:8889", "media.example", 8889)
    assert (at.room, at.anchors) == ("live/a", ("ada", "bob"))
    assert at.anchor_url("ada") == "http://media.example:8889/live/a/ada/whep"
    assert (at.list_url, at.api_url, at.authorization) == ("", "", "")


def test_a_list_and_an_endpoint_of_its_own() -> None:
    url = "wheps://media.example/r?list=/who%3Froom=r&endpoint=/whep/{anchor}%3Froom={room}"
    at = WhepAddress.parse(parse_room(url))
    assert (at.server, at.port) == ("https://media.example", 443)
    assert at.list_url == "https://media.example/who?room=r"
    assert at.anchor_url("a@b") == "https://media.example/whep/a%40b?room=r"


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("whep://h:8889/r?mediamtx=9997", "http://h:9997"),
        ("whep://[::1]:8889/r?mediamtx=9997", "http://[::1]:9997"),
        ("whep://h:8889/r?mediamtx=http://10.0.0.2:9997/", "http://10.0.0.2:9997"),
    ],
)
def test_the_api_of_mediamtx(url: str, api: str) -> None:
    assert WhepAddress.parse(parse_room(url)).api_url == api


def test_credentials_are_sent_and_never_shown() -> None:
    at = WhepAddress.parse(parse_room("whep://h/r?anchors=a&bearer=s3cret"))
    assert at.authorization == "Bearer s3cret"
    assert "s3cret" not in repr(at)
    at = WhepAddress.parse(parse_room("whep://me:pass%40word@h/r?anchors=a"))
    assert at.authorization == "Basic bWU6cGFzc0B3b3Jk"
    assert (at.server, at.port) == ("http://h", 80)
    with pytest.raises(BadInput) as refused:
        WhepAddress.parse(parse_room("whep://me:s3cret@h/r?bearer=s3cret"))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("whep:///r?anchors=a", "HOST"),
        ("whep://h/?anchors=a", "ROOM"),
        ("whep://h/../r?anchors=a", "ROOM"),
        ("whep://h/r", "here are 0"),
        ("whep://h/r?anchors=a&list=/l", "here are 2"),
        ("whep://h/r?anchors=..", "letters|A-Z"),
        ("whep://h/r?anchors=a&colour=red", "'colour'"),
        ("whep://h/r?list=http://other/l", "list: a path"),
        ("whep://h/r?list=//other/l", "list: a path"),
        ("whep://h/r?mediamtx=0", "mediamtx"),
        ("whep://h/r?mediamtx=ftp://h", "mediamtx"),
        ("whep://h/r?anchors=a&endpoint=whep", "endpoint"),
        ("whep://h/r?anchors=a&endpoint=/whep", "endpoint"),
    ],
)
def test_what_can_be_no_room(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        WhepAddress.parse(parse_room(url))
