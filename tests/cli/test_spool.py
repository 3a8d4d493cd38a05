"""slicer spool: what waits on the disk is listed, sent and dropped."""

from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, LOST, STORED
from slicer.delivery.spool.folder import Folder
from slicer.delivery.spool.record import StoreUrls
from slicer.errors import StorageUnavailable
from slicer.storage.local import LocalStorage
from tests.harness.delivery.spooling import file_of, spool_settings
from tests.harness.rooms.replay import talk

CONFIG = "[spool]\nfolder = '{}/spool'\n[outbox]\ndrain = 0.3\n"


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool with three slices of a store that broke while they were cut."""

    async def broken(_self: object, key: str, *_: object, **__: object) -> None:
        raise StorageUnavailable(key, "503", "it is tried again")

    (tmp_path / "slicer.toml").write_text(CONFIG.format(tmp_path))
    talk(tmp_path / "ada.rtpdump", 5)
    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "put", broken)
        to = (tmp_path / "out").as_uri()
        arguments = ["replay", "ada.rtpdump", "--audio-type", "111:opus", "--audio", "2"]
        main([*arguments, "--to", to, "--config", "slicer.toml"])
    return tmp_path


def spool(*arguments: str) -> int:
    verb, *rest = arguments
    return main(["spool", verb, "--config", "slicer.toml", *rest])


def test_list(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert spool("list") == STORED
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("3 records, ")
    assert all("/ada/audios/" in line and "→ file://" in line for line in lines[:-1])
    assert spool("list", "--anchor", "bo") == STORED
    assert capsys.readouterr().out == "0 records, 0 B\n"


def test_send(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("send") == STORED
    assert "0 records left" in capsys.readouterr().out
    assert len(list((filled / "out").rglob("*.ogg"))) == 3
    assert spool("list") == STORED


def test_what_cannot_be_sent_stays(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = filled / "out"
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir()
    out.rmdir()
    out.write_text("no folder")
    assert spool("send", "--within", "0.3") == LOST
    assert "3 records left" in capsys.readouterr().out


def test_drop(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("drop") == BAD_INPUT
    assert spool("drop", "--kind", "video") == STORED
    assert capsys.readouterr().out.endswith("0 records dropped\n")
    assert spool("drop", "--all") == STORED
    assert "3 records dropped" in capsys.readouterr().out
    assert not list((filled / "spool").rglob("*.slice"))


@pytest.mark.parametrize("odd", ["\x9b2J", "\u202etfel", "\u061c", "\u2028", "\x85"])
def test_a_terminal_obeys_nothing_of_a_record(
    filled: Path, capsys: pytest.CaptureFixture[str], odd: str
) -> None:
    """Keys that we would not make, in a record of somebody else's."""
    record = next((filled / "spool").rglob("*.slice"))
    Folder(record.parent, StoreUrls(f"s3://{odd}"), spool_settings(filled)).write(
        99, file_of(f"ada/{odd}.ogg")
    )
    capsys.readouterr()
    assert spool("list") == STORED
    [shown] = [line for line in capsys.readouterr().out.split("\n") if "s3://" in line]
    assert shown.isprintable()
    assert shown.count(ascii(odd)[1:-1]) == 2
