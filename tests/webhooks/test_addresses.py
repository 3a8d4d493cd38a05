"""Addresses that messages may go to, and those they may not."""

import ipaddress

import pytest

from slicer.webhooks.addresses import Resolver, is_public


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
        "198.17.255.255", "198.20.0.0", "203.0.114.1", "223.255.255.255",
        "2000::", "2001:200::1", "2003::1", "2606:4700::1111", "2620:4f:8001::", "3fff:1000::",
        "3ffe:ffff::1", "64:ff9b::101:101", "::ffff:1.1.1.1", "2606:4700::5efe:101:101",
    ],
)  # fmt: skip
def test_public(address: str) -> None:
    assert is_public(address)


# Block, name: IANA's registries of special-purpose addresses, IPv4 and IPv6, every line of them;
# and what is in neither of them, nor given out.
SPECIAL = [
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32",
    "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24",
    "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32",
    "224.0.0.0/4",
    "::1/128", "::/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32",
    "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32",
    "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16",
    "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
    "::/96", "::ffff:0:0:0/96", "::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4",
    "4000::/3", "6000::/3", "8000::/3", "a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6",
    "fe00::/9", "fec0::/10", "ff00::/8",
]  # fmt: skip


@pytest.mark.parametrize("block", SPECIAL)
def test_special_purposes(block: str) -> None:
    network = ipaddress.ip_network(block)
    first, last = network.network_address, network.broadcast_address
    inside = {int(first), int(last), (int(first) + int(last)) // 2}
    assert not [one for one in inside if is_public(str(type(first)(one)))]


PRIVATE = ["0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1"]


@pytest.mark.parametrize("private", PRIVATE)
@pytest.mark.parametrize(
    "disguise",
    [
        "::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "64:ff9b:1:7::{}",
        "2606:4700::5efe:{}", "2606:4700::200:5efe:{}", "fe80::5efe:{}",
    ],
)  # fmt: skip
def test_disguises(disguise: str, private: str) -> None:
    assert not is_public(disguise.format(private))


@pytest.mark.parametrize("private", PRIVATE)
def test_tunnels(private: str) -> None:
    number = int(ipaddress.IPv4Address(private))
    of_6to4 = (0x2002 << 112) | (number << 80) | 1
    server = (0x2001_0000 << 96) | (number << 64)
    client = (0x2001_0000 << 96) | (0x0101_0101 << 64) | (number ^ 0xFFFF_FFFF)
    for tunnelled in (of_6to4, server, client):
        assert not is_public(str(ipaddress.IPv6Address(tunnelled)))


@pytest.mark.parametrize(
    "text",
    ["", "name", "fe80::1%eth0", "2606:4700::1111%eth0", "::ffff:1.1.1.1%1", "1.1.1.1%1", "1.1.1",
     "0x7f.1", "2130706433", "0177.0.0.1", "1.1.1.1:80", "[2606:4700::1111]", "1.1.1.1/32"],
)  # fmt: skip
def test_what_is_no_plain_address(text: str) -> None:
    assert not is_public(text)


async def test_names_are_resolved() -> None:
    resolver = Resolver()
    try:
        assert await resolver("127.0.0.1") == ["127.0.0.1"]
        assert set(await resolver("localhost")) <= {"127.0.0.1", "::1"}
        with pytest.raises(OSError, match=r"."):
            await resolver("nowhere.invalid")
    finally:
        resolver.close()
