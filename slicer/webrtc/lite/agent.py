"""An ICE-lite agent (RFC 8445 2.5): it answers the peer's connectivity checks, and never sends one.

Theory of operation. The peer is the controlling, full agent. It sends a check by each pair that it
would use, we answer those that know our password, and the pair that it nominates is the one in use.
So nothing that a description claims makes us send a datagram anywhere: the first one to an address
answers a check that came from there, and was signed.

After a restart (RFC 8445 section 9) the credentials of before go on being taken until a pair is
nominated by the new ones: media goes on, and browsers begin to check before they have our answer.
That is why only our half of a check's user name counts.

A check stays valid for as long as its credentials, and whoever saw it can send it again, from where
he likes. So transactions are remembered, the last MAX_SEEN of them. One that comes again from where
it came before is answered, since our answer may be lost, but it proves and moves nothing; from
elsewhere it is nobody's.
"""

import secrets
import struct
from dataclasses import dataclass, field

from aioice import stun

from slicer.webrtc.link import Address

COOKIE = b"\x21\x12\xa4\x42"
"""Of every STUN message (RFC 8489 section 5)."""
MAX_ATTRIBUTES = 16
"""Attributes of a check that are looked at for its user name, which comes first by custom."""
MAX_SEEN = 256
"""Transactions of checks that are remembered: ten minutes of a browser's."""
_HEADER = 20
_REQUEST = b"\x00\x01"
_USERNAME = 0x0006
_ROLE_CONFLICT = (487, "Role Conflict")
_ATTRIBUTE = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name fragment and the password that signs checks which name it (RFC 8445 5.3)."""

    ufrag: str
    pwd: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """An authenticated check: what to answer, and whether the peer nominates the pair by it.
    *fresh*: it is no repetition, so the peer has just sent it."""

    answer: bytes
    nominates: bool
    fresh: bool


class LiteAgent:
    """One session's agent. It holds no socket and knows no time."""

    def __init__(self) -> None:
        self.credentials = _credentials()
        self._before: Credentials | None = None
        self._seen: dict[
            bytes, Address
        ] = {}  # transactions, oldest first, and where they came from

    @property
    def fragments(self) -> tuple[str, ...]:
        """The fragments by which checks name this session now."""
        before = () if self._before is None else (self._before.ufrag,)
        return (self.credentials.ufrag, *before)

    def restart(self) -> None:
        """Take new credentials. Those of before are taken until a pair is nominated by these."""
        if self._before is None:
            self._before = self.credentials
        self.credentials = _credentials()

    def check(self, data: bytes, address: Address) -> Check | None:
        """Take a binding request from this address; None unless one of our passwords signed it, and
        where another address sent it before."""
        try:
            request = stun.parse_message(data)
            ufrag = request.attributes.get("USERNAME", "").partition(":")[0]
            known = self._known(ufrag)
            if known is None or not request.check_message_integrity(known.pwd.encode()):
                return None
        except (ValueError, KeyError, struct.error, IndexError):
            return None
        fresh = request.transaction_id not in self._seen
        if not fresh and self._seen[request.transaction_id] != address:
            return None
        self._remember(request.transaction_id, address)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        if conflict := "ICE-CONTROLLED" in request.attributes:
            # RFC 8445 7.3.1.1, as with the least tie-breaker there is: we never control.
            answer.message_class = stun.Class.ERROR
            answer.attributes["ERROR-CODE"] = _ROLE_CONFLICT
        else:
            answer.attributes["XOR-MAPPED-ADDRESS"] = address
        answer.add_message_integrity(known.pwd.encode())
        nominates = fresh and not conflict and "USE-CANDIDATE" in request.attributes
        if nominates and known is self.credentials:
            self._before = None
        return Check(bytes(answer), nominates, fresh)

    def _remember(self, transaction: bytes, address: Address) -> None:
        if len(self._seen) == MAX_SEEN and transaction not in self._seen:
            del self._seen[next(iter(self._seen))]
        self._seen[transaction] = address

    def _known(self, ufrag: str) -> Credentials | None:
        both = (self.credentials, self._before)
        return next((one for one in both if one is not None and one.ufrag == ufrag), None)


def named_fragment(data: bytes) -> str | None:
    """Our half of the user name in a binding request; None for anything else.

    It costs little, for whoever sends us datagrams has us look at it before anything is proven.
    """
    if len(data) < _HEADER or data[:2] != _REQUEST or data[4:8] != COOKIE:
        return None
    at = _HEADER
    for _ in range(MAX_ATTRIBUTES):
        if at + _ATTRIBUTE.size > len(data):
            return None
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        at += _ATTRIBUTE.size
        if kind == _USERNAME:
            name = data[at : at + size].partition(b":")[0]
            return name.decode() if name.isascii() else None
        at += size + -size % 4
    return None


def _credentials() -> Credentials:
    # RFC 8445 5.3 asks for 24 and 128 bits; hex digits are among its ice-chars.
    return Credentials(secrets.token_hex(8), secrets.token_hex(16))
