"""The command from outside: bad input, exit codes, what it logs."""

import logging

import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, FAILED, INTERRUPTED, KEPT, LOST, NO_ROOM, NO_STORE, STORED


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
        (["serve"], "apps: got 'none'"),
        (["spool", "list"], "spool.folder"),
        (["spool", "drop"], "--task"),
        (["callbacks", "list"], "serve.state"),
        (["callbacks", "list", "--limit", "0"], "--limit"),
        (["demo", "--samples", "nowhere"], "--samples"),
    ],
)
def test_bad_input(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("slicer: ")
    assert says in error
    assert "allowed: " in error


def test_exit_codes_are_told_apart_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert len({STORED, FAILED, BAD_INPUT, NO_ROOM, NO_STORE, LOST, KEPT, INTERRUPTED}) == 8
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "5  some slices could not be stored" in capsys.readouterr().out


def test_verbose_is_about_us_and_not_about_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = logging.getLogger("slicer")
    monkeypatch.setattr(ours, "level", logging.NOTSET)
    assert main(["usersig", "ada", "--verbose"]) == BAD_INPUT
    assert ours.level == logging.DEBUG
    assert not logging.getLogger("botocore").isEnabledFor(logging.DEBUG)
    ours.setLevel(logging.NOTSET)
