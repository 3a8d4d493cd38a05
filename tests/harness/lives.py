"""Lives that a test ends by force: a process that forks one for each order on its standard input.

What is imported is imported once. A pid is said as its life begins, the exit code as it ends.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any


def serve(life: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Live once for each line, an order in JSON, until there are no more."""

    async def live(order: dict[str, Any]) -> None:
        await life(order)

    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.run(live(order))
                code = 0
            finally:
                os._exit(code)
        _say(str(pid))
        _, status = os.waitpid(pid, 0)
        _say(str(os.waitstatus_to_exitcode(status)))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
