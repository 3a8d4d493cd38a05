"""How many lines of each module its own test file runs: `slicer/x/y.py` by `tests/x/test_y.py`.

python -m tests.own_coverage [DATA]

DATA was written by pytest with `--cov-context=test` (`make coverage`). A line counts where a test
of the module's own file ran it, or where importing it did; what other tests run does not count.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coverage import Coverage

from tests.test_mirror import EXCUSED, MODULES, ROOT, mirror

FLOOR = 90.0
"""Per cent of a module's lines."""

# Modules below the floor: what their own tests must run at least, and why it is no more.
COMMAND = "its tests run it as a command, in a process that is not measured"
EXCEPTIONS: dict[str, tuple[float, str]] = {
    "cli/garbage_collection.py": (55.0, "it changes a process for good: measured apart"),
    "cli/serve.py": (55.0, COMMAND),
    "cli/signals.py": (40.0, COMMAND),
    "delivery/outbox.py": (80.0, "judges, and a spool: contract/test_judged_slices.py"),
    "demo/demo.py": (40.0, COMMAND),
    "demo/publisher.py": (85.0, COMMAND),
    "hot.py": (75.0, "a build without a plane: its tests run it in a process that is not measured"),
    "http/server.py": (80.0, "what goes wrong: http/test_acceptor.py, test_connection.py"),
    "moderation/local/workers.py": (85.0, "what a worker does, in a process that is not measured"),
    "rtp/codecs/h264.py": (75.0, "every depacketizer's suite: contract/test_depacketizer.py"),
    "rtp/codecs/nal.py": (50.0, "through H.264 and H.265: rtp/codecs/test_h264.py, test_h265.py"),
    "slicing/receiver.py": (80.0, "below a bundle: slicing/test_bundle.py"),
    "webrtc/negotiation.py": (80.0, "answers to our offers: webrtc/test_proposal.py"),
    "webrtc/transport.py": (25.0, "below a connection: webrtc/test_connection.py"),
}


@dataclass(frozen=True)
class Covered:
    """The lines of a module: those with code, and those that its own tests ran."""

    module: str
    lines: frozenset[int]
    run: frozenset[int]

    @property
    def percent(self) -> float:
        return 100.0 * len(self.lines & self.run) / len(self.lines) if self.lines else 100.0

    @property
    def missing(self) -> list[int]:
        return sorted(self.lines - self.run)


def read(data: str) -> Iterator[Covered]:
    """What was measured of each module that has a test file of its own."""
    coverage = Coverage(data_file=data)
    coverage.load()
    for module in MODULES:
        if module in EXCUSED:
            continue
        path = str(ROOT / "slicer" / module)
        lines = frozenset(coverage.analysis2(path)[1])
        contexts = coverage.get_data().contexts_by_lineno(path)
        yield Covered(module, lines, own_lines(module, contexts))


def own_lines(module: str, contexts: Mapping[int, list[str]]) -> frozenset[int]:
    """The lines that an import ran (no context) or a test of the module's own file."""
    own = f"tests/{mirror(module)}::"
    return frozenset(
        line
        for line, tests in contexts.items()
        if any(not test or test.startswith(own) for test in tests)
    )


def faults(measured: list[Covered], exceptions: Mapping[str, tuple[float, str]]) -> Iterator[str]:
    """Modules below their floor, and exceptions that no module needs."""
    for one in measured:
        floor, _ = exceptions.get(one.module, (FLOOR, ""))
        if one.percent < floor:
            numbers = ", ".join(map(str, one.missing))
            yield f"{one.module}: {one.percent:.1f} %, floor {floor:g} %; not run: {numbers}"
        elif one.module in exceptions and one.percent >= FLOOR:
            yield f"{one.module}: {one.percent:.1f} % needs no exception any more"
    for module in exceptions.keys() - {one.module for one in measured}:
        yield f"{module}: an exception for a module that is not there"


def main(data: str = ".coverage") -> int:
    measured = list(read(data))
    found = list(faults(measured, EXCEPTIONS))
    for fault in found:
        print(fault, file=sys.stderr)
    lines = sum(len(one.lines) for one in measured)
    run = sum(len(one.lines & one.run) for one in measured)
    print(
        f"==> {len(measured)} modules by their own tests: {100 * run / lines:.1f} % of {lines} "
        f"lines; {len(EXCEPTIONS)} exceptions, {len(found)} faults"
    )
    return bool(found) or not run


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
