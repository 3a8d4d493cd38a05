"""The link to a connected peer, for the media path: socket, address, SRTP keys, ICE credentials."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """SRTP keys from DTLS (RFC 5764 4.2): for each direction the master key, then the salt.

    *profile*: its DTLS number (1: AES-CM and HMAC-SHA1-80; 7 and 8: AES-GCM).
    """

    profile: int
    inbound: bytes = field(repr=False)
    outbound: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """The ICE credentials of both ends (RFC 8445 5.3), and which end controls."""

    ufrag: str
    pwd: str = field(repr=False)
    remote_ufrag: str
    remote_pwd: str = field(repr=False)
    controlling: bool
    tie_breaker: int


@dataclass(frozen=True, slots=True)
class Link:
    """The link to a connected peer. The socket is non-blocking; who carries the link closes it.

    *keys*: None for plain RTP. *ice*: None where all STUN goes to *others*, which takes what is
    neither media nor a STUN check of the pair in use, and says whether the peer has signed it.
    """

    sock: socket.socket
    address: Address
    keys: SrtpKeys | None
    ice: IceCredentials | None
    others: Callable[[bytes, Address], bool]
