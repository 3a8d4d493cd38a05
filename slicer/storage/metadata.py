"""Facts about an object as HTTP header values, which must be ASCII whatever the facts hold."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from slicer.errors import StorageRefused

MAX_BYTES = 2048
"""Names and values together: the bound of S3, and the lowest of the vendors'."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SAFE = ":+@"


def encoded(key: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Names and values fit for a header: what is not plain ASCII is percent-encoded UTF-8, so
    `urllib.parse.unquote` gives the value back. Raises StorageRefused for *key*."""
    values = {}
    for name, value in metadata.items():
        if not _NAME.fullmatch(name):
            raise StorageRefused(key, f"{name[:32]!r} is no name for metadata", "use a-z 0-9 -")
        values[name] = quote(value, safe=_SAFE, errors="replace")
    size = sum(len(name) + len(value) for name, value in values.items())
    if size > MAX_BYTES:
        raise StorageRefused(
            key, f"metadata of {size} bytes, {MAX_BYTES} are allowed", "use shorter names"
        )
    return values
