"""What only the garbage collector would free: objects that nobody uses, and that hold one another.

It counts objects and not bytes, so what is some hundred bytes of Python and 200 kB of OpenSSL and
packets waits for it as long as anything else.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Free nothing but what no reference is left to."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def living(*kinds: type) -> Counter[str]:
    """How many objects there are of exactly these classes, used or not."""
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in kinds)
