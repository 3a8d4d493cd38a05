"""The settings of a fleet."""

import pytest

from slicer.errors import BadInput
from slicer.fleet.settings import FleetSettings


def test_a_fleet_is_named() -> None:
    settings = FleetSettings(("nats://a:4222", "tls://b:4222"), "worker-1", "zone_a")
    assert settings.bucket == "slicer"
    hidden = FleetSettings(
        password="hidden", copies_access_key="hidden", copies_secret_key="hidden"
    )
    assert "hidden" not in repr(hidden)


NOWHERE = (
    "w1.example",
    "ftp://w1.example",
    "https://",
    "https://user:hidden@w1.example",
    "https://w1.example?x=1",
    "https://w1.example/#x",
    "https://w1.example/../x/",
    "https://w1.example/x y",
    "https://w1.example\r\nX: y",
    "https://" + "w" * 600,
)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8080", "https://w1.example/a/b", "https://[::1]:1"]
)
def test_addresses_that_publishers_may_be_led_to(url: str) -> None:
    assert FleetSettings(rooms=url).rooms == url


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a.b"}, r"fleet\.name: got 'a\.b'; allowed: 1 to 64 letters"),
        ({"zone": "*"}, r"fleet\.zone"),
        ({"bucket": ""}, r"fleet\.bucket"),
        ({"servers": ("http://u:hidden@x",)}, r"fleet\.servers: got 'http://…'; allowed: nats://"),
        ({"tls_cert": "x"}, r"fleet\.tls_cert"),
        *(({"rooms": url}, r"fleet\.rooms: got .*; allowed: https://HOST:PORT") for url in NOWHERE),
        ({"copies_access_key": "hidden"}, r"fleet\.copies: got 'one key'; allowed: copies_access"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        FleetSettings(**fields)  # type: ignore[arg-type]
