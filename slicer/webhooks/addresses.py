"""Which addresses a webhook may be sent to: none inside our own network, unless allowed."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

THREADS = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, for one subscriber.

    Not: private, loopback, link-local, multicast, unspecified, reserved, shared (RFC 6598); nor an
    IPv6 address that stands for such an IPv4 address (mapped, 6to4, Teredo, NAT64).
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a zone, for example: link-local by nature
        return False
    return all(one.is_global and not one.is_multicast for one in _meanings(parsed))


def _meanings(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour:
        return [address, address.sixtofour]
    return [address, *(address.teredo or ())]


class Resolver:
    """Finds the addresses of a host in threads of its own: a name server that hangs holds up
    nobody else."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-names")

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses, best first. Raises OSError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _resolve, host)

    def close(self) -> None:
        """Wait for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
