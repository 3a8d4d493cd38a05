"""The measures the project set itself: sizes, words that must not occur, errors, docstrings."""

import ast
import gc
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from enum import StrEnum
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest

from slicer import errors
from tests.conftest import LONGEST

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("slicer/**/*.py"))
PYTHON = sorted([*SOURCES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/**/*.py")])
CORE = [path for path in SOURCES if path.relative_to(ROOT).parts[1] in {"rtp", "slicing"}]
CORE_TESTS = [
    path
    for path in PYTHON
    if path.relative_to(ROOT).parts[:2] in {("tests", "rtp"), ("tests", "slicing")}
]

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_ERROR_CLASSES = 17

# Where a file was written, or what it was installed from, must not show in it.
LEAKS = re.compile(
    r"(?<![\w.:])/(?:work|root|home/\w+|Users/\w+|opt/pypi|opt/wheels)/"
    r"|\b(?:index-url|find-links|trusted-host)\b"
    r"|\bfiles\.pythonhosted\.org\b|\bregistry\.npmjs\.org\b"
)


@pytest.fixture(scope="module")
def trees() -> Iterator[dict[Path, ast.Module]]:
    """All Python that there is, read once. A million nodes, none of them garbage: collections
    would take four times as long as the parser."""
    gc.disable()
    yield {path: ast.parse(path.read_text()) for path in PYTHON}
    gc.enable()


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def comments(text: str) -> Iterator[str]:
    """The comments of a source, strings that merely look like one excepted."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def names_used(tree: ast.Module) -> set[str]:
    """Every name and attribute that occurs in a source."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def oversized(name: str, text: str, tree: ast.Module) -> Iterator[str]:
    """What is too long in a file: the file, a function of it."""
    if (lines := len(text.splitlines())) > MAX_FILE_LINES:
        yield f"{name} has {lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{name}: {node.name} has {length} lines"


def test_no_file_and_no_function_is_too_long(trees: dict[Path, ast.Module]) -> None:
    faults = [oversized(named(path), path.read_text(), tree) for path, tree in trees.items()]
    assert list(chain(*faults)) == []


def test_what_is_too_long_is_found() -> None:
    def found(text: str) -> list[str]:
        return list(oversized("x.py", text, ast.parse(text)))

    body = "    pass\n" * MAX_FUNCTION_LINES
    assert found(f"def f():\n{body}") == ["x.py: f has 61 lines"]
    assert found(f"async def f():\n{body}") == ["x.py: f has 61 lines"]
    assert found("x = 1\n" * 501) == ["x.py has 501 lines"]
    assert not found(f"def f():\n{body[9:]}" + "x = 1\n" * 440)


def test_every_module_has_a_docstring(trees: dict[Path, ast.Module]) -> None:
    lacking = [named(path) for path, tree in trees.items() if not ast.get_docstring(tree)]
    assert trees
    assert lacking == []


def test_the_core_has_no_ignored_types() -> None:
    assert CORE
    ignored = {
        named(path)
        for path in CORE
        for comment in comments(path.read_text())
        if "type: ignore" in comment
    }
    assert ignored == set()


def test_an_ignored_type_is_found_and_a_string_is_none() -> None:
    assert list(comments("x = 1  # type: ignore\ny = '# type: ignore'\n")) == ["# type: ignore"]


def test_tests_of_the_core_do_not_sleep(trees: dict[Path, ast.Module]) -> None:
    assert CORE_TESTS
    sleepers = {named(path) for path in CORE_TESTS if "sleep" in names_used(trees[path])}
    assert sleepers == set()


def test_a_sleeper_is_found() -> None:
    assert "sleep" in names_used(ast.parse("import time\ntime.sleep(1)"))
    assert "sleep" in names_used(ast.parse("from time import sleep\nsleep(1)"))


def privates_named(tree: ast.Module) -> Iterator[str]:
    """Private names of ours that a source names in a way which ruff's SLF001 does not see: those it
    imports, and those it sets or gets by a string."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("slicer."):
                yield from (one.name for one in node.names if re.match("_[a-z]", one.name))
            case ast.Call(
                func=ast.Name("getattr") | ast.Attribute(attr="setattr"), args=[target, name, *_]
            ):
                for one in (target, name):
                    if isinstance(one, ast.Constant):
                        yield from re.findall(r"(?:^|\.)(_[a-z]\w*)$", str(one.value))


def test_tests_name_no_privates(trees: dict[Path, ast.Module]) -> None:
    tests = {named(path): tree for path, tree in trees.items() if named(path)[:6] == "tests/"}
    found = {
        name: private
        for name, tree in tests.items()
        for private in privates_named(tree)
        if private not in {"_exit", "_connect_to_server"}  # of os, and public; of NATS' client
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "from slicer.x import _y",
        "monkeypatch.setattr(x, '_y', 1)",
        "monkeypatch.setattr('slicer.x._y', 1)",
        "getattr(x, '_y')",
    ],
)
def test_a_private_that_is_named_is_found(text: str) -> None:
    assert list(privates_named(ast.parse(text))) == ["_y"]


# What was done to a value, in place of what it is.
PARTICIPLES = {"told", "said", "made", "given"}


def misnamed(tree: ast.AST) -> Iterator[str]:
    """Variables and arguments that are named by a participle."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                name = getattr(node, "arg", getattr(node, "id", ""))
                is_set = isinstance(getattr(node, "ctx", ast.Store()), ast.Store)
                if is_set and name in PARTICIPLES and not isinstance(node, ast.keyword):
                    yield f"{function.name}: {name}"


def test_variables_are_named_by_what_they_are(trees: dict[Path, ast.Module]) -> None:
    ours = {named(path): tree for path, tree in trees.items() if path in SOURCES}
    assert [f"{name}: {found}" for name, tree in ours.items() for found in misnamed(tree)] == []


def test_a_participle_is_found() -> None:
    source = "def f(told):\n    said = told\n    return g(made=[given for given in said])"
    assert list(misnamed(ast.parse(source))) == ["f: told", "f: said", "f: given"]


def settings_of(path: Path) -> list[type]:
    """The dataclasses of settings in a source."""
    if not re.search(r"^class \w*Settings\b", path.read_text(), re.MULTILINE):
        return []
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = [one for name, one in vars(module).items() if name.endswith("Settings")]
    ours = [one for one in found if isinstance(one, type) and one.__module__ == module.__name__]
    return [one for one in ours if is_dataclass(one)]


def is_callable(kind: object) -> bool:
    """Whether values of a type are called: a Callable, a class with `__call__`, or a type that is
    made of one."""
    called = Callable in (kind, get_origin(kind))
    called |= isinstance(kind, type) and "__call__" in dir(kind)
    return called or any(map(is_callable, get_args(kind)))


def test_no_settings_hold_callables() -> None:
    """What a file says can be read, shown and compared; what is called is an argument."""
    found = [one for path in SOURCES for one in settings_of(path)]
    assert len(found) > 20
    callables = [
        f"{one.__name__}.{name}"
        for one in found
        for name, kind in get_type_hints(one).items()
        if is_callable(kind)
    ]
    assert callables == []


@pytest.mark.parametrize(
    "kind",
    [Callable, Callable[[], int], int | Callable[[], int], tuple[Callable[[], int]], type],
)
def test_a_callable_is_found(kind: object) -> None:
    assert is_callable(kind)


@pytest.mark.parametrize("kind", [str, int | None, tuple[str, ...], Path, StrEnum])
def test_what_is_no_callable_passes(kind: object) -> None:
    assert not is_callable(kind)


@pytest.fixture(scope="module")
def error_classes(trees: dict[Path, ast.Module]) -> set[str]:
    """All classes of the package that are errors, wherever they are defined."""
    found = {"Exception", "ValueError", "OSError", "RuntimeError", "KeyError", "LookupError"}
    builtin = frozenset(found)
    classes = [
        node for path in SOURCES for node in ast.walk(trees[path]) if isinstance(node, ast.ClassDef)
    ]
    before = 0
    while before != len(found):  # until the tree has no further generation
        before = len(found)
        found |= {
            node.name
            for node in classes
            for base in node.bases
            if isinstance(base, ast.Name) and base.id in found
        }
    return found - builtin


def test_few_error_classes(error_classes: set[str]) -> None:
    assert 0 < len(error_classes) <= MAX_ERROR_CLASSES


def test_the_tree_of_errors_is_drawn(error_classes: set[str]) -> None:
    found = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, BaseException)
    ]
    assert {error.__name__ for error in found} <= error_classes
    assert all(issubclass(error, errors.SlicerError) and error.__doc__ for error in found)
    assert not [error for error in found if error.__name__ not in (errors.__doc__ or "")]


