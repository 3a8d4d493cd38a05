"""What fuzzing found worth keeping is run again, with memory and arithmetic watched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "tests/fuzz"
TARGETS = sorted(path.stem for path in FUZZ.glob("*.c") if path.stem != "main")
COMPILER = shutil.which(os.environ.get("CC", "cc"))
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = ["-std=c11", "-O0", "-g1", "-ffp-contract=off", "-Wall", "-Wextra", f"-I{ROOT / 'native'}"]

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def run(*command: str | Path, folder: Path) -> None:
    """Run to the end; what it says is in the failure."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the native plane and the driver, compiled once."""
    folder = tmp_path_factory.mktemp("objects")
    assert COMPILER
    ours = (one for one in (ROOT / "native").glob("*.c") if not one.with_suffix(".pyx").exists())
    sources = [*sorted(ours), FUZZ / "main.c"]
    run(COMPILER, *FLAGS, *SANITIZED, "-c", *sources, folder=folder)
    return folder


def corpus(target: str) -> list[Path]:
    """The inputs of one target that are under version control."""
    return sorted((FUZZ / "corpus" / target).iterdir())


@needs_compiler
@pytest.mark.parametrize("target", TARGETS)
def test_no_known_input_breaks_a_part(target: str, objects: Path) -> None:
    binary = objects / target
    compiled = sorted(objects.glob("*.o"))
    source = FUZZ / f"{target}.c"
    libraries = ["-ldl", "-lpthread", "-lm"]
    assert COMPILER
    run(COMPILER, *FLAGS, *SANITIZED, source, *compiled, "-o", binary, *libraries, folder=objects)
    run(binary, *corpus(target), folder=objects)


@pytest.mark.parametrize("target", TARGETS)
def test_a_corpus_is_there_and_small(target: str) -> None:
    sizes = [path.stat().st_size for path in corpus(target)]
    assert 0 < len(sizes) <= 200
    assert sum(sizes) <= 300_000


@needs_compiler
def test_a_fault_is_found(objects: Path, tmp_path: Path) -> None:
    source = tmp_path / "faulty.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data[size] & 1; }\n"
    )
    (tmp_path / "input").write_bytes(b"x")
    assert COMPILER
    driver = objects / "main.o"
    run(COMPILER, *FLAGS, *SANITIZED, source, driver, "-o", "faulty", folder=tmp_path)
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        run(tmp_path / "faulty", tmp_path / "input", folder=tmp_path)
