"""Pictures and audio to be shown: in memory within a bound, while somebody looks.

The bytes are those that the engine has made for the store; nothing is encoded for the console. The
newest picture of every anchor stays longest: it is on the wall.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

MAX_FILE = 8 * 1024 * 1024
"""Bytes of the largest file that is kept."""
LOOKED_AT = 600.0
"""Seconds after the last request of an operator for which files go on being kept."""


@dataclass(frozen=True, slots=True)
class Media:
    """One file as a browser gets it."""

    data: bytes
    content_type: str


class MediaCache:
    """Files by their id, *memory* bytes of them at most. *now* in seconds that never step back."""

    def __init__(self, memory: int) -> None:
        self.bytes = 0
        self.dropped = 0
        """Files that made room for later ones, or were too large."""
        self._memory = memory
        self._looked = float("-inf")
        # Both with the oldest first.
        self._older: OrderedDict[str, Media] = OrderedDict()
        self._newest: OrderedDict[str, tuple[str, Media]] = OrderedDict()
        self._tiles: dict[str, str] = {}

    def looked(self, now: float) -> None:
        """An operator asks for something."""
        self._looked = now

    def wanted(self, now: float) -> bool:
        """Whether somebody looks; where nobody has for a while, what is kept goes."""
        if now - self._looked <= LOOKED_AT:
            return True
        if self.bytes:
            self._older.clear()
            self._newest.clear()
            self._tiles.clear()
            self.bytes = 0
        return False

    def put(self, identity: str, media: Media, tile: str = "") -> None:
        """Keep a file; *tile*: whose newest picture it is."""
        size = len(media.data)
        if size > min(MAX_FILE, self._memory):
            self.dropped += 1
            return
        self._remove(identity)
        if tile:
            if (before := self._tiles.get(tile)) is not None:
                _, old = self._newest.pop(before)
                self._older[before] = old
            self._tiles[tile] = identity
            self._newest[identity] = tile, media
        else:
            self._older[identity] = media
        self.bytes += size
        while self.bytes > self._memory:
            oldest = next(iter(self._older or self._newest))
            self._remove(oldest)
            self.dropped += 1

    def get(self, identity: str) -> Media | None:
        """A file, if it is still kept."""
        if identity in self._newest:
            return self._newest[identity][1]
        return self._older.get(identity)

    def let_go(self, tile: str) -> None:
        """An anchor has gone from the wall: its newest picture is one like the others."""
        if (identity := self._tiles.pop(tile, None)) is not None:
            self._older[identity] = self._newest.pop(identity)[1]

    def _remove(self, identity: str) -> None:
        media = self._older.pop(identity, None)
        if media is None and identity in self._newest:
            tile, media = self._newest.pop(identity)
            del self._tiles[tile]
        if media is not None:
            self.bytes -= len(media.data)


def identity_of(key: str) -> str:
    """What a slice is called in a URL: it tells nothing of its key, and needs no encoding."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:32]
