"""Count the instructions of the native packet path, case by case: python -m bench.instructions

Compiles driver.c with the C sources and the flags of the build, runs each of its cases under
callgrind, and compares with counts.json. It shows and does not judge: the exit code is 0, or 2
where nothing can be counted.
"""

import argparse
import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.instructions import callgrind
from bench.instructions.counts import Count, Counts, differences, read, table, write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMITTED = HERE / "counts.json"
# The sockets and threads around the packet path.
LEFT_OUT = {"plane.c", "peer.c", "listener.c"}
HOTTEST = 10


class CannotCount(Exception):
    """Something is missing; says what to install."""


def flags() -> list[str]:
    """What the extension is compiled with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (hot,) = project["tool"]["setuptools"]["ext-modules"]
    return [*hot["extra-compile-args"], "-fPIC"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, show, and store where told to; the exit code."""
    options = parse_arguments(arguments)
    try:
        now, hottest = count(options.cases)
    except CannotCount as missing:
        print(f"instructions cannot be counted: {missing}", file=sys.stderr)
        return 2
    committed = read(COMMITTED)
    print(table(committed, now))
    if committed and (others := differences(committed, now)):
        print("NOT COMPARABLE, counted with other tools:", *others, sep="\n  ")
    if options.functions:
        print(*(functions(name, costs, now) for name, costs in hottest.items()), sep="\n")
    if options.write:
        write(COMMITTED, now)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Those of the command line where *arguments* is None."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("cases", nargs="*", help="these alone, to look at; all where none is named")
    parser.add_argument("--write", action="store_true", help="store the counts to compare with")
    parser.add_argument("--functions", action="store_true", help="show where they went")
    options = parser.parse_args(arguments)
    if options.write and options.cases:
        parser.error("--write stores all cases")
    return options


def count(
    cases: Sequence[str],
) -> tuple[Counts, dict[str, Counter[callgrind.Function]]]:
    """Each case's counts, and its functions'."""
    compiler, valgrind = find_compiler(), find("valgrind", "valgrind")
    with tempfile.TemporaryDirectory() as folder:
        driver = compile_driver(compiler, Path(folder))
        known = run([driver]).split()
        if unknown := set(cases) - set(known):
            raise CannotCount(f"no case {', '.join(sorted(unknown))} among {', '.join(known)}")
        counted, profiles = {}, {}
        for case in cases or known:
            packets, profiles[case] = profile(valgrind, driver, case, Path(folder))
            counted[case] = shares(packets, profiles[case])
    objects = {function.object for costs in profiles.values() for function in costs}
    tools = {
        "compiler": describe(compiler),
        "flags": " ".join(flags()),
        "libc": " ".join(platform.libc_ver()),
        "memcpy": memcpy_chosen(profiles.values()),
        "libcrypto": libcrypto_version(objects),
        "valgrind": run([valgrind, "--version"]).strip(),
    }
    return Counts(tools, counted), profiles


def find(command: str, package: str) -> str:
    """Where the command is."""
    found = shutil.which(command)
    if found is None:
        raise CannotCount(f"no command {command}; on Debian: apt-get install {package}")
    return found


def find_compiler() -> str:
    """CC of the environment, or the system's."""
    return find(os.environ.get("CC") or ("cc" if shutil.which("cc") else "gcc"), "gcc libc6-dev")


def describe(compiler: str) -> str:
    """Its first words about itself, and what it compiles for."""
    return (
        f"{run([compiler, '--version']).splitlines()[0]}, {run([compiler, '-dumpmachine'])}".strip()
    )


def sources() -> list[Path]:
    """The C sources of the packet path; what Cython wrote is none."""
    files = sorted((ROOT / "native").glob("*.c"))
    return [
        one for one in files if one.name not in LEFT_OUT and not one.with_suffix(".pyx").exists()
    ]


def compile_driver(compiler: str, folder: Path) -> Path:
    """Compile each file by itself, as the build does; with names and lines for callgrind."""
    driver = folder / "driver"
    files = [*HERE.glob("*.c"), *sources()]
    run([compiler, *flags(), "-g", f"-I{ROOT / 'native'}", *files, "-o", driver, "-ldl", "-lm"])
    return driver


def check_driver() -> None:
    """Hold its calls against the plane's headers; raises CannotCount where they do not fit."""
    given = [*flags(), f"-I{ROOT / 'native'}"]
    run([find_compiler(), *given, "-Werror", "-fsyntax-only", *HERE.glob("*.c")])


def profile(
    valgrind: str, driver: Path, case: str, folder: Path
) -> tuple[int, Counter[callgrind.Function]]:
    """Run one case; its packets, and the instructions of each function."""
    out = folder / f"{case}.out"
    command: list[str | Path] = [valgrind, "--tool=callgrind", "--toggle-collect=measured*"]
    command += ["--quiet", f"--callgrind-out-file={out}", driver, case]
    packets = int(run(command).removeprefix("packets "))
    return packets, callgrind.parse(out.read_text())


def shares(packets: int, costs: Counter[callgrind.Function]) -> Count:
    """Per packet, by whose they are; the driver's own are nobody's."""
    sums = Counter[str]()
    for function, instructions in costs.items():
        sums[owner(function)] += instructions
    native, libc, libcrypto = (
        round(sums[whose] / packets, 2) for whose in ("native", "libc", "libcrypto")
    )
    return Count(packets, native, libc, libcrypto)


def owner(function: callgrind.Function) -> str:
    """Whose instructions these are: native, driver, libcrypto, or libc (with the loader)."""
    if "libcrypto" in Path(function.object).name:
        return "libcrypto"
    if Path(function.object).name != "driver":
        return "libc"
    return "driver" if Path(function.file).parent == HERE else "native"


def functions(case: str, costs: Counter[callgrind.Function], now: Counts) -> str:
    """Those that ran most instructions: a packet, and their share of all but the driver's."""
    packets = now.cases[case].packets
    counted = Counter({one: cost for one, cost in costs.items() if owner(one) != "driver"})
    lines = [f"\n{case}"]
    for one, cost in counted.most_common(HOTTEST):
        share = cost / counted.total()
        lines.append(f"  {cost / packets:10.1f} {share:6.1%}  {one.name} ({owner(one)})")
    return "\n".join(lines)


def memcpy_chosen(profiles: Iterable[Iterable[callgrind.Function]]) -> str:
    """The C library has one for each kind of processor, and each runs another number."""
    names = {one.name for costs in profiles for one in costs if owner(one) == "libc"}
    return " ".join(sorted(name for name in names if re.match("__mem(cpy|move)", name)))


def libcrypto_version(objects: set[str]) -> str:
    """What the library says that the driver was bound to."""
    paths = [path for path in objects if "libcrypto" in Path(path).name]
    if not paths:
        return "not used"
    version = ctypes.CDLL(paths[0]).OpenSSL_version
    version.restype = ctypes.c_char_p
    return str(version(0).decode())


def run(command: Sequence[str | Path]) -> str:
    """What a command prints; it sees nothing of the environment that could change the figures."""
    kept = {name: os.environ[name] for name in ("PATH", "SLICER_LIBCRYPTO") if name in os.environ}
    done = subprocess.run(
        [*command], env=kept | {"LD_BIND_NOW": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise CannotCount(f"{Path(command[0]).name}: {said}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
