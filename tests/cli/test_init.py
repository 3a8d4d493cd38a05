"""The command from outside: bad input, exit codes, what it logs."""

import logging

import pytest

import slicer
from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, FAILED, INTERRUPTED, KEPT, LOST, NO_ROOM, NO_STORE, STORED

RUN = ["run", "whip://127.0.0.1:1/l", "--to", "file:///tmp/x"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "ftp://x/y", "--to", "file:///tmp/x"], "room: got 'ftp://x/y'"),
        (["run", "whip://127.0.0.1/lobby", "--to", "file:///tmp/x"], "room"),
        (["run", "whip://127.0.0.1:1/lobby"], "--to"),
        (["run", "whip://127.0.0.1:1/lobby", "--to", ""], "--to"),
        (["run", "whip://127.0.0.1:1/l", "--to", "ftp://h/x"], "storage: got 'ftp://h/x'"),
        (["run", "whip://127.0.0.1:1/l", "--to", "s3://B_D/x"], "storage"),
        (
            [*RUN, "--audio", "-1"],
            "--audio: got '-1'; allowed: a whole number of seconds, 0",
        ),
        (
            [*RUN, "--audio", "3601"],
            "--audio: got '3601'; allowed: a whole number of",
        ),
        ([*RUN, "--audio", "9" * 5_000], "--audio: got '999"),
        ([*RUN, "--audio", "1.5"], "--audio: got '1.5'"),
        (
            [*RUN, "--video", "90000"],
            "--video: got '90000'; allowed: a whole number of",
        ),
        ([*RUN, "--image", "gif"], "--image: got 'gif'; allowed: png, jpg or webp"),
        ([*RUN, "--user", "a b"], "--user: got 'a b'; allowed: 1 to 64 of A-Z a-z 0-9"),
        ([*RUN, "--max-anchors", "0"], "--max-anchors: got '0'; allowed: a whole number, 1 to 500"),
        ([*RUN, "--max-idle", "0"], "--max-idle: got '0'"),
        (["spool", "list", "--kind", "sound"], "--kind: got 'sound'; allowed: audio or video"),
        (["spool", "list", "--older-than", "inf"], "--older-than: got 'inf'; allowed: a number of"),
        (["spool", "send", "--within", "nan"], "--within: got 'nan'"),
        (["callbacks", "list", "--outcome", "x"], "waiting, delivered, given-up or dropped"),
        (["callbacks", "resend", "--outcome", "waiting"], "allowed: delivered or given-up"),
        (["serve", "--port", "65536"], "--port: got '65536'; allowed: a whole number, 0 to 65535"),
        (["demo", "--seconds", "3"], "--seconds: got '3'; allowed: a whole number, 4 to 600"),
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
        (["usersig", "ada"], "--app"),
        (["serve"], "apps: got 'none'"),
        (["spool", "list"], "spool.folder"),
        (["spool", "drop"], "--task"),
        (["callbacks", "list"], "serve.state"),
        (["callbacks", "list", "--limit", "0"], "--limit"),
        (["demo", "--samples", "nowhere"], "--samples"),
        (["demo", "--to", "/proc/x"], "--to: got '/proc/x'; allowed: a folder that can be made"),
        (["config", "--check", "/"], "settings: got '/'; allowed: a file that can be read (Is a"),
        (["replay", "/etc/passwd", "--to", "x"], "capture: got \"a file that begins with b'"),
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


@pytest.mark.parametrize("enumeration", ["ImageFormat.", "Kind.", "Outcome."])
def test_words_and_no_names_of_classes(
    enumeration: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("run", "replay", "spool list", "callbacks list", "callbacks resend"):
        with pytest.raises(SystemExit):
            main([*command.split(), "--help"])
    assert enumeration not in capsys.readouterr().out


def test_no_command_is_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == STORED
    assert "slice one room until stopped" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"rtc-slicer {slicer.__version__}\n"
