"""What this process has open."""

import os


def descriptors() -> int:
    """How many files and sockets."""
    return len(os.listdir("/proc/self/fd"))
