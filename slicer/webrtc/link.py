"""A connected peer, as the media path needs it: socket, SRTP keys, ICE credentials, address."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What DTLS agreed on (RFC 5764 4.2): master key and salt, end to end, for each direction.

    *profile* is the number that DTLS has for it (1: AES-CM and HMAC-SHA1-80; 7, 8: AES-GCM).
    """

    profile: int
    inbound: bytes = field(repr=False)
    outbound: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """By what the two ends of a pair know each other (RFC 8445 5.3), and who controls."""

    ufrag: str
    pwd: str = field(repr=False)
    remote_ufrag: str
    remote_pwd: str = field(repr=False)
    controlling: bool
    tie_breaker: int


@dataclass(frozen=True, slots=True)
class Link:
    """A connected peer. The socket is non-blocking, and closed by who carries the link.

    *keys*: None for plain RTP. *ice*: None where STUN is to be handed back. *others* takes what is
    neither media nor a check that can be answered without ICE.
    """

    sock: socket.socket
    address: Address
    keys: SrtpKeys | None
    ice: IceCredentials | None
    others: Callable[[bytes, Address], None]
