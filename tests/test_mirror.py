"""Every module that has code has a test file of the same name, and every test file its module."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Modules without a test file of their own, and why.
EXCUSED = {
    "delivery/settings.py": "a record",
    "http/settings.py": "a record",
    "moderation/settings.py": "a record",
    "rooms/rtp/settings.py": "a record",
    "rooms/stream/settings.py": "a record",
    "rooms/trtc/settings.py": "a record",
    "rooms/livekit/settings.py": "a record",
    "rooms/whep/settings.py": "a record",
    "rooms/whip/settings.py": "a record",
    "rooms/janus/settings.py": "a record",
    "webhooks/settings.py": "a record",
    "rtp/codecs/frame.py": "two Protocols and one record",
    "rtp/parameters.py": "constants and records",
    "webrtc/link.py": "records",
    "service/order.py": "records and a Protocol",
    "service/registry.py": "a record, a Protocol, and a check that the service's tests try",
    "slicing/facts.py": "records",
    "slicing/outputs.py": "records",
}
# Test files that stand for no single module, and why.
AT_LARGE = {
    "test_distribution.py",
    "test_documents.py",
    "test_readme.py",
    "test_layers.py",
    "test_mirror.py",
    "test_own_coverage.py",
    "test_yardsticks.py",
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
TESTS = sorted(
    path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/test_*.py")
)


def test_every_module_has_its_test() -> None:
    assert MODULES
    lacking = [one for one in MODULES if one not in EXCUSED and mirror(one) not in TESTS]
    assert lacking == []


def test_no_excuse_is_stale() -> None:
    assert [one for one in EXCUSED if one not in MODULES or mirror(one) in TESTS] == []


def test_every_test_file_has_its_module() -> None:
    mirrors = {mirror(module) for module in ALL}
    lost = [
        test
        for test in TESTS
        if test not in AT_LARGE
        and test.split("/", maxsplit=1)[0] not in AT_LARGE_FOLDERS
        and test not in mirrors
    ]
    assert lost == []
    assert set(TESTS) >= AT_LARGE, "no excuse is stale"


def test_where_the_tests_of_a_module_are() -> None:
    assert mirror("rooms/whip/room.py") == "rooms/whip/test_room.py"
    assert mirror("rooms/__init__.py") == "rooms/test_init.py"
    assert mirror("hot.py") == "test_hot.py"
