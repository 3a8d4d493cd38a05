"""What other packages add: installed packages, those of docs/extending.md and broken ones."""

import os
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from slicer import entry_points
from slicer.cli import main
from slicer.delivery.settings import OutboxSettings
from slicer.engine.engine import Engine
from slicer.engine.events import SliceStored
from slicer.engine.settings import Settings
from slicer.engine.spec import TaskSpec
from slicer.entry_points import MAX_NAME, Group, added, extensions, unknown
from slicer.errors import BadInput, StorageUnavailable
from slicer.media.slice import File, SliceInfo
from slicer.moderation import SUPPLIERS, Suggest, SupplierSpec, open_supplier
from slicer.moderation.settings import ModerationSettings
from slicer.rooms import CONNECTORS, parse_room
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import EndReason, TrackKey
from slicer.slicing.spec import AudioSpec, SliceParams
from slicer.storage import VENDORS, open_storage
from tests.harness.packages import install
from tests.harness.rooms.replay import talk
from tests.test_readme import PROGRAM

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PAGE = (Path(__file__).parents[1] / "docs/extending.md").read_text()
GROUPS = tomllib.loads(PAGE.split("```toml\n")[1].split("```")[0])["project"]["entry-points"]
MODULES = ("sqlite_slices", "ogg_room", "dark_supplier")


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages on the path, to be filled."""
    before = set(sys.modules)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    entry_points.declared.cache_clear()
    yield folder
    entry_points.declared.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def examples(site: Path) -> None:
    """The programs of docs/extending.md, as one installed package."""
    declared = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in GROUPS.items()
    )
    programs = PROGRAM.findall(PAGE)
    install(site, "slicer-examples", dict(zip(MODULES, programs, strict=True)), declared)


def broken(site: Path, group: Group, name: str, module: str, target: str = "make") -> None:
    text = f"[{group}]\n{name} = broken:{target}\n"
    install(site, "broken-things", {"broken": module}, text, "0.3")


def spoken(path: Path) -> Path:
    """A second of a tone as Ogg with Opus."""
    import av

    with av.open(str(path), "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        tone = (np.sin(np.arange(48_000) * 0.06) * 9_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[np.newaxis], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path


@pytest.mark.usefixtures("examples")
async def test_the_documented_room_is_cut_into_the_documented_store(tmp_path: Path) -> None:
    song = spoken(tmp_path / "song.ogg")
    path = tmp_path / "slices.db"
    spec = TaskSpec(f"ogg://{song}", f"sqlite://{path}", SliceParams(AudioSpec(15), None))
    async with Engine() as engine, engine.events() as events:
        finished = await engine.finished(await engine.create(spec))
        await engine.close()
        stored = [event async for event in events if isinstance(event, SliceStored)]
    assert (finished.reason, finished.stored, finished.lost) == (EndReason.ROOM_GONE, 1, 0)
    assert (stored[0].slice.anchor, stored[0].destination) == ("song", f"sqlite://{path}")
    assert 0.9 < stored[0].slice.seconds < 1.1
    ((key, kind, data),) = sqlite3.connect(path).execute("SELECT key, type, data FROM slices")
    assert (key, kind, data[:4]) == (stored[0].slice.key, "audio/ogg", b"OggS")


@pytest.mark.usefixtures("examples")
async def test_the_documented_store_says_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"storage: .*allowed: sqlite:///absolute/file"):
        open_storage("sqlite://host/file")
    with pytest.raises(StorageUnavailable, match="unable to open"):
        await open_storage(f"sqlite://{tmp_path}/nowhere/x.db").check()


@pytest.mark.usefixtures("examples")
async def test_the_documented_supplier_judges(tmp_path: Path) -> None:
    import av

    supplier = open_supplier(SupplierSpec("dark", image_type="50"), ModerationSettings())
    await supplier.check()
    for level, suggest in ((10, Suggest.REVIEW), (200, Suggest.PASS)):
        path = tmp_path / "one.png"
        pixels = np.full((36, 64, 3), level, np.uint8)
        av.VideoFrame.from_ndarray(pixels, "rgb24").save(str(path))
        info = SliceInfo("k", TrackKey("t", "anna", Kind.VIDEO), NOW)
        verdict = await supplier.judge(File(info, path.read_bytes(), "image/png"))
        assert verdict.suggest is suggest
    await supplier.close()
    with pytest.raises(BadInput, match=r"supplier\.image_type: got 'x'"):
        open_supplier(SupplierSpec("dark", image_type="x"), ModerationSettings())


@pytest.mark.usefixtures("examples")
def test_what_is_added_is_named_where_a_name_is_unknown() -> None:
    for raises in (
        lambda: open_storage("redis://x"),
        lambda: parse_room("teams://x"),
        lambda: open_supplier(SupplierSpec("nobody"), ModerationSettings()),
    ):
        with pytest.raises(BadInput, match=r"sqlite://|ogg://|dark"):
            raises()


@pytest.mark.usefixtures("examples")
def test_the_doctor_lists_what_is_added(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    out = " ".join(capsys.readouterr().out.split())
    for what in (
        "ok added store sqlite: sqlite_slices:open_storage of slicer-examples 1.0",
        "ok added room ogg: ogg_room:OggRooms of slicer-examples 1.0",
        "ok added supplier dark: dark_supplier:DarkSupplier of slicer-examples 1.0",
    ):
        assert what in out


@pytest.mark.parametrize(
    ("module", "target", "reason"),
    [
        ("import nowhere.at.all", "make", "ModuleNotFoundError: \"No module named 'nowhere'\""),
        ("raise SystemError('hm')", "make", "SystemError: 'hm'"),
        ("x = 1", "make", "AttributeError: "),
        ("make = 1", "make", "it is a int, which cannot be called"),
        ("def make(a, b): raise KeyError(b)", "make", "it raised KeyError"),
        ("def make(a, b): return 7", "make", "it gave a int without check, close, label, put"),
        ("make = 1", "make!", "AttributeError: "),
    ],
)
def test_one_that_is_broken_is_told_by_name_and_costs_nobody_else(
    site: Path, capsys: pytest.CaptureFixture[str], module: str, target: str, reason: str
) -> None:
    broken(site, Group.STORAGES, "shelf", module, target)
    with pytest.raises(BadInput) as refused:
        open_storage("shelf://here?key=hush-hush")
    assert str(refused.value).startswith("storage: got 'shelf'; allowed: one that can be used; ")
    assert f"broken:{target} of broken-things 0.3 cannot: {reason}" in str(refused.value)
    assert "hush-hush" not in str(refused.value)
    assert open_storage("null:").label == "null:"
    if "def make" not in module:  # to call it is not the doctor's affair
        main(["doctor"])
        out = " ".join(capsys.readouterr().out.split())
        assert "note added store shelf: one that can be used; broken" in out


def test_what_another_package_refuses_is_told_as_it_says_it(site: Path) -> None:
    module = "from slicer import BadInput\ndef make(a, b): raise BadInput('storage', 'x', 'y')"
    broken(site, Group.STORAGES, "shelf", module)
    with pytest.raises(BadInput, match=r"^storage: got 'x'; allowed: y$"):
        open_storage("shelf://here")


async def test_one_that_cannot_be_closed_keeps_nothing_else_open(
    site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = """
