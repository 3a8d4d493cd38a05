"""What an operator can do with a spool: see it while it is used; send and drop when it is not."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from slicer.delivery.spool.folder import Folder
from slicer.delivery.spool.record import StoreUrls
from slicer.delivery.spool.spool import locked
from slicer.demo.progress import line
from slicer.engine.event_json import event_json
from slicer.engine.events import SliceStored, TaskEvent, TaskTrouble
from slicer.engine.salvage import Choice, drop, send, stuck
from slicer.engine.settings import Settings
from slicer.errors import BadInput
from slicer.media.slice import File, ManifestInfo
from slicer.rtp.parameters import Kind
from slicer.storage import Credentials
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import bytes_of, file_of, spool_settings, with_fields


def fill(folder: Path, to: Path, *, keys: bool = False) -> None:
    """Two anchors' audio and a picture, and a record that is damaged."""
    folder.mkdir()
    one = Folder(folder / "one", StoreUrls(to.as_uri(), keys=keys), spool_settings(folder))
    one.write(1, file_of("ada/1.ogg"))
    one.write(2, file_of("bo/2.ogg"))
    one.write(3, file_of("ada/3.png", kind=Kind.VIDEO))
    os.truncate(one.write(4, file_of("ada/4.ogg")), 10)


def names(folder: Path, choice: Choice | None = None) -> list[str]:
    return [one.header.info.key if one.header else "damaged" for one in stuck(folder, choice)]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    fill(folder, tmp_path / "store")
    return folder


ALL = ["ada/1.ogg", "bo/2.ogg", "ada/3.png", "damaged"]


def test_what_is_stuck_is_listed_also_while_an_engine_has_it(spool: Path) -> None:
    with locked(spool):
        assert names(spool) == ALL


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (Choice(), ["ada/1.ogg", "bo/2.ogg", "ada/3.png"]),
        (Choice(anchor="ada"), ["ada/1.ogg", "ada/3.png"]),
        (Choice(anchor="ada", kind=Kind.VIDEO), ["ada/3.png"]),
        (Choice(task="another"), []),
        (Choice(older_than=timedelta(hours=1)), ["ada/1.ogg"]),
        (Choice(damaged=True), ["damaged"]),
    ],
)
def test_choosing_and_dropping(spool: Path, choice: Choice, chosen: list[str]) -> None:
    first = next(iter(stuck(spool)))
    os.utime(first.path, (first.written - 3601, first.written - 3601))
    assert names(spool, choice) == chosen
    gone = drop(spool, choice)
    assert [one.header.info.key if one.header else "damaged" for one in gone] == chosen
    assert names(spool) == [name for name in ALL if name not in chosen]


def test_nothing_is_dropped_or_sent_while_an_engine_has_it(spool: Path) -> None:
    settings = Settings(spool=spool_settings(spool))
    with locked(spool):
        with pytest.raises(BadInput, match="no other process"):
            drop(spool, Choice())
        with pytest.raises(BadInput, match="no other process"):
            asyncio.run(send(settings, lambda _url, _task: None, lambda _event: None, 5))
    assert names(spool) == ALL


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a folder that is there"):
        names(tmp_path / "nowhere")


async def test_send(spool: Path, tmp_path: Path) -> None:
    told: list[TaskEvent] = []
    settings = Settings(spool=spool_settings(spool))
    assert await send(settings, lambda _url, _task: None, told.append, 20) == 1
    stored = [event.slice.key for event in told if isinstance(event, SliceStored)]
    assert sorted(stored) == sorted(ALL[:3])
    for key in stored:
        assert (tmp_path / "store" / key).read_bytes() == bytes_of(key, 1000)
    assert names(spool) == ["damaged"]


ODD: list[object] = [
    *(None, True, -1, 0.5, 2**70, float("nan"), 10**400, [], {}),
    *("", "x", "\ud800", "a\r\nb: c", "0001-01-01T00:00:00+23:59", "s3://["),
]


async def test_records_with_odd_fields_cost_themselves_alone(spool: Path, tmp_path: Path) -> None:
    """Each has the right sum, so that its fields are all there is to tell it by."""
    whole = next(iter(stuck(spool))).path
    number = 10
    for name in json.loads(whole.read_bytes().partition(b"\n")[2][:-1000]):
        for odd in ODD:
            record = with_fields(whole.read_bytes(), {name: odd})
            whole.with_name(f"{number:016d}.slice").write_bytes(record)
            number += 1
    told: list[TaskEvent] = []
    left = await send(Settings(spool=spool_settings(spool)), lambda *_: None, told.append, 20)
    stored = [event for event in told if isinstance(event, SliceStored)]
    assert {event.slice.key for event in stored} >= set(ALL[:3])
    manifest = 1  # what no anchor said; nobody is told of it
    assert len(stored) + manifest + left == number - 10 + len(ALL), "stored, or kept for a human"
    assert left > len(stored)
    for event in told:
        json.dumps(event_json(event))
        line(event).encode()


async def test_what_has_lost_its_keys_stays_and_is_told(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    fill(spool, tmp_path / "store", keys=True)
    told: list[TaskEvent] = []
    settings = Settings(spool=spool_settings(spool))
    assert await send(settings, lambda _url, _task: None, told.append, 20) == 4
    [trouble] = told
    assert isinstance(trouble, TaskTrouble)
    assert (trouble.task, "keys are known" in trouble.reason) == ("task", True)
    assert not (tmp_path / "store").exists()
    asked: list[tuple[str, str]] = []

    def lookup(url: str, task: str) -> Credentials:
        asked.append((url, task))
        return Credentials("id", "secret")

    assert await send(replace(settings), lookup, told.append, 20) == 1
    assert asked == [((tmp_path / "store").as_uri(), "task")]


def test_a_manifest_is_chosen_by_its_task_and_age_alone(spool: Path) -> None:
    info = ManifestInfo("task/manifest.json", "task", EPOCH, 2)
    urls = StoreUrls((spool.parent / "store").as_uri())
    folder = Folder(spool / "one", urls, spool_settings(spool))
    folder.write(5, File(info, b"{}", "application/json"))
    assert "task/manifest.json" in names(spool, Choice(task="task"))
    for choice in (Choice(anchor="ada"), Choice(kind=Kind.AUDIO), Choice(task="another")):
        assert "task/manifest.json" not in names(spool, choice)
