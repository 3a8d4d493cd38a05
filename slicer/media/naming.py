"""Names slices: a folder for each anchor and kind, UTC in each name, no name twice in a task."""

import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind, Role

MAX_REMEMBERED = 4_096
"""Names a task remembers: over a minute of 25 anchors with audio and pictures each second."""
MAX_PART = 96
"""Characters a user or room id may take in a name; file systems allow 255 for a whole name."""

_PREFIX = re.compile(r"[A-Za-z0-9_-]+")
FOLDERS = {Kind.AUDIO: "audios", Kind.VIDEO: "images"}
"""Where a user's slices of a kind are."""


class Names:
    """The keys of one task: `{prefix…}/{task}/{user}/audios/{app}_{room}_{user}_{UTC}.ogg`.

    Those of auxiliary tracks have `_aux` before the UTC.

    Raises BadInput where a part of *prefix* holds more than letters, digits, `_` and `-`.
    """

    def __init__(self, prefix: Sequence[str], task: str, app: int | str, room: int | str) -> None:
        for part in prefix:
            if not _PREFIX.fullmatch(part):
                raise BadInput("prefix", part, "letters, digits, _ and -")
        self._root = "/".join((*prefix, _safe(task)))
        self._origin = f"{_safe(str(app))}_{_safe(str(room))}"
        self._taken: OrderedDict[str, int] = OrderedDict()

    @property
    def folder(self) -> str:
        """What all keys of the task begin with, without a last slash."""
        return self._root

    def allocate(
        self, anchor: str, kind: Kind, extension: str, began: datetime, role: Role = Role.MAIN
    ) -> str:
        """A key not given before; *began* is the time of the slice's first sample."""
        user = _safe(anchor)
        utc = _digits(began.astimezone(UTC))
        whose = user if role is Role.MAIN else f"{user}_{role}"
        name = f"{self._root}/{user}/{FOLDERS[kind]}/{self._origin}_{whose}_{utc}"
        count = self._taken.pop(name, 0)
        self._taken[name] = count + 1
        if len(self._taken) > MAX_REMEMBERED:
            self._taken.popitem(last=False)
        suffix = f"_{count}" if count else ""
        return f"{name}{suffix}.{extension}"


def _digits(utc: datetime) -> str:
    # `strftime` takes ten times as long.
    day, time = utc.date().isoformat(), utc.time().isoformat("seconds")
    return day.replace("-", "") + time.replace(":", "")


@lru_cache(MAX_REMEMBERED)
def _safe(part: str) -> str:
    """*part* as it is where it is safe in a key and in a path, percent-encoded where not.

    An id that is too long keeps its beginning, and a digest sets it apart from others.
    """
    safe = quote(part, safe="@", errors="surrogatepass") or "%"
    if not safe.strip("."):
        safe = safe.replace(".", "%2E")
    if len(safe) > MAX_PART:
        digest = sha256(part.encode(errors="surrogatepass")).hexdigest()[:16]
        safe = f"{safe[: MAX_PART - 17]}~{digest}"
    return safe