from collections import Counter
class Shelf:
    label, connections, counters = "shelf", 0, Counter()
    def __init__(self, *given): ...
    def check(self, url=None): return self.close(None)
    async def put(self, *file): raise KeyError("it is broken")
    async def open(self, *room): ...
    async def close(self, error=KeyError("it is broken")):
        if error: raise error
"""
    declared = f"[{Group.STORAGES}]\nshelf = shelf:Shelf\n[{Group.ROOMS}]\nshelf = shelf:Shelf\n"
    install(site, "shelf", {"shelf": module}, declared)
    async with Engine(Settings(outbox=OutboxSettings(drain=0.1))) as engine:
        engine.connector("shelf")
        room = talk(tmp_path / "talk.rtpdump", 16)
        task = await engine.create(TaskSpec(room, "shelf://here", user="one"))
        other = await engine.create(TaskSpec(room, "null:", user="two"))
        assert (await engine.finished(other)).lost == 0
        engine.delete(task)
    assert (await engine.finished(task)).lost > 0  # it was tried until the engine closed
    told = [record.getMessage() for record in caplog.records if record.exc_info]
    assert told == ["! a store could not be closed", "! work in the background failed"]


@pytest.mark.parametrize(
    ("group", "name", "ours"),
    [
        (Group.STORAGES, "s3", VENDORS),
        (Group.ROOMS, "whip", CONNECTORS),
        (Group.SUPPLIERS, "local", SUPPLIERS),
    ],
)
def test_ours_stay(site: Path, group: Group, name: str, ours: dict[str, str]) -> None:
    broken(site, group, name, "raise AssertionError('nobody asked for it')")
    assert added(group, ours) == []
    assert extensions(group, ours)[name].fault == "the name is taken: it is one of our own"
    open_storage("s3://bucket/x?region=eu-west-1")
    assert parse_room("whip://127.0.0.1:1/x").scheme == "whip"


def test_a_name_that_two_packages_declare_is_neithers(site: Path) -> None:
    for package in ("one", "two"):
        declared = f"[{Group.ROOMS}]\nshared = {package}:x\n"
        install(site, package, {package: "def x(context): ..."}, declared)
    parse_room("shared://x")  # it is known, and cannot be opened
    found = extensions(Group.ROOMS, CONNECTORS)["shared"]
    assert found.fault == "the name is declared more than once: one 1.0, two 1.0"
    with pytest.raises(BadInput, match=r"room: got 'shared'.*one 1\.0, two 1\.0"):
        found.open("room", object)


@pytest.mark.parametrize("name", ["Redis", "a b", "1st", "x" * (MAX_NAME + 1)])
def test_a_name_that_no_url_has_is_refused(site: Path, name: str) -> None:
    broken(site, Group.STORAGES, name, "")
    assert added(Group.STORAGES, VENDORS) == []
    assert "1 to 32 of a-z 0-9 + . -" in extensions(Group.STORAGES, VENDORS)[name].fault


def test_the_first_on_the_path_is_the_one(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "a-store", {"a": ""}, f"[{Group.STORAGES}]\nnew = a:open_storage\n", "2.0")
    install(tmp_path / "old", "a.store", {}, f"[{Group.STORAGES}]\nold = a:open_storage\n", "1.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "old")])
    assert added(Group.STORAGES, VENDORS) == ["new"]


def test_what_is_declared_for_nothing_is_told(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "typing-error", {}, "[rtc_slicer.stores]\nx = a:b\n")
    install(site, "no-table", {}, f"[{Group.STORAGES}]\nnonsense\n")
    install(site, "of-others", {}, "[console_scripts]\nnonsense = a:b\n")
    faults = {str(one): one.fault for one in unknown()}
    assert faults == {
        "a:b of typing-error 1.0": "there is no group rtc_slicer.stores",
        "no-table 1.0": "its entry_points.txt: TypeError",
    }
    main(["doctor"])
    assert "no-table 1.0: its entry_points.txt: TypeError" in capsys.readouterr().out


@pytest.mark.usefixtures("examples")
def test_the_api_takes_a_supplier_of_another_package(site: Path) -> None:
    """Its table of fields is made when it is imported."""
    program = "from slicer.api.schema import SUPPLIERS; print(SUPPLIERS[-1])"
    environment = os.environ | {"PYTHONPATH": str(site)}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout == "dark\n"
