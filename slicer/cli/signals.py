"""SIGINT and SIGTERM: the first one ends what runs in order, the second one at once."""

import asyncio
import os
import signal
from collections.abc import Callable

from slicer.cli.exits import INTERRUPTED


def end_on_signals(end: Callable[[], object]) -> None:
    """Call *end* at the first signal; in a running loop."""
    loop = asyncio.get_running_loop()
    ending: list[object] = []

    def signalled() -> None:
        if ending:
            os._exit(INTERRUPTED)
        ending.append(end())

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
