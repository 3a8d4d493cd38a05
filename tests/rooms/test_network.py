"""The addresses that a client of a room offers."""

import asyncio
import socket

import pytest

from slicer.errors import RoomError
from slicer.rooms.network import local_addresses


async def test_of_a_server_on_this_host_its_loopback_alone() -> None:
    assert await local_addresses("127.0.0.1", 80) == ["127.0.0.1"]
    assert await local_addresses("localhost", 80) in (["127.0.0.1"], ["::1"])


async def test_what_is_advertised_comes_instead() -> None:
    assert await local_addresses("nowhere.invalid", 80, ("192.0.2.7",)) == ("192.0.2.7",)


async def test_a_name_that_is_none() -> None:
    with pytest.raises(RoomError, match=r"nowhere\.invalid: "):
        await local_addresses("nowhere.invalid", 80)


async def test_of_a_server_elsewhere_the_way_there_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No datagram is sent: 192.0.2.1 is nobody's (RFC 5737)."""
    monkeypatch.setattr("slicer.rooms.network.host_addresses", lambda _any: ["10.9.9.9"])
    found = await local_addresses("192.0.2.1", 80)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 80))
        assert found == [probe.getsockname()[0], "10.9.9.9"]


async def test_a_server_that_there_is_no_way_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses a datagram to the broadcast address unless it is asked for."""

    async def resolve(*_args: object, **_options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("255.255.255.255", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(RoomError, match=r"far\.example: Permission denied"):
        await local_addresses("far.example", 80)
