"""Instructions per packet of each case: kept in a file, compared, shown."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# A rise over this share is marked.
RISE = 0.05
HEAD = ("instructions a packet", "committed", "now", "change", "native", "libc", "libcrypto")


@dataclass(frozen=True)
class Count:
    """One case, in instructions per packet, by whose they are."""

    packets: int
    native: float
    libc: float
    libcrypto: float

    @property
    def ours(self) -> float:
        """What changes of this project change; the rest of libcrypto's is its own."""
        return self.native + self.libc


@dataclass(frozen=True)
class Counts:
    """All cases, and what they were counted with: other tools give other figures."""

    tools: Mapping[str, str]
    cases: Mapping[str, Count]


def read(path: Path) -> Counts | None:
    """What is committed; None where nothing is."""
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    return Counts(
        stored["tools"], {name: Count(**count) for name, count in stored["cases"].items()}
    )


def write(path: Path, counts: Counts) -> None:
    """Store these to be compared with."""
    path.write_text(json.dumps(asdict(counts), indent=2) + "\n")


def differences(committed: Counts, now: Counts) -> list[str]:
    """What the two were not counted with alike, in words."""
    tools = {**committed.tools, **now.tools}
    return [
        f"{tool}: {committed.tools.get(tool, 'none')}, now {now.tools.get(tool, 'none')}"
        for tool in tools
        if committed.tools.get(tool) != now.tools.get(tool)
    ]


def change(committed: Count | None, now: Count) -> float | None:
    """The share by which a case rose (or, below zero, fell), as exact as it is shown."""
    if committed is None or committed.ours == 0:
        return None
    return round(now.ours / committed.ours - 1, 3)


def table(committed: Counts | None, now: Counts) -> str:
    """A line for each case; "now" is native and libc together, of which "change" is."""
    before = committed.cases if committed else {}
    rows = [HEAD, *(_row(name, before.get(name), count) for name, count in now.cases.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_aligned(row, widths) for row in rows)


def _row(name: str, committed: Count | None, now: Count) -> tuple[str, ...]:
    rose = change(committed, now)
    mark = "RISE " if rose is not None and rose > RISE else ""
    figures = (now.ours, None, now.native, now.libc, now.libcrypto)
    cells = [f"{figure:.1f}" if figure is not None else "" for figure in figures]
    cells[1] = "new" if rose is None else f"{mark}{rose:+.1%}"
    return (name, f"{committed.ours:.1f}" if committed else "-", *cells)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    name, *figures = row
    cells = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)]
    return "  ".join([name.ljust(widths[0]), *cells])
