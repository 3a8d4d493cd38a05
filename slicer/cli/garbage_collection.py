"""Settings of Python's garbage collector for the command's own process; an embedding program keeps
its own."""

import gc

YOUNG = 20_000
"""Objects made and not freed after which those are looked through; Python's own number is 700."""


def tune() -> None:
    """Leave what is there out of all collections to come, and collect less often.

    What start-up made (modules, classes) stays as long as the process, yet every full collection
    looks through it and stops all threads meanwhile: with 500 anchors 0.1 s, many times a minute.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
