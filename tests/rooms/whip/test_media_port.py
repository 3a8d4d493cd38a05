"""The UDP port of publishers' media: as the settings say, shared, and refused by name."""

import socket

import pytest

from slicer.errors import BadInput, RoomError
from slicer.rooms.whip.media_port import MediaPorts
from slicer.rooms.whip.settings import WhipSettings
from tests.harness.clock import ManualClock

LOOPBACK = "127.0.0.1"


def ports(udp: str = "", advertise: tuple[str, ...] = ()) -> MediaPorts:
    return MediaPorts(WhipSettings(udp=udp, advertise=advertise), ManualClock())


def taken() -> tuple[socket.socket, int]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK, 0))
    return sock, sock.getsockname()[1]


async def test_each_server_has_a_port_of_its_own_unless_one_is_named() -> None:
    own = ports()
    assert own.open(LOOPBACK, 8_080).port != own.open(LOOPBACK, 8_081).port
    assert own.open(LOOPBACK, 8_080) is own.open(LOOPBACK, 8_080)
    own.close()
    shared = ports(f"{LOOPBACK}:0")
    assert shared.open(LOOPBACK, 8_080) is shared.open("::1", 8_081)
    shared.close()


async def test_the_named_port_is_bound() -> None:
    sock, number = taken()
    sock.close()
    named = ports(f"{LOOPBACK}:{number}", advertise=("203.0.113.9",))
    named.check()
    port = named.open(LOOPBACK, 8_080)
    assert port.port == number
    assert port.candidates.address == "203.0.113.9"
    named.check()  # ours
    assert named.counters.total() == 0
    named.close()


async def test_a_port_in_use_is_refused_at_the_start() -> None:
    sock, number = taken()
    named = ports(f"{LOOPBACK}:{number}")
    with pytest.raises(BadInput, match="Address already in use") as refused:
        named.check()
    assert refused.value.field == "whip.udp"
    with pytest.raises(RoomError, match=f"port {number}: Address already in use"):
        named.open(LOOPBACK, 8_080)
    sock.close()


async def test_an_address_that_is_not_ours_is_refused_at_the_start() -> None:
    with pytest.raises(BadInput, match="Cannot assign") as refused:
        ports("203.0.113.9:8189").check()
    assert refused.value.field == "whip.udp"


@pytest.mark.parametrize(
    "udp",
    ["8189", "host.example:8189", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:1", "[::1:1"],
)
def test_what_is_no_address_is_refused(udp: str) -> None:
    with pytest.raises(BadInput, match="ADDRESS:PORT") as refused:
        ports(udp)
    assert (refused.value.field, refused.value.got) == ("whip.udp", udp)


def both(udp: str, tcp: str) -> MediaPorts:
    return MediaPorts(WhipSettings(udp=udp, tcp=tcp), ManualClock())


async def test_the_tcp_port_is_offered_beside_the_udp_port() -> None:
    named = both(f"{LOOPBACK}:0", f"{LOOPBACK}:0")
    named.check()
    lines = named.open(LOOPBACK, 8_080).candidates.lines
    assert [line.split()[2] for line in lines] == ["udp", "tcp"]
    named.close()


async def test_a_tcp_port_in_use_is_refused_at_the_start() -> None:
    with socket.create_server((LOOPBACK, 0)) as sock:
        number = sock.getsockname()[1]
        named = both(f"{LOOPBACK}:0", f"{LOOPBACK}:{number}")
        with pytest.raises(BadInput, match="Address already in use") as refused:
            named.check()
        assert refused.value.field == "whip.tcp"
        with pytest.raises(RoomError, match=f"port {number}: Address already in use"):
            named.open(LOOPBACK, 8_080)
        named.close()
