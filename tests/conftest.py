"""What all tests share: the real parts that are started once for a session."""

from hypothesis import settings

from tests.harness.storage.cos_front import cos
from tests.harness.storage.oss_front import oss
from tests.harness.storage.seaweed import seaweed

__all__ = ["cos", "oss", "seaweed"]

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
