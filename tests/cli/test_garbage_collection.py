"""The garbage collector of a process that is ours."""

import subprocess
import sys

# In a process of its own: what is frozen stays so.
SETTLED = """
import gc, weakref
from slicer.cli import garbage_collection

class Ring: pass

def ring():
    one = Ring()
    one.itself = one
    return weakref.ref(one)

before = ring()
kept = [[] for _ in range(100_000)]
garbage_collection.tune()
assert before() is None
assert gc.get_freeze_count() > 100_000
assert len(gc.get_objects()) < 1_000
after = ring()
assert after() is not None
kept = [[] for _ in range(garbage_collection.YOUNG + 1000)]
assert after() is None, "what became garbage later is still collected"
"""


def test_what_was_there_is_left_alone_and_what_comes_is_not() -> None:
    subprocess.run([sys.executable, "-c", SETTLED], check=True)
