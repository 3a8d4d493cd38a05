"""The command from outside: arguments, exit codes, messages. Real rooms are in tests/real."""

import re
from pathlib import Path

import pytest

from slicer.cli import BAD_INPUT, LOST, NO_ROOM, NO_STORE, STORED, main
from slicer.usersig import SdkApp
from tests.harness.replay import talk

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SLICER_ACCESS_KEY", "SLICER_SECRET_KEY", "SLICER_USERSIG_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def replayed(tmp_path: Path, *arguments: str) -> list[str]:
    talk(tmp_path / "ada.rtpdump", 5)
    to = (tmp_path / "out").as_uri()
    return ["replay", "ada.rtpdump", "--audio-type", "111:opus", "--to", to, *arguments]


def test_replay_stores_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(replayed(tmp_path, "--audio", "2", "--prefix", "p", "--prefix", "q")) == STORED
    out = capsys.readouterr().out
    assert re.search(r"^\d\d:\d\d:\d\d task running$", out, re.MULTILINE)
    assert "finished (the room ended): 3 slices stored" in out
    files = sorted(path.relative_to(tmp_path / "out") for path in tmp_path.rglob("*.ogg"))
    assert [path.parts[:2] for path in files] == [("p", "q")] * 3


def test_lists_are_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(replayed(tmp_path, "--block-audio", "a.*$")) == STORED
    assert "0 slices stored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "ftp://x/y", "--to", "file:///tmp/x"], "room: got 'ftp://x/y'"),
        (["run", "whip://127.0.0.1/lobby", "--to", "file:///tmp/x"], "room"),
        (["run", "whip://127.0.0.1:1/lobby"], "--to"),
        (["run", "whip://127.0.0.1:1/l", "--to", "s3://B_D/x"], "storage"),
        (
            ["run", "whip://127.0.0.1:1/l", "--to", "file:///tmp/x", "--audio", "-1"],
            "audio.seconds",
        ),
        (["run", "whip://127.0.0.1:1/l", "--to", "file:///tmp/x", "--video", "90000"], "video"),
        (
            [
                "run",
                "whip://127.0.0.1:1/l",
                "--to",
                "file:///tmp/x",
                "--audio",
                "0",
                "--video",
                "0",
            ],
            "audio, video or both",
        ),
        (
            ["run", "whip://127.0.0.1:1/l", "--to", "file:///tmp/x", "--allow-audio", "a.*"],
            "allow_audio[0]: got 'a.*'",
        ),
        (["run", "whip://127.0.0.1:1/l", "--to", "file:///tmp/x", "--prefix", "a/b"], "prefix"),
        (["replay", "nothing.pcap", "--to", "file:///tmp/x"], "nothing.pcap"),
        (["usersig", "ada"], "SLICER_USERSIG_KEY"),
        (["demo", "--samples", "nowhere"], "--samples"),
    ],
)
def test_bad_input(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("slicer: ")
    assert says in error
    assert "allowed: " in error


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


def test_usersig(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLICER_USERSIG_KEY", KEY)
    monkeypatch.setenv("SLICER_APP_SDK_APP_ID", "1400000000")
    assert main(["usersig", "ada", "--expire", "60"]) == STORED
    signature = capsys.readouterr().out.strip()
    import time

    SdkApp(1400000000, KEY).verify_usersig(signature, "ada", time.time())
    assert KEY not in signature


def test_exit_codes_are_told_apart_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert len({STORED, BAD_INPUT, NO_ROOM, NO_STORE, LOST}) == 5
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "5  some slices could not be stored" in capsys.readouterr().out
