"""Imports point down only, and what must not be imported is not: read from the source by `ast`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("slicer/**/*.py"))

# From the top down; names on one line never import each other.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"demo"},
    {"api", "console"},
    {"service"},
    {"fleet", "metrics", "logs"},
    {"engine"},
    {"delivery"},
    {"rooms", "storage", "moderation", "webhooks"},
    {"webrtc"},
    {"media"},
    {"hot"},
    {"slicing"},
    {"rtp"},
    {
        *("http", "sqlite", "threads", "clock", "background", "usersig", "config"),
        *("entry_points", "files", "permissions", "tc3"),
    },
    {"wal", "errors"},
]
LEVEL = {name: len(LAYERS) - row for row, names in enumerate(LAYERS) for name in names}
CORE = {"rtp", "slicing"}
NOT_IN_CORE = {"time", "asyncio", "socket", "threading", "os", "random", "logging"}
WEBRTC = {"aiortc", "aioice", "pylibsrtp", "OpenSSL"}
WEBRTC_FILES = {
    "webrtc/srtp.py",
    "webrtc/ice_servers.py",
    "webrtc/transport.py",
    "webrtc/lite/agent.py",
    "webrtc/lite/dtls.py",
    "webrtc/loop_path.py",
    "demo/publisher.py",
    "rooms/replay/decryption.py",
}
# The media path is chosen in one module, and no other one knows that there are two.
MEDIA_PATHS = {"slicer.webrtc.loop_path", "slicer.webrtc.native_path"}
MEDIA_PATH_FILE = "webrtc/path.py"
VENDOR_FILES = {"boto3": "storage/s3.py", "botocore": "storage/s3.py"} | {
    "qcloud_cos": "storage/cos.py",
    "alibabacloud_oss_v2": "storage/oss.py",
}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a tree; a relative import gives `.`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else node.module or ""
            if node.module and node.module.split(".")[0] == "slicer":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(name: str, tree: ast.AST) -> Iterator[str]:
    """What a file, named relative to `slicer/`, imports against the rules."""
    layer = name.split("/", maxsplit=1)[0].removesuffix(".py")
    at_top = {
        module.split(".")[0]
        for node in ast.iter_child_nodes(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in imports(node)
    }
    for module in imports(tree):
        if module in MEDIA_PATHS and name != MEDIA_PATH_FILE:
            yield f"{name} imports {module}; only {MEDIA_PATH_FILE} may"
        top, _, rest = module.partition(".")
        target = rest.split(".")[0]
        if top == "slicer" and target in LEVEL and layer in LEVEL and target != layer:
            if LEVEL[target] >= LEVEL[layer]:
                yield f"{name} imports {module}, which is not below it"
        elif top == "":
            yield f"{name} imports relatively"
        elif layer in CORE and top in NOT_IN_CORE:
            yield f"{name} imports {module}, which the core never does"
        elif top in WEBRTC and name not in WEBRTC_FILES:
            yield f"{name} imports {module}"
        elif top in VENDOR_FILES and (name != VENDOR_FILES[top] or top in at_top):
            yield f"{name} imports {module}; only {VENDOR_FILES[top]} may, inside a function"


def test_every_folder_has_its_layer() -> None:
    found = {path.relative_to(ROOT / "slicer").parts[0].removesuffix(".py") for path in SOURCES}
    assert found - {"__init__"} == LEVEL.keys()


def test_imports_point_down() -> None:
    parsed = {
        path.relative_to(ROOT / "slicer").as_posix(): ast.parse(path.read_text())
        for path in SOURCES
    }
    assert [fault for name, tree in parsed.items() for fault in faults(name, tree)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("rtp/x.py", "import time"),
        ("slicing/x.py", "def f():\n    from os import path"),
        ("slicing/x.py", "from slicer.hot import Bundle"),
        ("rooms/x.py", "from slicer.storage import Storage"),
        ("rooms/x.py", "from slicer import storage"),
        ("rooms/x.py", "from aiortc import sdp"),
        ("storage/s3.py", "import boto3"),
        ("service/x.py", "def f():\n    import boto3"),
        ("rooms/x.py", "from . import replay"),
        ("rooms/x.py", "from slicer.webrtc.native_path import native_path"),
        ("webrtc/x.py", "from slicer.webrtc import loop_path"),
    ],
)
def test_a_fault_is_found(name: str, source: str) -> None:
    assert list(faults(name, ast.parse(source)))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("storage/s3.py", "def f():\n    import boto3"),
        ("webrtc/transport.py", "import aiortc"),
        ("rooms/x.py", "import asyncio\nfrom slicer.rooms import Room\nfrom slicer.hot import R"),
        ("webrtc/path.py", "from slicer.webrtc.loop_path import LoopPath"),
        ("hot.py", "from slicer.slicing.bundle import Bundle"),
    ],
)
def test_what_is_allowed_passes(name: str, source: str) -> None:
    assert not list(faults(name, ast.parse(source)))


# The documents show the table between these lines; `python tests/test_layers.py` writes it anew.
BLOCK = re.compile(r"(?<=<!-- layers -->\n).*?(?=<!-- end of layers -->)", re.DOTALL)
PAGES = [ROOT / "docs/design.md", ROOT / "CONTRIBUTING.md"]


def block() -> str:
    """The table as the documents show it: a line for each layer, its names in their order here."""
    lines = (" · ".join(sorted(names)) for names in LAYERS if "__main__" not in names)
    return "```\n" + "".join(f"{line}\n" for line in lines) + "```\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_documents_show_this_table(page: Path) -> None:
    assert BLOCK.findall(page.read_text()) == [block()]


def tree_of(text: str) -> set[str]:
    """The paths that a page's tree of `slicer/` shows, those of folders with a slash."""
    (tree,) = re.findall(r"^```\nslicer/\n(.*?)^native/", text, re.DOTALL | re.MULTILINE)
    found, top = set[str](), ""
    for line in tree.splitlines():
        names = re.findall(r"(?<!\S)\w+(?:/|\.py)(?!\S)", line)
        if line.startswith("    "):
            found |= {top + name for name in names}
        else:
            found |= {*names}
            top = names[0]
    return found


def test_the_tree_of_the_design_is_there_and_shows_every_folder() -> None:
    shown = tree_of((ROOT / "docs/design.md").read_text())
    assert [name for name in shown if not (ROOT / "slicer" / name).exists()] == []
    assert {f"{name}/" for name in LEVEL if (ROOT / "slicer" / name).is_dir()} <= shown
    assert {"rtp/codecs/", "rooms/replay/", "demo/"} <= shown, "nested, and beside another"


# What is below the service, and is no vendor's, has no word of the product whose API that speaks.
TRTC = re.compile(r"trtc|tencent", re.IGNORECASE)


def test_the_words_of_trtc_are_the_services() -> None:
    below = ("rtp", "slicing", "media", "webrtc", "webhooks")
    paths = [path for name in below for path in (ROOT / "slicer" / name).rglob("*.py")]
    assert len(paths) > 50
    assert [path.name for path in paths if TRTC.search(path.read_text())] == []


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(BLOCK.sub(lambda _: block(), page.read_text()))
