"""By what a peer's address is counted, where addresses have bounds."""

import ipaddress

_HOST_PREFIX = 64  # of IPv6: a host has all of it to itself


def source_of(address: str) -> str:
    """Of IPv6 the /64, of a mapped address its IPv4; what is no address as it is (a Unix socket,
    or a proxy that hides it)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _HOST_PREFIX), strict=False))
