"""Room URLs as they may be shown: without the secrets that an operator wrote into them."""

import re

SECRET_OPTIONS = frozenset(
    {"api_secret", "bearer", "key", "password", "pin", "secret", "token", "usersig"}
)
"""Options of a room URL whose values are never shown. A connector that has another adds it."""
_MASK = "***"
_USER = re.compile(r"//[^/?#]*@")
_OPTION = re.compile(r"([^&;?=]*)=([^&;]*)")


def shown(url: str) -> str:
    """The URL with its user-info and the values of its secret options masked. It need be no URL
    that can be read: an error about one shows no secret either."""
    where, mark, query = url.partition("?")
    return _USER.sub(f"//{_MASK}@", where) + mark + _OPTION.sub(_masked, query)


def _masked(option: re.Match[str]) -> str:
    name, value = option.groups()
    return f"{name}={_MASK}" if value and name.lower() in SECRET_OPTIONS else option[0]
