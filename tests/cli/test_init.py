"""The command from outside: bad input, exit codes, what it logs."""

import argparse
import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import slicer
from slicer.cli import arguments_parser, main
from slicer.cli.exits import BAD_INPUT, FAILED, INTERRUPTED, KEPT, LOST, NO_ROOM, NO_STORE, STORED
from slicer.errors import BadInput

RUN = ["run", "whip://127.0.0.1:1/l", "--to", "file:///tmp/x"]
SAMPLES = Path(__file__).parents[2] / "samples"
REPLAY = ["replay", f"{SAMPLES}/chromium-vp8.rtpdump", "--to", "file:///tmp/x"]


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
        ([*RUN, "--backup", "ftp://x"], "storage: got 'ftp://x'"),
        ([*RUN, "--prefix", "a/b"], "--prefix: got 'a/b'"),
        ([*RUN, "--metrics", "x"], "--metrics: got 'x'; allowed: HOST:PORT"),
        ([*RUN, "--moderate", "nobody"], "supplier: got 'nobody'; allowed: tianyu, ace, shumei,"),
        ([*RUN, "--moderate", "tianyu"], "--supplier-id: got ''; allowed: what the account"),
        ([*RUN, "--supplier-id", "x"], "--supplier-id: got 'x'; allowed: beside --moderate"),
        ([*RUN, "--supplier-app", "x"], "--supplier-app: got 'x'; allowed: beside --moderate"),
        ([*RUN, "--supplier-audio-type", "x"], "--supplier-audio-type: got 'x'; allowed: beside"),
        ([*RUN, "--supplier-image-type", "x"], "--supplier-image-type: got 'x'; allowed: beside"),
        ([*RUN, "--keep", "some"], "--keep: got 'some'; allowed: none, all or hits"),
        ([*RUN, "--max-height", "x"], "--max-height: got 'x'; allowed: a whole number of pixels"),
        ([*RUN, "--log-format", "xml"], "--log-format: got 'xml'; allowed: text or json"),
        ([*RUN, "--config", "none.toml"], "settings: got 'none.toml'; allowed: a file that can be"),
        ([*REPLAY, "--speed", "fast"], "--speed: got 'fast'; allowed: a number up to 1000; 0 or m"),
        ([*REPLAY, "--audio-type", "x"], "--audio-type: got 'x'; allowed: number:codec"),
        ([*REPLAY, "--video-type", "96:x"], "--video-type: got '96:x'; allowed: number:codec, wit"),
        ([*REPLAY, "--anchor", "a/b"], "--anchor: got 'a/b'; allowed: a user id"),
        ([*REPLAY, "--keys", "nowhere"], "--keys: got "),
        (
            ["run", "replay:///x?speed=fast", "--to", "x"],
            "slicer: room.speed: got 'fast'; allowed:",
        ),
        (["worker", "--name", "a b"], "apps: got 'none'; allowed: at least one [[apps]]"),
        (["fleet", "status", "--fleet", "http://x"], "fleet.servers: got 'http://…'; allowed: n"),
        (["moderate", "none.jpg"], "FILE: got 'none.jpg'; allowed: a file that is there"),
        (["moderate", "a.txt"], "FILE: got 'a.txt'; allowed: a name that ends with .ogg, .opus"),
        (["moderate", "a.jpg", "--supplier", "x"], "supplier: got 'x'; allowed: tianyu, ace"),
        (["sheet", "ftp://x/y"], "storage: got 'ftp:'; allowed: a bucket: s3://, cos://"),
        (["sheet", "nowhere"], "PLACE: got 'nowhere'; allowed: a folder that is there"),
        (["sheet", ".", "--limit", "0"], "--limit: got '0'; allowed: a whole number, 1 to"),
        (["sheet", ".", "--megabytes", "x"], "--megabytes: got 'x'; allowed: a whole number, 1"),
        (["usersig", "a b"], "USER: got 'a b'; allowed: 1 to 64 of"),
        (["usersig", "ada", "--expire", "0"], "--expire: got '0'; allowed: a whole number of sec"),
        (["completion", "tcsh"], "SHELL: got 'tcsh'; allowed: bash, zsh or fish"),
        (["tasks"], "serve.state: got 'slicer-state'; allowed: the state folder of a service that"),
        (["backup", "copy"], "serve.state: got 'slicer-state'; allowed: a state folder that can"),
        (["fleet", "status"], "fleet.servers: got 'none'; allowed: the NATS servers"),
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["foo"], "slicer: error: argument COMMAND: invalid choice: 'foo' (choose from "),
        (["run"], "slicer run: error: the following arguments are required: ROOM_URL; `slicer run"),
        ([*RUN, "--boggus", "3"], "slicer run: error: unknown: --boggus 3; `slicer run --help`"),
        ([*RUN, "--audio"], "argument --audio: expected one argument; `slicer run --help`"),
        (["spool", "list", "\x1b[31m"], r"slicer spool list: error: unknown: \x1b[31m; `slicer"),
        (["spool"], "required: list | send | drop"),
        (["config", "--schema", "--check", "x"], "--check: not allowed with argument --schema"),
    ],
)
def test_words_that_no_command_takes(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith(f"usage: slicer {'' if arguments == ['foo'] else arguments[0]}")
    assert says in error
    assert "--help` says what is allowed" in error


# Options that take any text: what becomes of a bad one is among the cases of test_bad_input, but
# for those of a filter, which then finds nothing.
ANY_TEXT = {
    *("--allow-audio", "--allow-video", "--block-audio", "--block-video", "--prefix", "--user"),
    *("--to", "--backup", "--moderate", "--metrics", "--config", "--samples"),
    *("--supplier", "--supplier-id", "--supplier-app", "--boxes"),
    *("--supplier-audio-type", "--supplier-image-type"),
    *("--anchor", "--keys", "--speed", "--audio-type", "--video-type"),
    *("--fleet", "--name", "--host", "--check", "--show"),
    *("--task", "--message"),
}


def test_every_other_option_refuses_what_it_cannot_be_by_its_own_name() -> None:
    faults = []
    for option, action in options_of(arguments_parser()):
        if action.nargs == 0 or option in ANY_TEXT:
            continue
        assert callable(action.type), option
        for text in ("", "nonsense", "-1", "9" * 30):
            try:
                action.type(text)
            except BadInput as error:
                if error.field != option or error.got != text or not error.allowed:
                    faults.append((option, text, str(error)))
            else:
                faults.append((option, text, "taken"))
    assert faults == []


def options_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Those of a parser and of its commands, by their long names."""
    for action in parser._actions:  # noqa: SLF001 (argparse has no verb for it)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (the same)
            for one in action.choices.values():
                yield from options_of(one)
        elif action.option_strings:
            yield action.option_strings[-1], action


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--help"], rb"\u2026"),
        (["moderate", "--json", "caf\udce9.jpg"], rb"caf\udce9.jpg"),
        (["moderate", "caf\udce9.jpg"], rb"caf\udce9.jpg"),
    ],
)
def test_a_terminal_need_not_have_every_letter(
    arguments: list[str], says: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "caf\udce9.jpg").write_bytes(b"no picture")
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "ascii", write_through=True))
    with contextlib.suppress(SystemExit):
        main(arguments)
    assert says in written.getvalue()


def test_no_command_is_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == STORED
    assert "slice one room until stopped" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"rtc-slicer {slicer.__version__}\n"
