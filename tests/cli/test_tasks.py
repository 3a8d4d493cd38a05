"""slicer run and replay from outside; real rooms are in tests/real, the demo in tests/demo."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from slicer.cli import arguments_parser, main, tasks
from slicer.cli.exits import BAD_INPUT, KEPT, LOST, NO_ROOM, NO_STORE, STORED, UNJUDGED
from slicer.cli.tasks import log_reload, spec_of
from slicer.engine.settings import Settings
from slicer.errors import BadInput, SliceNotJudged, StorageUnavailable
from slicer.slicing.spec import MAX_ANCHORS, VideoSpec
from slicer.storage import Receipt
from slicer.storage.local import LocalStorage
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier, install
from tests.harness.rooms.replay import talk


def replayed(tmp_path: Path, *arguments: str) -> list[str]:
    talk(tmp_path / "ada.rtpdump", 5)
    to = (tmp_path / "out").as_uri()
    return ["replay", "ada.rtpdump", "--audio-type", "111:opus", "--to", to, *arguments]


def test_every_event_is_a_line_of_json_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = replayed(tmp_path, "--audio", "2", "--json", "--metrics", "127.0.0.1:0")
    assert main(arguments) == STORED
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "task_state"
    assert names.count("slice_stored") == 3
    assert (names[-1], events[-1]["stored"], events[-1]["reason"]) == (
        "task_finished",
        3,
        "room_gone",
    )
    assert len({event["task"] for event in events}) == 1
    assert re.search(r"^metrics at port \d+: /metrics$", said.err, re.MULTILINE)


def test_replay_stores_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(replayed(tmp_path, "--audio", "2", "--prefix", "p", "--prefix", "q")) == STORED
    out = capsys.readouterr().out
    assert re.search(r"^\d\d:\d\d:\d\d task running$", out, re.MULTILINE)
    assert "finished (the room ended): 3 slices stored" in out
    files = sorted(path.relative_to(tmp_path / "out") for path in tmp_path.rglob("*.ogg"))
    assert [path.parts[:2] for path in files] == [("p", "q")] * 3


def test_names_of_files_need_be_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk(tmp_path / "caf\udce9.rtpdump", 3)
    (tmp_path / "keys\udce9").write_text(f"CLIENT_RANDOM {'ab' * 32} {'cd' * 48}\n")
    options = ["--audio-type", "111:opus", "--keys", "keys\udce9", "--to", "o\udce9"]
    assert main(["replay", "caf\udce9.rtpdump", *options]) == STORED
    assert len([*(tmp_path / "o\udce9").rglob("*.ogg")]) == 1
    assert main(["replay", "caf\udce9.rtpdump", *options, "--anchor", "\udce9"]) == BAD_INPUT
    assert r"--anchor: got '\udce9'; allowed: a user id" in capsys.readouterr().err


def test_lists_are_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(replayed(tmp_path, "--block-audio", "a.*$")) == STORED
    assert "0 slices stored" in capsys.readouterr().out


def test_a_store_that_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("no folder")
    assert main(replayed(tmp_path)) == NO_STORE
    assert "remove or rename it" in capsys.readouterr().err


def test_an_address_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        room = f"whip://127.0.0.1:{taken.getsockname()[1]}/lobby"
        assert main(["run", room, "--to", (tmp_path / "out").as_uri()]) == NO_ROOM
    assert "in use" in capsys.readouterr().err


@pytest.mark.parametrize(("spool", "code"), [(False, LOST), (True, KEPT)])
def test_a_store_that_breaks_while_the_room_ends_holds_nobody_up(
    spool: bool, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: object, key: str, *_: object, **__: object) -> None:
        raise StorageUnavailable(key, "503", "it is tried again")

    monkeypatch.setattr(LocalStorage, "put", broken)
    monkeypatch.setenv("SLICER_OUTBOX_DRAIN", "0.3")
    if spool:
        monkeypatch.setenv("SLICER_SPOOL_FOLDER", str(tmp_path / "spool"))
    assert main(replayed(tmp_path)) == code


def test_a_backup_and_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = LocalStorage.put
    broken, whole = (tmp_path / "out").as_uri(), (tmp_path / "backup").as_uri()

    async def half(self: LocalStorage, key: str, *rest: Any) -> Receipt:
        if self.label == broken:
            raise StorageUnavailable(key, "503", "it is tried again")
        return await put(self, key, *rest)

    monkeypatch.setattr(LocalStorage, "put", half)
    monkeypatch.setenv("SLICER_OUTBOX_BACKUP_AFTER", "0.1")
    assert main(replayed(tmp_path, "--audio", "2", "--backup", whole, "--manifest")) == STORED
    (manifest,) = (tmp_path / "backup").rglob("manifest.json")
    slices = json.loads(manifest.read_text())["slices"]
    assert len(slices) == 3
    for told in slices:
        assert (tmp_path / "backup" / told["key"]).stat().st_size == told["size"]


@pytest.mark.parametrize("to", ["{}/plain", "plain", "./plain", "../{1}/plain", "{}/pl ain#?%41"])
def test_a_folder_may_be_written_as_a_path(to: str, tmp_path: Path) -> None:
    path = to.format(tmp_path, tmp_path.name)
    assert main([*replayed(tmp_path, "--audio", "2"), "--to", path]) == STORED
    assert len(list(Path(path).rglob("*.ogg"))) == 3


@pytest.mark.parametrize("option", ["--to", "--backup"])
def test_slices_as_bytes_are_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert main([*replayed(tmp_path), option, "slices:"]) == BAD_INPUT
    assert f"{option}: got 'slices:'; allowed: a folder or a bucket" in capsys.readouterr().err


def test_how_many_anchors(tmp_path: Path) -> None:
    assert arguments_parser().parse_args(replayed(tmp_path)).max_anchors == MAX_ANCHORS
    chosen = arguments_parser().parse_args(replayed(tmp_path, "--max-anchors", "3"))
    assert spec_of(chosen, Settings(), "replay:///x").params.max_anchors == 3


def test_how_high_pictures_have_to_be(tmp_path: Path) -> None:
    chosen = arguments_parser().parse_args(replayed(tmp_path, "--max-height", "360"))
    assert spec_of(chosen, Settings(), "replay:///x").params.video == VideoSpec(5, max_height=360)
    assert spec_of(chosen, Settings(), "replay:///x").params.aux is None
    chosen = arguments_parser().parse_args(replayed(tmp_path, "--no-aux"))
    assert spec_of(chosen, Settings(), "replay:///x").params.aux is False
    with pytest.raises(BadInput, match="--max-height"):
        arguments_parser().parse_args(replayed(tmp_path, "--max-height", "0"))


@pytest.mark.parametrize(("keep", "stored"), [("none", 0), ("hits", 1), ("all", 3)])
def test_slices_are_judged(
    keep: str,
    stored: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = iter([PASS, BLOCK, PASS])
    install(monkeypatch, ScriptedSupplier(lambda _file: next(answers)), "local")
    judged = replayed(tmp_path, "--audio", "2", "--moderate", "local", "--keep", keep)
    assert main(judged) == STORED
    out = capsys.readouterr().out
    assert out.count(" pass ") == 2
    assert out.count(" block ") == 1
    assert f"{stored} slice" in out
    assert "3 judged" in out
    assert len([*(tmp_path / "out").rglob("*.ogg")]) == stored


def test_what_is_kept_nowhere_needs_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unable = SliceNotJudged("local", "too loud")
    install(monkeypatch, ScriptedSupplier(lambda _file: unable), "local")
    talk(tmp_path / "ada.rtpdump", 2)
    given = ["replay", "ada.rtpdump", "--audio-type", "111:opus", "--moderate", "local"]
    assert main([*given, "--keep", "none"]) == UNJUDGED
    assert main(given) == BAD_INPUT


def test_a_hangup_without_a_terminal_reads_the_log_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "slicer.toml"
    file.write_text("[log]\nlevel = 'debug'\n")
    options = arguments_parser().parse_args(["run", "whip://127.0.0.1:0/a", "--to", "null:"])
    assert log_reload(options) is None, "without a file it ends the task"
    options.config = file
    monkeypatch.setattr(tasks, "has_terminal", lambda: True)
    assert log_reload(options) is None, "so does the end of a terminal"
    monkeypatch.setattr(tasks, "has_terminal", lambda: False)
    reload = log_reload(options)
    assert reload is not None
    level = logging.getLogger("slicer").level
    try:
        reload()
        assert logging.getLogger("slicer").level == logging.DEBUG
        file.write_text("[log]\nlevel = 'loud'\n")
        reload()
        assert logging.getLogger("slicer").level == logging.DEBUG
    finally:
        logging.getLogger("slicer").setLevel(level)
    assert "SIGHUP: the log's settings are read again" in caplog.text
    assert "! SIGHUP: nothing is changed: log.level: got 'loud'" in caplog.text
