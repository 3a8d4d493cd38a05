"""Rate limits by caller, and signatures seen before. Pure: *now* is an argument."""

from collections import deque
from dataclasses import dataclass

MAX_REMEMBERED = 100_000
"""Signatures of one application that are remembered, some 50 MB at worst: more than the eight
actions can have at their rate within the ten minutes for which a timestamp is good."""
TOGETHER = 2.0
"""Seconds within which requests that were signed in one second arrive."""


class RateLimit:
    """At most *rate* calls in any second, for each key. *now* in seconds that never step back.

    Keys are for the caller to bound: here they are actions of configured applications.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._taken: dict[tuple[str, int], deque[float]] = {}

    def take(self, key: tuple[str, int], now: float) -> bool:
        """Whether one more call is within the limit; only then it counts."""
        taken = self._taken.setdefault(key, deque(maxlen=self._rate))
        if len(taken) == self._rate and now - taken[0] < 1.0:
            return False
        taken.append(now)
        return True


@dataclass(slots=True)
class _Signature:
    """*use* is what it was first seen with, *until* when it is too old; *carried_out* is when the
    first request under it was, and *nonces* what those that were carried out came with."""

    use: str
    until: float
    carried_out: float | None = None
    nonces: tuple[str, ...] = ()


class Signatures:
    """Signatures that were seen, until they are too old to be accepted anyway.

    A signature is good for the use that it was first seen with. The SDKs sign a request's body and
    host, but neither its action nor, if so set, the body: who sees a Describe could have its
    signature delete the task. And it is good once, but for requests that the client itself cannot
    tell apart by it: a timestamp counts seconds, so two equal ones of one client within a second
    have the same signature. They are two requests, as TRTC takes them, unless they carry the same
    nonce. What comes later than TOGETHER is a replay whatever its nonce, which is not signed.

    A full memory refuses: forgetting would let replays in. *now* and *until* are UTC in seconds.
    """

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._known: dict[bytes, _Signature] = {}
        self._of_apps: dict[int, deque[bytes]] = {}  # the oldest first

    def first_use(self, app: int, signature: str, use: str, until: float, now: float) -> str | None:
        """The use that this signature was first seen with, which is *use* if it is new; None where
        there is no room left among the application's own."""
        key, own = bytes.fromhex(signature), self._of_apps.setdefault(app, deque())
        while own and self._known[own[0]].until < now:
            del self._known[own.popleft()]
        known = self._known.get(key)
        if known is None:
            if len(own) >= self._most:
                return None
            known = self._known[key] = _Signature(use, until)
            own.append(key)
        return known.use

    def is_replay(self, signature: str, nonce: str, now: float) -> bool:
        """Whether the request was carried out before; else it is from now on. Its signature's first
        use must have been asked for."""
        known = self._known[bytes.fromhex(signature)]
        if known.carried_out is None:
            known.carried_out = now
        elif nonce in known.nonces or now - known.carried_out > TOGETHER:
            return True
        if nonce:
            known.nonces += (nonce,)
        return False
