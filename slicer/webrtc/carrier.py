"""A connected peer, as who reads its socket needs it: socket, keys, addresses; knows no media."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

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
    """A connected peer. The socket is non-blocking and the carrier's own to close.

    *keys*: None for plain RTP. *ice*: None where STUN is not the carrier's to answer. *others*
    takes what is neither media nor a check that the carrier can answer itself.
    """

    sock: socket.socket
    address: Address
    keys: SrtpKeys | None
    ice: IceCredentials | None
    others: Callable[[bytes, Address], None]


class Carrier(Protocol):
    """Reads a link's socket until it is closed."""

    @property
    def heard(self) -> float:
        """The *now* at which anything came last."""
        ...

    def redirect(self, address: Address) -> None:
        """The peer is at another address."""
        ...

    def move(self, sock: socket.socket, address: Address) -> None:
        """Go on with another socket; the keys stay."""
        ...

    def release(self) -> None:
        """Read and send nothing any more. May be called twice."""
        ...


Carry = Callable[[Link], Carrier]
