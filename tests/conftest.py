"""What all tests share: the real parts that are started once for a session."""

from tests.harness.seaweed import seaweed

__all__ = ["seaweed"]
