"""What all tests share: the real parts that are started once for a session."""

from hypothesis import settings

from tests.harness.seaweed import seaweed

__all__ = ["seaweed"]

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
