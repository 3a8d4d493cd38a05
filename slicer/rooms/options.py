"""The options in the query of a room URL."""

from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, parse_qsl

from slicer.errors import BadInput
from slicer.rooms.redaction import shown


def options(url: SplitResult, allowed: Collection[str]) -> Mapping[str, str]:
    """The options by name; each may be there once. Raises BadInput that names another one."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        if name not in allowed or name in found:
            known = f"the options {', '.join(sorted(allowed))}" if allowed else "no options"
            wrong = f"{name!r} twice" if name in found else repr(name)
            raise BadInput("room", shown(url.geturl()), f"{known}, and not {wrong}")
        found[name] = value
    return found
