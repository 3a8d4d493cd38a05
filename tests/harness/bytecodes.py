"""How much work something is, where time would say how busy the machine is."""

import sys
from collections.abc import Callable
from types import FrameType


def bytecodes(work: Callable[[], object]) -> int:
    """How many bytecodes run."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(before)
    return count
