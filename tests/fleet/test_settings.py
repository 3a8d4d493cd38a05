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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a.b"}, r"fleet\.name: got 'a\.b'; allowed: 1 to 64 letters"),
        ({"zone": "*"}, r"fleet\.zone"),
        ({"bucket": ""}, r"fleet\.bucket"),
        ({"servers": ("http://u:hidden@x",)}, r"fleet\.servers: got 'http://…'; allowed: nats://"),
        ({"tls_cert": "x"}, r"fleet\.tls_cert"),
        ({"copies_access_key": "hidden"}, r"fleet\.copies: got 'one key'; allowed: copies_access"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        FleetSettings(**fields)  # type: ignore[arg-type]
