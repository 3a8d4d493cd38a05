"""slicer backup: of a service at work, of one that does not run, and what is refused."""

import asyncio
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, STORED
from slicer.service.control import control
from slicer.service.order import Product
from slicer.service.serving import serving
from slicer.service.settings import ServiceSettings
from slicer.service.sqlite_registry import FILE
from tests.harness.service.orders import SECRETS, slice_order

CONFIG = """
[[apps]]
sdk_app_id = 1
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
"""
STATE = Path("slicer-state")
FILES = ["audit.db", "callbacks.db", FILE]


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    (tmp_path / "slicer.toml").write_text(CONFIG)
    return ServiceSettings.load(tmp_path / "slicer.toml", {})


async def tasks_of(settings: ServiceSettings) -> set[str]:
    async with serving(settings) as service:
        return {task.task for task in service.operations.tasks()}


async def backed_up(folder: str) -> int:
    return await asyncio.to_thread(main, ["backup", folder])


def restore(folder: str) -> None:
    """As docs/upgrading.md says."""
    for file in STATE.glob("*.db*"):
        file.unlink()
    for copy in Path(folder).iterdir():
        shutil.copy2(copy, STATE)


async def test_tasks_of_a_copy_taken_at_work_go_on(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(settings) as service:
        app = settings.apps[0]
        first = [await service.create(app, slice_order(room)) for room in ("1", "2", "3")]
        more = asyncio.ensure_future(service.create(app, slice_order("4")))
        assert await backed_up("copy") == STORED
        said = capsys.readouterr().out
        assert sorted(one.name for one in Path("copy").iterdir()) == FILES
        assert {one.stat().st_mode & 0o777 for one in Path("copy").iterdir()} == {0o600}
        assert Path("copy").stat().st_mode & 0o777 == 0o700
        assert "not copied: slicer-state/key" in said
        assert said.startswith(FILE), "before callbacks: none of a task that has ended is lost"
        assert not [one for one in SECRETS if one.encode() in (Path("copy") / FILE).read_bytes()]
        await service.delete(app, Product.SLICE, first[0])
        last = await more
    restore("copy")
    went_on = await tasks_of(settings)
    assert {*first} <= went_on <= {*first, last}


async def test_a_service_that_does_not_run(settings: ServiceSettings) -> None:
    async with serving(settings) as service:
        task = await service.create(settings.apps[0], slice_order())
    assert await backed_up("copy") == STORED
    restore("copy")
    assert await tasks_of(settings) == {task}


async def test_a_registry_that_a_worker_of_a_fleet_does_not_use(settings: ServiceSettings) -> None:
    async with serving(settings) as service:
        task = await service.create(settings.apps[0], slice_order())
    async with control(STATE, lambda: []):
        assert await backed_up("copy") == STORED
    restore("copy")
    assert await tasks_of(settings) == {task}


async def test_no_copy_replaces_another(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await tasks_of(settings)
    Path("copy").mkdir(mode=0o700)
    (Path("copy") / FILE).write_text("the last one")
    assert await backed_up("copy") == BAD_INPUT
    says = "FOLDER: got 'copy'; allowed: a folder that has no tasks.db: none is replaced"
    assert says in capsys.readouterr().err
    assert [one.name for one in Path("copy").iterdir()] == [FILE]


async def test_a_damaged_database_has_no_copy(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await tasks_of(settings)
    (STATE / FILE).write_bytes(b"no database" * 100)
    assert await backed_up("copy") == BAD_INPUT
    assert "serve.state: got 'tasks.db'; allowed: an undamaged" in capsys.readouterr().err
    assert not (Path("copy") / FILE).exists()


async def test_one_that_is_held_and_does_not_answer(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.cli.backup.BUSY_SECONDS", 0.01)
    async with serving(settings):
        (STATE / "control").unlink()
        assert await backed_up("copy") == BAD_INPUT
    assert "allowed: that of a service that answers `slicer tasks`" in capsys.readouterr().err


async def test_half_an_answer_is_no_copy(
    settings: ServiceSettings,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await tasks_of(settings)

    async def nothing() -> bytes:
        raise sqlite3.OperationalError("disk I/O error")

    async with control(STATE, lambda: [], nothing):
        assert await backed_up("copy") == BAD_INPUT
    assert "a service of this version, which goes on mean" in capsys.readouterr().err
    assert "the registry cannot be given: disk I/O error" in caplog.text
    assert not (Path("copy") / FILE).exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Python ignores SIGXFSZ: a write beyond it fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_copy_that_cannot_be_written_is_told_of_its_folder(
    settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await tasks_of(settings)
    with closing(sqlite3.connect(STATE / FILE)) as opened:
        opened.execute("CREATE TABLE large AS SELECT zeroblob(200000)")
    with files_of_at_most(100_000):  # what reading writes beside it is smaller
        assert await backed_up("copy") == BAD_INPUT
    said = capsys.readouterr().err
    assert "FOLDER: got 'copy/tasks.db.part'; allowed: a file that can be written (" in said
    assert not list(Path("copy").iterdir())


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("/proc/copy", "FOLDER: got '/proc/copy'; allowed: a folder that can be made and written"),
        ("slicer-state", "allowed: a folder that has no "),
    ],
)
async def test_where_no_copy_can_go(
    folder: str, says: str, settings: ServiceSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await tasks_of(settings)
    assert await backed_up(folder) == BAD_INPUT
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("made", [False, True])
def test_no_state(made: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if made:
        STATE.mkdir(mode=0o700)
    assert main(["backup", "copy"]) == BAD_INPUT
    assert "serve.state: got 'slicer-state'; allowed: " in capsys.readouterr().err
