"""Completion of the command's words, tried in the shells that are here."""

import shutil
import subprocess
import sys

import pytest

from slicer.cli import main
from slicer.cli.completion import SHELLS
from slicer.cli.exits import BAD_INPUT, STORED

# What a shell does when TAB is pressed behind these words.
BASH = """
eval "$(cat)"
COMP_WORDS=(slicer {words}) COMP_CWORD={last}
_shtab_slicer
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == STORED
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for word in ("replay", "--max-height", "doctor", "webp"):
        assert word in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here: its script was made, and not read by it")
    subprocess.run([shell, "-n"], input=text, text=True, check=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rep", {"replay"}),
        ("run --image ''", {"png", "jpg", "webp"}),
        ("spool list --ki", {"--kind"}),
    ],
)
def test_bash_completes(words: str, offered: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    program = BASH.format(words=words, last=len(words.split()))
    done = subprocess.run(
        ["bash", "-c", program], input=script("bash", capsys), capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert set(done.stdout.split()) == offered


def test_without_shtab_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == BAD_INPUT
    assert "pip install 'rtc-slicer[completion]'" in capsys.readouterr().err


def test_another_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == BAD_INPUT
    assert "SHELL: got 'csh'; allowed: bash, zsh or fish" in capsys.readouterr().err
