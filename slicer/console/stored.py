"""Slices that a folder has: read back to be shown. Those in a bucket are not: its URLs would have
to hold a signature, and no secret is in a page."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from slicer.console.history import Entry
from slicer.console.media import MAX_FILE, Media

_TYPES = {"ogg": "audio/ogg", "png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


def read(entry: Entry) -> Media | None:
    """The file of a slice in a folder store, which `SliceStored` named; blocks. None where it is
    elsewhere, has gone, or is no file of ours."""
    url = urlsplit(entry.store)
    content_type = _TYPES.get(entry.slice.key.rpartition(".")[2])
    if url.scheme != "file" or content_type is None:
        return None
    root = Path(unquote(url.path, errors="surrogateescape"))
    path = root / entry.slice.key
    try:
        if not path.resolve(strict=True).is_relative_to(root.resolve(strict=True)):
            return None
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, ValueError):
        return None
    return Media(data, content_type) if len(data) <= MAX_FILE else None
