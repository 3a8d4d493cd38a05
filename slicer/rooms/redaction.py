"""Room URLs as they may be shown: without the secrets that an operator wrote into them."""

import re

SECRET_OPTIONS = frozenset(
    {"api_secret", "bearer", "key", "password", "pin", "secret", "token", "usersig"}
)
"""Options of a room URL whose values are never shown. A connector that has another adds it."""
FOREIGN = frozenset({"rtmp", "rtmps", "rtsp", "rtsps", "hls", "hlss", "flv", "flvs"})
"""Schemes whose query is a foreign server's: any of its options may be a secret."""
_MASK = "***"
_USER = re.compile(r"//[^/?#]*@")
_OPTION = re.compile(r"([^&;?=]*)=([^&;]*)")


def shown(url: str) -> str:
    """The URL with its user-info and the values of its secret options masked. It need be no URL
    that can be read: an error about one shows no secret either."""
    where, mark, rest = url.partition("?")
    query, hash_, fragment = rest.partition("#")
    every = url.partition(":")[0].lower() in FOREIGN

    def masked(option: re.Match[str]) -> str:
        name, value = option.groups()
        secret = every or name.lower() in SECRET_OPTIONS
        return f"{name}={_MASK}" if value and secret else option[0]

    start = _USER.sub(f"//{_MASK}@", where) + mark
    return start + _OPTION.sub(masked, query) + hash_ + fragment
