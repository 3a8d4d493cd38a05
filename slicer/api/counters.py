"""Requests of the API by what was asked for and what came of it."""

from collections import Counter
from collections.abc import Iterator, Mapping

from slicer.api.schema import ACTIONS
from slicer.engine.sample import Histogram, Sample

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 6.0)
"""Seconds; a request that is not done after 6 s is given up."""
UNKNOWN = "unknown"
"""The action of a request that names none of ours: what callers send makes no labels."""

METRICS: Mapping[str, str] = {
    "api_requests_total": "requests answered; action, code (ok, or the code of the error)",
    "api_request_seconds": "from a request's first byte to its answer; action",
}


class ApiCounters:
    """What one API has answered."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str]] = Counter()
        self._seconds = {name: Histogram(BOUNDS) for name in (*ACTIONS, UNKNOWN)}

    def add(self, action: str, code: str, seconds: float) -> None:
        """A request was answered; *code*: `ok`, or that of its error."""
        known = action if action in ACTIONS else UNKNOWN
        self._answers[known, code] += 1
        self._seconds[known].observe(seconds)

    def samples(self) -> Iterator[Sample]:
        """Every action is there, also one that nobody has asked for."""
        for action in self._seconds:
            ok = self._answers[action, "ok"]
            yield Sample("api_requests_total", ok, (("action", action), ("code", "ok")))
        for (action, code), count in sorted(self._answers.items()):
            if code != "ok":
                yield Sample("api_requests_total", count, (("action", action), ("code", code)))
        for action, histogram in self._seconds.items():
            yield from histogram.samples("api_request_seconds", (("action", action),))
