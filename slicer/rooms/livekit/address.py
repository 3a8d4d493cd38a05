"""The address of a room on a LiveKit server, and what its URL gives to enter it by."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote

from slicer.config import in_words
from slicer.errors import BadInput
from slicer.rooms.livekit.settings import Quality
from slicer.rooms.options import options
from slicer.rooms.redaction import shown

OPTIONS = ("key", "quality", "secret", "token")
_ROOM = re.compile(r"/[^/\0]{1,256}")
_ALLOWED = "livekit://HOST[:PORT]/ROOM, with the options key and secret, or token, or none of them"


@dataclass(frozen=True, slots=True)
class LiveKitAddress:
    """A room on a LiveKit server. *server*: of its WebSocket, `ws://` or `wss://` and authority."""

    server: str
    host: str
    port: int
    room: str
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    quality: Quality | None = None

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read `livekit://HOST[:PORT]/ROOM?…`. Raises BadInput."""
        query = options(url, OPTIONS)
        key, secret, token = (query.get(name, "") for name in ("key", "secret", "token"))
        extra = url.fragment or url.username is not None
        paired = bool(key) == bool(secret) and not (key and token)
        if not url.hostname or not _ROOM.fullmatch(url.path) or extra or not paired:
            raise BadInput("room", shown(url.geturl()), _ALLOWED)
        quality = query.get("quality")
        if quality is not None and quality not in set(Quality):
            raise BadInput("room", shown(url.geturl()), f"quality: {in_words(list(Quality))}")
        secure = url.scheme == "livekits"
        return cls(
            f"{'wss' if secure else 'ws'}://{url.netloc}",
            url.hostname,
            url.port or (443 if secure else 80),
            unquote(url.path[1:]),
            key,
            secret,
            token,
            Quality(quality) if quality else None,
        )
