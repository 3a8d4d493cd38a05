"""The network of a room that we enter as a client: the addresses to offer as ICE candidates."""

import asyncio
import socket
from collections.abc import Sequence

from slicer.errors import RoomError
from slicer.webrtc.transport import host_addresses


async def local_addresses(host: str, port: int, advertise: Sequence[str] = ()) -> Sequence[str]:
    """The addresses of this host to reach *host* by: the one that the way there begins with, then
    all others; of a server on this host only that one. *advertise*, where it is given, instead.

    Raises RoomError where the name cannot be resolved.
    """
    if advertise:
        return advertise
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise RoomError(f"{host}: {error.strerror}") from None
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)  # sends nothing: the kernel only chooses the way
        except OSError as error:
            raise RoomError(f"{host}: {error.strerror}") from None
        own = str(probe.getsockname()[0])
    if own.startswith("127.") or own == "::1":
        return [own]
    wildcard = "::" if family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 (not bound)
    return list(dict.fromkeys([own, *host_addresses(wildcard)]))
