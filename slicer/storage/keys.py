"""Which keys every store can take: relative, without empty or dot segments, valid UTF-8."""

import re
from collections.abc import Iterator

from slicer.errors import StorageError, StorageRefused

MAX_KEY_BYTES = 1024
"""Length S3 allows for a key, prefix included."""

PROBE_KEY = ".rtc-slicer-check"
"""What `check` puts and deletes again. One fixed name: if deleting is not allowed, one is left."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def faults(key: str) -> Iterator[str]:
    """What makes a key unfit, in words."""
    if _CONTROL.search(key):
        yield "it holds a control character"
    if "\\" in key:
        yield "it holds a backslash, which some stores take for '/'"
    parts = key.split("/")
    if "" in parts:
        yield "a part of it is empty (it starts or ends with '/', or holds '//')"
    if "." in parts or ".." in parts:
        yield "a part of it is '.' or '..'"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        yield "it cannot be written as UTF-8"
    else:
        if size > MAX_KEY_BYTES:
            yield f"it has {size} bytes, {MAX_KEY_BYTES} are allowed"


def check_key(key: str) -> None:
    """Raise StorageRefused unless *key* can be stored, and stays below what the URL named."""
    for fault in faults(key):
        raise StorageRefused(
            ascii(key)[:120], f"not a key: {fault}", "use names joined by single slashes"
        )


def without_probe(error: StorageError) -> StorageError:
    """The same error of the store as a whole: the probe's key says nothing to anybody else."""
    reason, advice = (text.replace(PROBE_KEY, "…") for text in (error.reason, error.advice))
    return type(error)("", reason, advice, error.retry_after)
