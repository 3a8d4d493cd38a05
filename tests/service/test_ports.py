"""Which ports the settings name, and two servers on one."""

import pytest

from slicer.engine.settings import Settings
from slicer.errors import BadInput
from slicer.metrics.settings import MetricsSettings
from slicer.rooms.whip.settings import WhipSettings
from slicer.service.applications import Application
from slicer.service.ports import Port, check_ports, ports, room_ports
from slicer.service.settings import ServeSettings, ServiceSettings


def app(number: int, *urls: str) -> Application:
    rooms = tuple((f"{index}*", url) for index, url in enumerate(urls))
    return Application(number, rooms=rooms)


ROOMS = (
    app(1, "whip://127.0.0.1:8080/a-{room}", "whep://sfu.example/{room}"),
    app(2, "whip://127.0.0.1:8080/b-{room}", "whip://[::1]:9464/{room}"),
)


def settings(**fields: object) -> ServiceSettings:
    whip = WhipSettings(udp="127.0.0.1:7000", tcp="127.0.0.1:7001")
    serve = ServeSettings(health="127.0.0.1:8089")
    given = {"engine": Settings(whip=whip), "serve": serve, "apps": ROOMS} | fields
    return ServiceSettings(**given)  # type: ignore[arg-type]


def test_every_port_is_found() -> None:
    found = settings(metrics=MetricsSettings("127.0.0.1:9464"))
    check_ports(found)
    assert [(one.field, str(one)) for one in (*ports(found), *room_ports(found))] == [
        ("serve.port", "127.0.0.1:8088"),
        ("serve.health", "127.0.0.1:8089"),
        ("metrics.listen", "127.0.0.1:9464"),
        ("whip.tcp", "127.0.0.1:7001"),
        ("apps[0].rooms[0].url", "127.0.0.1:8080"),
        ("apps[1].rooms[1].url", "[::1]:9464"),
    ]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"metrics": MetricsSettings("127.0.0.1:8088")},
            "metrics.listen: got '127.0.0.1:8088'; allowed: another port than that of serve.port, "
            "127.0.0.1:8088",
        ),
        (
            {"serve": ServeSettings(port=8080)},
            "apps[0].rooms[0].url: got '127.0.0.1:8080'; allowed: another port than that of "
            "serve.port, 127.0.0.1:8080",
        ),
        (
            {"metrics": MetricsSettings("[::]:9464")},
            "apps[1].rooms[1].url: got '[::1]:9464'; allowed: another port than that of "
            "metrics.listen, [::]:9464",
        ),
        (
            {"serve": ServeSettings(health="localhost:7001")},
            "whip.tcp: got '127.0.0.1:7001'; allowed: another port than that of serve.health, "
            "localhost:7001",
        ),
    ],
)
def test_two_servers_on_one_port_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_ports(settings(**fields))
    assert str(refused.value) == says


def test_what_meets() -> None:
    here = Port("a", "127.0.0.1", 80)
    assert here.meets(Port("b", "0.0.0.0", 80))
    assert not here.meets(Port("b", "127.0.0.2", 80))
    assert not here.meets(Port("b", "127.0.0.1", 81))
    assert not Port("a", "127.0.0.1", 0).meets(Port("b", "127.0.0.1", 0))
    assert not here.meets(Port("b", "slicer.example", 80))
