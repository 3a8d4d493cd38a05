"""Who on the bus is of this fleet: messages are signed by keys that all its processes have.

NATS' permissions say who may publish at all. Whoever gets hold of a worker's password, without the
fleet's keys, could otherwise name an address of his own in a heartbeat and have publishers led
there, or put callbacks into the stream that we would sign for a customer.
"""

import hmac
from collections.abc import Sequence

HEADER = "Slicer-Signature"
"""The header in which a message has its signature."""


class Signer:
    """HMAC-SHA256 over subject and data. The first key signs, all verify, so that keys can be
    rotated."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = list(keys)

    def __repr__(self) -> str:
        return "Signer(***)"

    def sign(self, subject: str, data: bytes) -> str:
        """The signature of a message, as hexadecimal digits."""
        return _mac(self._keys[0], subject, data)

    def is_ours(self, subject: str, data: bytes, signature: str) -> bool:
        """Whether a message was signed by one of the keys, for this subject."""
        given = signature.encode("ascii", "replace")
        found = [
            hmac.compare_digest(_mac(key, subject, data).encode(), given) for key in self._keys
        ]
        return any(found)


def _mac(key: bytes, subject: str, data: bytes) -> str:
    return hmac.new(key, subject.encode() + b"\0" + data, "sha256").hexdigest()
