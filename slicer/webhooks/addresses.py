"""Which addresses a webhook may be sent to: none inside our own network, unless allowed."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

THREADS = 4
# The tables are our own: what `ipaddress` takes for global has changed within 3.11, 3.12 and 3.13,
# and none of them knows every disguise. Special-purpose ranges that are reached worldwide (AS112,
# AMT, anycast of protocols) are refused with the rest: nobody's webhooks are there.
_SPECIAL_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network, RFC 791
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # shared by carriers, RFC 6598
            "127.0.0.0/8",  # loopback, RFC 1122
            "169.254.0.0/16",  # link-local, and the metadata of clouds, RFC 3927
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments, DS-Lite, RFC 6890
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.31.196.0/24",  # AS112, RFC 7535
            "192.52.193.0/24",  # AMT, RFC 7450
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112, RFC 7534
            "198.18.0.0/15",  # benchmarks, RFC 2544
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast, RFC 5771
            "240.0.0.0/4",  # reserved, and the broadcast address, RFC 1112
        ),
    )
)
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA gives out. Outside are loopback, IPv4-compatible and -translated addresses,
local NAT64 (64:ff9b:1::/48), discard-only, SRv6, unique, link- and site-local, multicast, and what
nobody has yet."""
_SPECIAL_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, AMT, benchmarks, RFC 2928
            "2001:db8::/32",  # documentation, RFC 3849
            "2002::/16",  # 6to4: an IPv4 address stands behind it, RFC 3056
            "2620:4f:8000::/48",  # AS112, RFC 7534
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Here a host without IPv4 reaches it (RFC 6052): the address stands for the IPv4 one in it."""
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}
"""The first half of an interface identifier whose second is an IPv4 address (RFC 5214 6.1)."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, for one subscriber.

    Not: any special-purpose range of IANA's two registries, multicast, what is not given out, an
    IPv6 address that stands for such an IPv4 address, or one with a zone, which is of a link. An
    IPv4 address within a NAT64 prefix that a network has chosen itself cannot be told.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return _is_public_v4(parsed)
    return parsed.scope_id is None and _is_public_v6(parsed)


def _is_public_v6(address: ipaddress.IPv6Address) -> bool:
    carried = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64 or address.ipv4_mapped:
        return _is_public_v4(carried)
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP and not _is_public_v4(carried):
        return False
    return address in _UNICAST and not any(address in special for special in _SPECIAL_V6)


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in special for special in _SPECIAL_V4)


class Resolver:
    """Finds the addresses of a host in threads of its own: a name server that hangs holds up
    nobody else."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-names")

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses, best first. Raises OSError."""
        with suppress(ValueError):
            return [str(ipaddress.IPv4Address(host))]  # no name: nobody need be asked
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _resolve, host)

    def close(self) -> None:
        """Wait for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
