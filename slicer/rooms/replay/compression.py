"""Reads a capture that gzip has compressed, within a bound.

DEFLATE makes a thousand bytes of one. Such a file would be read for hours, and it is read to find
the anchors before any of it is played. So a file may not expand to more than MAX_RATIO times its
size. Captured silence, the most regular of what people capture, has a ratio of 19.
"""

import gzip
import os
from typing import BinaryIO

from slicer.errors import BadInput

MAGIC = b"\x1f\x8b"
MAX_RATIO = 100
"""Bytes that one byte of a file may become."""
ALWAYS = 64 * 1024 * 1024
"""Bytes that any file may become."""


class Decompressed:
    """What a gzip file holds, as a file to read. *file*: seekable; it is read from its beginning.

    Its methods raise what gzip raises where the file is damaged or breaks off, and BadInput where
    it expands too far.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._file = gzip.GzipFile(fileobj=file)
        self._size = size
        self._left = max(ALWAYS, MAX_RATIO * size)

    def read(self, size: int) -> bytes:
        """Up to *size* bytes, fewer at the end alone."""
        return self._counted(self._file.read(size))

    def readline(self, size: int) -> bytes:
        """A line, cut off after *size* bytes."""
        return self._counted(self._file.readline(size))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            came = f"a gzip file of {self._size} bytes that expands to more than {MAX_RATIO} times"
            raise BadInput("capture", came, f"at most that, or {ALWAYS >> 20} MiB")
        return data