def tracked() -> list[Path]:
    """The files under version control; all files where there is none (an unpacked archive)."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listing.stdout.split("\0") if listing.returncode == 0 else []
    return [ROOT / name for name in names if name and (ROOT / name).is_file()] or PYTHON


def test_no_tracked_file_tells_where_it_was_made() -> None:
    leaks = []
    for path in tracked():
        if path == Path(__file__):
            continue
        text = path.read_bytes().decode(errors="replace")
        leaks += [f"{named(path)}: {found[0]}" for found in LEAKS.finditer(text)]
    assert leaks == []


@pytest.mark.parametrize(
    "text", ["see /home/ann/x", "'/root/.cache'", "--find-links x", "/Users/ann/y"]
)
def test_a_leak_is_found(text: str) -> None:
    assert LEAKS.search(text)


@pytest.mark.parametrize("text", ["https://example.org/work/x", "slicer/root/x", "$HOME/x"])
def test_what_is_no_leak_passes(text: str) -> None:
    assert not LEAKS.search(text)


def real_tests(variable: str) -> set[str]:
    """The tests on real parts that the Makefile names in a variable, as `sdk`."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (value,) = re.findall(rf"^{variable} := (.*)$", makefile, re.MULTILINE)
    words = value.removeprefix("$(patsubst %,tests/real/test_%.py,").removesuffix(")").split()
    return {Path(word).stem.removeprefix("test_") for word in words}


def test_files_that_are_named_for_their_time_are_there() -> None:
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
    there = {path.stem.removeprefix("test_") for path in ROOT.glob("tests/real/test_*.py")}
    named = [name for each in ("SERVERS", "ALONE") for name in sorted(real_tests(each))]
    assert {*named} <= there
    assert len(named) == len({*named}), "each at one time"


def test_no_browser_publishes_beside_what_computes() -> None:
    """It would date its media wrongly, for want of CPU."""
    servers = real_tests("SERVERS")
    assert len(servers) > 10
    sources = {name: (ROOT / f"tests/real/test_{name}.py").read_text() for name in servers}
    assert [name for name, text in sources.items() if "PublishOptions" in text] == []
    assert "PublishOptions" in (ROOT / "tests/real/test_chromium.py").read_text()
