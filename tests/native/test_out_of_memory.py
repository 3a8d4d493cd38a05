"""Each allocation of the packet path fails once: that is counted, costs media alone, and ends."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
COMPILER = shutil.which(os.environ.get("CC", "cc"))
FLAGS = ["-std=c11", "-O1", "-g1", "-ffp-contract=off", "-Wall", "-Wextra", f"-I{NATIVE}"]
FLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WRAPPED = ["-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc", "-ldl", "-lpthread", "-lm"]
# What Cython wrote needs Python; sockets and SRTP have no part in it.
APART = {"hot", "parts", "peer", "plane", "srtp", "srtp_crypto", "stun", "levels", "listener"}

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def build(folder: Path, *arguments: str | Path) -> None:
    """Run the compiler in a folder."""
    assert COMPILER
    subprocess.run([COMPILER, *FLAGS, *arguments], check=True, cwd=folder, timeout=300)


def run(folder: Path, objects: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    """The call of `out_of_memory.c` over this packet path."""
    program = Path(__file__).with_name("out_of_memory.c")
    build(folder, program, *objects, "-o", "call", *WRAPPED)
    return subprocess.run(
        [folder / "call"], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The packet path, compiled once."""
    folder = tmp_path_factory.mktemp("objects")
    build(folder, "-c", *(path for path in NATIVE.glob("*.c") if path.stem not in APART))
    return sorted(folder.glob("*.o"))


def test_every_allocation_may_fail(objects: list[Path], tmp_path: Path) -> None:
    done = run(tmp_path, objects)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    found = re.match(r"(\d+) allocations, (\d+) of them to set up", done.stdout)
    assert found
    assert int(found[1]) > 1_000
    assert int(found[2]) > 20


def test_a_failure_that_is_not_counted_is_found(objects: list[Path], tmp_path: Path) -> None:
    text = (NATIVE / "reporter.c").read_text()
    counted = "COUNT(it->counters, out_of_memory)"
    assert counted in text
    (tmp_path / "reporter.c").write_text(text.replace(counted, "(void)it"))
    build(tmp_path, "-c", "reporter.c")
    others = [path for path in objects if path.stem != "reporter"]
    done = run(tmp_path, [*others, tmp_path / "reporter.o"])
    assert done.returncode == 1
    assert "failed == (counted > 0)" in done.stdout
