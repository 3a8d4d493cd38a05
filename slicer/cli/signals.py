"""SIGINT and SIGTERM: the first one ends what runs in order, the second one at once. SIGHUP ends in
order as well, or has settings read again."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable

from slicer.cli.exits import INTERRUPTED


def end_on_signals(end: Callable[[], object], reload: Callable[[], object] | None = None) -> None:
    """Call *end* at the first signal; in a running loop. *reload*: what SIGHUP does instead."""
    loop = asyncio.get_running_loop()
    ending: list[object] = []
    # Asked now: one that is gone says that it is no terminal.
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def signalled() -> None:
        if ending:
            os._exit(INTERRUPTED)
        ending.append(end())

    def hung_up() -> None:
        # The terminal may be gone, and who writes to it would fail. It is told of more than once
        # (by the shell and by the kernel), so that a second one ends nothing at once.
        _leave(terminals)
        if not ending:
            ending.append(end())

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, reload)
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        loop.add_signal_handler(signal.SIGHUP, hung_up)


def has_terminal() -> bool:
    """Whether a terminal is written to: SIGHUP says then that it is gone, and else that settings
    have changed."""
    return any(stream.isatty() for stream in (sys.stdout, sys.stderr))


def _leave(terminals: Iterable[int]) -> None:
    """Have nothing more written to terminals; a file or a pipe is written to the end."""
    with open(os.devnull, "w") as nowhere:
        for descriptor in terminals:
            os.dup2(nowhere.fileno(), descriptor)
