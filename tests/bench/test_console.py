"""What the console's benchmark reads out of a browser's trace."""

from typing import Any

from bench.console import main_thread, work


def span(name: str, begins: float, lasts: float, thread: int = 1) -> dict[str, Any]:
    times = {"ts": begins, "dur": lasts, "tdur": lasts}
    return {"ph": "X", "name": name, "pid": 7, "tid": thread} | times


def test_work_is_of_its_kind_alone() -> None:
    events = [
        span("ThreadControllerImpl::RunTask", 0, 10_000),
        span("FireAnimationFrame", 1_000, 6_000),
        span("PrePaint", 2_000, 1_000),
        span("FunctionCall", 3_500, 2_000),
        span("Layout", 4_000, 500),
        span("UpdateLayoutTree", 8_000, 1_000),
        span("RasterTask", 0, 3_000, thread=2),
        span("Decode Image", 500, 1_000, thread=2),
        {"ph": "X", "name": "Layout", "pid": 8, "tid": 1, "ts": 0, "dur": 9_000, "tdur": 9_000},
    ]
    spent = work(events)
    assert spent["script"] == 6 - 1 - 0.5
    assert (spent["layout"], spent["style"], spent["paint"], spent["raster"]) == (0.5, 1, 1, 3)
    assert main_thread(events) == (1, [10])
