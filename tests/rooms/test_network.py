"""The addresses that a client of a room offers."""

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
