"""Files that survive a loss of power: written whole, and forced to the disk."""

import os
from pathlib import Path


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it: one call of the system may take less. Raises OSError."""
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
