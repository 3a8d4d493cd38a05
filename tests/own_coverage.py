"""How many lines of each module its own test file runs: `slicer/x/y.py` by `tests/x/test_y.py`.

python -m tests.own_coverage [MODULE]…    (all modules, or those named as rooms/whip/room.py)

The tests run with one context for each (coverage.py, "dynamic contexts"), by the reference, whose
lines can be counted, and those of NATIVE by the native plane as well. A line counts where a test of
the module's own file ran it, or where importing it did; what other tests run does not count. A test
that fails is run once more, as by `make test`, and what it runs then counts as well.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from tempfile import TemporaryDirectory

from coverage import Coverage

from tests.test_mirror import EXCUSED, MODULES, ROOT, mirror

FLOOR = 90.0
"""Per cent of a module's lines."""

# Modules below the floor: what their own tests must run at least, and why it is no more.
COMMAND = "its tests run it as a command, in a process that is not measured"
EXCEPTIONS: dict[str, tuple[float, str]] = {
    "cli/garbage_collection.py": (55.0, "it changes a process for good: measured apart"),
    "cli/serve.py": (55.0, COMMAND),
    "cli/worker.py": (50.0, COMMAND),
    "delivery/outbox.py": (78.0, "judges: contract/test_judged_slices.py; test_sharing.py"),
    "demo/demo.py": (40.0, COMMAND),
    "demo/publisher.py": (85.0, COMMAND),
    "hot.py": (75.0, "a build without a plane: its tests run it in a process that is not measured"),
    "moderation/shumei.py": (80.0, "several pictures in a request: contract/test_batches.py"),
    "rtp/codecs/nal.py": (50.0, "through H.264 and H.265: rtp/codecs/test_h264.py, test_h265.py"),
    "service/service.py": (78.0, "what a worker of a fleet has it do: service/test_worker.py"),
    "storage/oss.py": (85.0, "contract/test_storage.py; reading: storage/test_reading.py"),
    "webrtc/negotiation.py": (80.0, "answers to our offers: webrtc/test_proposal.py"),
    "webrtc/transport.py": (25.0, "below a connection: webrtc/test_connection.py"),
}

# Modules with lines that only the native plane runs.
NATIVE = ("hot.py", "media/extent.py", "media/levels.py", "webrtc/native_path.py")
MEASURED = [one for one in MODULES if one not in EXCUSED]
# As many examples as are needed to run lines, always the same ones.
PYTEST = (
    "-q", "--dist", "loadfile", "--hypothesis-profile", "few",
    "--cov=slicer", "--cov-context=test", "--cov-report=", "--cov-append",
)  # fmt: skip


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
    def missing(self) -> str:
        """The lines that were not run, neighbours in the module's code as one: `8-11, 20`."""
        missing = []
        for lacks, group in groupby(sorted(self.lines), key=lambda line: line not in self.run):
            lines = list(group)
            if lacks:
                missing.append(str(lines[0]) if len(lines) == 1 else f"{lines[0]}-{lines[-1]}")
        return ", ".join(missing)


def measure(modules: list[str], data: str) -> int:
    """Run the modules' own tests and write what they ran to the file *data*; pytest's status."""
    status = 0
    for native in "01":
        files = [f"tests/{mirror(one)}" for one in modules if native == "0" or one in NATIVE]
        if files:
            status |= run(files, data, native)
    return status


def run(files: list[str], data: str, native: str) -> int:
    """Run tests and add to the file *data* what they ran; once more those that fail, one by one.
    Pytest's status: 1 where a test failed twice."""
    workers = max(1, min(int(os.environ.get("WORKERS", "3")), len(files) - 1))
    told = {"COVERAGE_FILE": data, "SLICER_NATIVE": native}
    pytest = [sys.executable, "-m", "pytest", *PYTEST, "-o", f"cache_dir={data}-cache{native}"]
    status = 0
    # With no worker at all, pytest-cov would give the lines to no test.
    for how in (["-n", str(workers)], ["-n", "1", "--last-failed"]):
        status = subprocess.call([*pytest, *how, *files], env=os.environ | told, cwd=ROOT)
        if status != 1:
            break
    return status


def read(modules: list[str], data: str) -> Iterator[Covered]:
    """What was measured of each module."""
    coverage = Coverage(data_file=data)
    coverage.load()
    for module in modules:
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
    """Modules below their floor, with what to do; and exceptions that no module needs."""
    for one in measured:
        floor, _ = exceptions.get(one.module, (FLOOR, ""))
        if one.percent < floor:
            yield (
                f"slicer/{one.module}: tests/{mirror(one.module)} runs {one.percent:.1f} % of its "
                f"lines, and {floor:g} % is the least; not run: {one.missing}"
            )
        elif one.module in exceptions and one.percent >= FLOOR:
            yield (
                f"slicer/{one.module}: {one.percent:.1f} % needs no exception any more: take it "
                "out of EXCEPTIONS in tests/own_coverage.py"
            )


def main(*modules: str) -> int:
    wanted = [one.removeprefix("slicer/") for one in modules] or MEASURED
    if unknown := [one for one in wanted if one not in MEASURED]:
        print(f"not a module with tests of its own: {', '.join(unknown)}", file=sys.stderr)
        return 2
    with TemporaryDirectory() as folder:
        status = measure(wanted, f"{folder}/data")
        if status > 1:  # pytest ran nothing, or not to its end
            return status
        measured = list(read(wanted, f"{folder}/data"))
    found = list(faults(measured, EXCEPTIONS))
    for fault in found:
        print(fault, file=sys.stderr)
    lines = sum(len(one.lines) for one in measured)
    run = sum(len(one.lines & one.run) for one in measured)
    print(
        f"==> {len(measured)} modules by their own tests: {100 * run / lines:.1f} % of {lines} "
        f"lines; {len(EXCEPTIONS)} exceptions, {len(found)} faults"
    )
    if found:
        print(
            "Write tests of what the lines do into the module's own test file, and look again by "
            "`make coverage OF=MODULE`; where only another test can run them, say so in EXCEPTIONS "
            "in tests/own_coverage.py",
            file=sys.stderr,
        )
    return status or bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
