"""Rate limits by caller, and signatures seen before. Pure: *now* is an argument."""

from collections import OrderedDict, deque
from dataclasses import dataclass

MAX_REMEMBERED = 100_000
"""Signatures remembered; some 15 MB."""
TOGETHER = 2.0
"""Seconds within which requests that were signed in one second arrive."""
MAX_BOUND = 100_000
"""Signatures of one application whose use is remembered, some 25 MB at worst: more than the eight
actions can have at their rate within the ten minutes for which a timestamp is good."""


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
class _Seen:
    """*until* when its signature is too old; *first* when it came; what *nonces* it came with."""

    until: float
    first: float
    nonces: set[str]


class Replays:
    """What was carried out already, until it is too old to be accepted anyway.

    A timestamp counts seconds, so two equal requests of one client within a second have the same
    signature. They are two requests, as TRTC takes them, unless they carry the same nonce. What
    comes later than TOGETHER is a replay whatever its nonce, which is not signed.

    *now* and *until* are UTC in seconds. A full memory refuses: forgetting would let replays in.
    """

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def seen(self, action: str, signature: str, nonce: str, now: float) -> bool:
        """Whether this is a request that was already carried out."""
        seen = self._seen.get((action, signature))
        return seen is not None and (nonce in seen.nonces or now - seen.first > TOGETHER)

    def remember(self, action: str, signature: str, nonce: str, until: float, now: float) -> bool:
        """Remember it; False where there is no room left. Drops what is past."""
        seen = self._seen.get((action, signature))
        if seen is None:
            if len(self._seen) >= self._most:
                self._forget(now)
            if len(self._seen) >= self._most:
                return False
            seen = self._seen[action, signature] = _Seen(until, now, set())
        if nonce:
            seen.nonces.add(nonce)
        return True

    def _forget(self, now: float) -> None:
        past = [key for key, seen in self._seen.items() if seen.until < now]
        for key in past:
            del self._seen[key]


class SignatureUses:
    """What each signature was first seen with: it is good for that alone.

    The SDKs sign a request's body and host, but neither its action nor, if so set, the body: who
    sees a Describe could have its signature delete the task. A use is remembered for as long as its
    signature is accepted; a full memory refuses, as forgetting would let another use in. *now* and
    *until* are UTC in seconds.
    """

    def __init__(self, most: int = MAX_BOUND) -> None:
        self._most = most
        self._uses: dict[int, dict[bytes, tuple[str, float]]] = {}
        self._next_past: dict[int, float] = {}

    def first(self, app: int, signature: str, use: str, until: float, now: float) -> str | None:
        """The use that this signature was first seen with, which is *use* if it is new; None where
        there is no room left among the application's own."""
        uses = self._uses.setdefault(app, {})
        key = bytes.fromhex(signature)
        if key in uses:
            return uses[key][0]
        if len(uses) >= self._most and self._next_past.get(app, now) <= now:
            self._uses[app] = uses = {one: kept for one, kept in uses.items() if kept[1] >= now}
            self._next_past[app] = min((until for _, until in uses.values()), default=now)
        if len(uses) >= self._most:
            return None
        uses[key] = use, until
        return use
