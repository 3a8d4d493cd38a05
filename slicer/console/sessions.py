"""Who is logged in: one token for all operators, a session for each browser, bounded tries.

The token is compared in constant time, and the right one always enters: where many share an
address, as behind a proxy or on loopback, one of them could lock the others out otherwise. It is
long enough that nobody guesses it; wrong ones are told of within a bound. A session is
known by a random cookie; what changes something has to bring the session's second secret as well,
which no other site can read (CSRF).
"""

import hmac
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from hashlib import sha256

MAX_SESSIONS = 100
"""Browsers that are logged in at once; one more ends the oldest."""
SESSION_SECONDS = 12 * 3_600.0
"""Seconds after which somebody has to log in again."""
TRIES, TRIES_OF_ALL = 5, 100
"""Wrong tokens within TRIES_SECONDS of one address, and of all, that are only wrong; more are too
many, and their sender is asked to wait."""
TRIES_SECONDS = 60.0
MAX_ADDRESSES = 1_000
"""Addresses whose wrong tokens are remembered; the oldest are forgotten."""
MAX_TOLD = 20
"""Refusals within TRIES_SECONDS that the log and the audit tell of; the next one says how many
there were."""
MAX_NAME = 40
"""Characters of an operator's name."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. *name*: as its user gave it, which proves nothing; *csrf*: to be brought by what
    changes something; *until*: in seconds of *now*."""

    name: str
    source: str
    until: float
    csrf: str = field(repr=False)

    @property
    def who(self) -> str:
        """The user for the audit: name and address."""
        return f"{self.name or 'operator'} ({self.source})"


class Sessions:
    """Sessions by the hash of their cookie. *now* in seconds that never step back."""

    def __init__(self, token: str) -> None:
        self.refused = 0
        """Wrong tokens."""
        self._token = _digest(token)
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._wrong_of_all: deque[float] = deque(maxlen=TRIES_OF_ALL)

    def __len__(self) -> int:
        return len(self._sessions)

    def log_in(self, token: str, name: str, source: str, now: float) -> str | None:
        """The cookie of a new session; None where the token is wrong, and `wait` says then whether
        its sender tries too often."""
        if not hmac.compare_digest(_digest(token), self._token):
            self._note_wrong(source, now)
            return None
        cookie = secrets.token_urlsafe(32)
        name = "".join(one for one in name if one.isprintable()).strip()[:MAX_NAME]
        session = Session(name, source, now + SESSION_SECONDS, secrets.token_urlsafe(32))
        self._sessions[_digest(cookie)] = session
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie

    def find(self, cookie: str, now: float) -> Session | None:
        """The session of a cookie, if it goes on."""
        digest = _digest(cookie)
        session = self._sessions.get(digest)
        if session is not None and session.until <= now:
            del self._sessions[digest]
            return None
        return session

    def log_out(self, cookie: str) -> None:
        """End a session; one that there is not stays so."""
        self._sessions.pop(_digest(cookie), None)

    def wait(self, source: str, now: float) -> float:
        """Seconds until a wrong token of an address is one too many no longer; 0: it is none."""
        of_all = self._wrong_of_all
        waits = [
            times[0] + TRIES_SECONDS - now
            for times, most in ((self._wrong.get(source, deque()), TRIES), (of_all, TRIES_OF_ALL))
            if len(times) >= most
        ]
        return max([0.0, *waits])

    def _note_wrong(self, source: str, now: float) -> None:
        self.refused += 1
        self._wrong.setdefault(source, deque(maxlen=TRIES)).append(now)
        self._wrong.move_to_end(source)
        self._wrong_of_all.append(now)
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)


class Refusals:
    """Which refusals are told of: MAX_TOLD within TRIES_SECONDS, whoever is refused."""

    def __init__(self) -> None:
        self._told: deque[float] = deque(maxlen=MAX_TOLD)
        self._untold = 0

    def add(self, now: float) -> int | None:
        """One more; how many before it were not told of, or None: neither is this one."""
        if len(self._told) == MAX_TOLD and now - self._told[0] < TRIES_SECONDS:
            self._untold += 1
            return None
        self._told.append(now)
        untold, self._untold = self._untold, 0
        return untold


def may_change(session: Session, csrf: str) -> bool:
    """Whether a request that changes something comes from the session's own page."""
    return hmac.compare_digest(_digest(session.csrf), _digest(csrf))


def _digest(secret: str) -> bytes:
    """Of one length whatever came, so that a comparison tells nothing of the secret's."""
    return sha256(secret.encode(errors="surrogatepass")).digest()
