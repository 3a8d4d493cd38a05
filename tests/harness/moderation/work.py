"""What worker processes do in tests, in place of the models' work."""

import os
import time


def load(_settings: object) -> None:
    """Nothing to load."""


def process(_data: bytes, _read: bool) -> int:
    return os.getpid()


def hang(_data: bytes, _read: bool) -> None:
    time.sleep(600)
