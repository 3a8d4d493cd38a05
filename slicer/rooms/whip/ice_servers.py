"""The STUN and TURN servers that a publisher is told of (RFC 9725 4.6), and what opens the latter.

A TURN server's credentials would soon be everybody's. So each session gets its own, for a while:
the user name is when they end and whose they are, the password its HMAC by a secret that we share
with the server (draft-uberti-behave-turn-rest-00; coturn's `use-auth-secret`, with the secret in
`static-auth-secret`).
"""

import base64
import hashlib
import hmac
import re

from slicer.errors import BadInput
from slicer.rooms.whip.settings import WhipSettings

MAX_SERVERS = 16
# RFC 7064 3.1, RFC 7065 3.1: no slashes, no user; what else could end the header's link is out.
_URL = re.compile(
    r"(?:stuns?|(turns?)):(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:\?transport=(?:udp|tcp))?"
)
_ALLOWED = (
    "URLs of STUN and TURN servers, such as stun:stun.example.com:3478 and "
    f"turn:turn.example.com:3478?transport=udp, at most {MAX_SERVERS}"
)


def check(settings: WhipSettings) -> None:
    """Raise BadInput for a URL that is none."""
    if len(settings.ice_servers) > MAX_SERVERS:
        raise BadInput("whip.ice_servers", f"{len(settings.ice_servers)} servers", _ALLOWED)
    for url in settings.ice_servers:
        if _URL.fullmatch(url) is None:
            raise BadInput("whip.ice_servers", url, _ALLOWED)


def check_secret(settings: WhipSettings) -> None:
    """Raise BadInput for a TURN server without the secret, which only who has rooms needs."""
    for url in settings.ice_servers:
        if _is_turn(url) and not settings.turn_secret:
            allowed = "the TURN server's secret (coturn: static-auth-secret), for " + url
            raise BadInput("whip.turn_secret", "nothing", allowed)


def links(settings: WhipSettings, user: str, now: float) -> list[str]:
    """The values of `Link` headers for a session of *user*, made at *now*, UTC in seconds."""
    username = f"{int(now + settings.turn_ttl)}:{user}"
    digest = hmac.digest(settings.turn_secret.encode(), username.encode(), hashlib.sha1)
    password = base64.b64encode(digest).decode()
    opened = f'; username="{username}"; credential="{password}"; credential-type="password"'
    return [
        f'<{url}>; rel="ice-server"{opened if _is_turn(url) else ""}'
        for url in settings.ice_servers
    ]


def _is_turn(url: str) -> bool:
    found = _URL.fullmatch(url)
    return found is not None and found[1] is not None
