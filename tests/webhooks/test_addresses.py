"""Addresses that messages may go to, and those they may not."""

import pytest

from slicer.webhooks.addresses import Resolver, is_public


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "203.0.114.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"]
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.2.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1",
        "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a00:1::", "2001:0:7f00:1::", "name", "",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


async def test_names_are_resolved() -> None:
    resolver = Resolver()
    try:
        assert await resolver("127.0.0.1") == ["127.0.0.1"]
        assert set(await resolver("localhost")) <= {"127.0.0.1", "::1"}
        with pytest.raises(OSError, match=r"."):
            await resolver("nowhere.invalid")
    finally:
        resolver.close()
