"""What all tests share: the real parts that are started once for a session."""

import gc

from hypothesis import settings

from slicer import hot
from tests.harness.storage.azure_front import az
from tests.harness.storage.cos_front import cos
from tests.harness.storage.gcs_front import gs
from tests.harness.storage.oss_front import oss
from tests.harness.storage.seaweed import seaweed

# With SLICER_NATIVE=1 nothing may be tested on the reference.
hot.check()

__all__ = ["az", "cos", "gs", "oss", "seaweed"]

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# For what counts lines (tests/own_coverage.py); where a test says its number itself, that holds.
settings.register_profile("few", deadline=None, max_examples=20, derandomize=True)


def pytest_collection_finish() -> None:
    """Collections look at what came since the imports: a test with one for each example of
    hypothesis takes a tenth of the time."""
    gc.collect()
    gc.freeze()
