"""Every module that has code has a test file of the same name, and every test file its module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Modules without a test file of their own, and why.
EXCUSED = {
    "webhooks/__init__.py": "a record",
    "rtp/codecs/frame.py": "two Protocols and one record",
    "rtp/parameters.py": "constants and records",
    "webrtc/carrier.py": "records and a Protocol",
    "delivery/outcome.py": "a Protocol and counters",
    "service/order.py": "records and a Protocol",
    "slicing/facts.py": "records",
    "slicing/outputs.py": "records",
}
# Test files that stand for no single module, and why.
AT_LARGE = {
    "test_readme.py",
    "test_layers.py",
    "test_mirror.py",
    "test_yardsticks.py",
    "test_example.py",
}
AT_LARGE_FOLDERS = {"bench", "contract", "real", "harness", "native"}


def has_code(path: Path) -> bool:
    """Whether a module has a function or class, and so something to test."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


def mirror(module: str) -> str:
    """Where the tests of a module are: `rooms/__init__.py` has `rooms/test_init.py`."""
    path = Path(module)
    return (path.parent / f"test_{path.stem.strip('_')}.py").as_posix()


SOURCES = ROOT.glob("slicer/**/*.py")
ALL = {path.relative_to(ROOT / "slicer").as_posix(): has_code(path) for path in SOURCES}
MODULES = sorted(module for module, code in ALL.items() if code)
TESTS = sorted(path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/test_*"))


@pytest.mark.parametrize("module", [module for module in MODULES if module not in EXCUSED])
def test_every_module_has_its_test(module: str) -> None:
    assert mirror(module) in TESTS


@pytest.mark.parametrize("module", EXCUSED)
def test_no_excuse_is_stale(module: str) -> None:
    assert module in MODULES
    assert mirror(module) not in TESTS


@pytest.mark.parametrize("test", TESTS)
def test_every_test_file_has_its_module(test: str) -> None:
    stands_alone = test in AT_LARGE or test.split("/", maxsplit=1)[0] in AT_LARGE_FOLDERS
    assert stands_alone or test in {mirror(module) for module in ALL}
