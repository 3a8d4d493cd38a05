"""The address of a room of Janus: what a URL says, what the settings add, and what is refused."""

from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput
from slicer.rooms.janus.address import Carrier, JanusAddress
from slicer.rooms.janus.settings import JanusSettings

DEFAULTS = JanusSettings()


def parse(url: str, settings: JanusSettings = DEFAULTS) -> JanusAddress:
    return JanusAddress.parse(urlsplit(url), settings)


@pytest.mark.parametrize(
    ("url", "websocket", "http"),
    [
        ("janus://sfu.example/r", "ws://sfu.example:8188/", "http://sfu.example:8088/janus"),
        ("januss://sfu.example/r", "wss://sfu.example:8989/", "https://sfu.example:8089/janus"),
        ("janus://[::1]:1/r?path=/a/b", "ws://[::1]:1/a/b", "http://[::1]:1/a/b"),
    ],
)
def test_both_ways_to_janus(url: str, websocket: str, http: str) -> None:
    address = parse(url)
    assert address.carriers == (Carrier.WEBSOCKET, Carrier.HTTP)
    assert (address.url(Carrier.WEBSOCKET), address.url(Carrier.HTTP)) == (websocket, http)


def test_one_way_alone() -> None:
    assert parse("janus://h/r?transport=http").carriers == (Carrier.HTTP,)


def test_the_room_is_any_text() -> None:
    assert parse("janus://h/a%20room%3F").room == "a room?"


def test_what_the_url_says_comes_before_the_settings() -> None:
    settings = JanusSettings(api_secret="a", token="b", pin="c")
    of_settings, of_url = (
        parse("janus://h/r", settings),
        parse("janus://h/r?token=t&pin=", settings),
    )
    assert (dict(of_settings.credentials), of_settings.pin) == (
        {"apisecret": "a", "token": "b"},
        "c",
    )
    assert (dict(of_url.credentials), of_url.pin) == ({"apisecret": "a", "token": "t"}, "")
    assert "'a'" not in repr(of_settings)


@pytest.mark.parametrize(
    "url",
    [
        "janus://h/",
        "janus:///r",
        "janus://h/a/b",
        "janus://h/r%2Fs",
        "janus://h/r%00",
        "janus://h/" + 129 * "r",
        "janus://me:pass@h/r",
        "janus://h/r#there",
        "janus://h/r?transport=carrier-pigeon",
        "janus://h/r?path=janus",
        "janus://h/r?path=/a?b",
        "janus://h/r?pin=1&pin=2",
        "janus://h/r?pen=1",
    ],
)
def test_what_is_no_room(url: str) -> None:
    with pytest.raises(BadInput, match=r"janus://HOST|option") as refused:
        parse(url)
    assert refused.value.field == "room"


def test_a_refusal_shows_no_secret() -> None:
    with pytest.raises(BadInput) as refused:
        parse("janus://me:pass@h/r?pin=1234&token=abc")
    assert not {"pass@", "1234", "abc"} & set(str(refused.value).replace("=", " ").split())
    assert "1234" not in str(refused.value)
