"""Who on the bus is of this fleet: messages are signed by keys that all its processes have.

NATS' permissions say who may publish at all. Whoever gets hold of a worker's password, without the
fleet's keys, could otherwise give tasks away, name an address of his own in a heartbeat and have
publishers led there, or put callbacks into the stream that we would sign for a customer.

A signature alone does not keep a message from being sent once more. A record is signed together
with the revision that it replaces, so whoever knows a later one sees that it is old (table.py); a
question is good once, and for one process alone (`Questions`); a record that is pushed again is an
old one, which means nothing.
"""

import hmac
from collections.abc import Sequence

HEADER = "Slicer-Signature"
"""The header in which a message has its signature."""
GOOD = 300.0
"""Seconds by which the clocks of who asks and of who is asked may differ."""

SWEEP = 10.0
"""Seconds for which a question that has grown too old may be kept."""


class Signer:
    """HMAC-SHA256 over subject and data. The first key signs, all verify, so that keys can be
    rotated."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = list(keys)

    def __repr__(self) -> str:
        return "Signer(***)"

    def sign(self, subject: str, data: bytes, about: str = "") -> str:
        """The signature of a message, as hexadecimal digits. *about*: what a header says that has
        to be believed as well."""
        return _mac(self._keys[0], subject, data, about)

    def is_ours(self, subject: str, data: bytes, signature: str, about: str = "") -> bool:
        """Whether a message was signed by one of the keys, for this subject."""
        received = signature.encode("ascii", "replace")
        found = [
            hmac.compare_digest(_mac(key, subject, data, about).encode(), received)
            for key in self._keys
        ]
        return any(found)


class Questions:
    """Those that a worker was asked, so that none is answered twice. Each one has a mark: wall time
    in seconds, which process of that worker is asked, and a text that no other one has. Several
    processes are asked, with commas between them, where it is not known which one is alive."""

    def __init__(self, instance: str) -> None:
        """*instance*: this process (`Beat.instance`). The next one remembers no question."""
        self._instance = instance
        self._seen: dict[str, float] = {}
        self._swept = 0.0

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, mark: str, now: float) -> bool:
        """Whether a question that is ours is of these minutes, and comes for the first time; *now*
        is wall time."""
        time, _, rest = mark.partition(" ")
        try:
            sent = float(time)
        except ValueError:
            return False
        if abs(now - self._swept) > SWEEP:  # all of them at each question would take its time
            self._swept = now
            self._seen = {one: until for one, until in self._seen.items() if until >= now}
        asked = rest.partition(" ")[0].split(",")
        if self._instance not in asked or not abs(now - sent) <= GOOD:
            return False
        if mark in self._seen:
            return False
        self._seen[mark] = sent + GOOD
        return True


def _mac(key: bytes, subject: str, data: bytes, about: str) -> str:
    words = (subject, about) if about else (subject,)
    head = b"".join(word.encode() + b"\0" for word in words)
    return hmac.new(key, head + data, "sha256").hexdigest()
