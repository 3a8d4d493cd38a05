"""slicer usersig: what it prints opens the room."""

import time
from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, STORED
from slicer.usersig import SdkApp

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
APPS = "[[apps]]\nsdk_app_id = 1400000001\n[[apps]]\nsdk_app_id = 1400000002\n"


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two applications; the first one has its key in the environment."""
    monkeypatch.setenv("SLICER_APP_1400000001_USERSIG_KEY", KEY)
    (tmp_path / "apps.toml").write_text(APPS)
    return ["--config", "apps.toml"]


def verified(signature: str, app: int, key: str = KEY) -> None:
    SdkApp(app, key).verify_usersig(signature.strip(), "ada", time.time())


def test_usersig(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLICER_USERSIG_KEY", KEY)
    monkeypatch.setenv("SLICER_WHIP_SDK_APP_ID", "1400000000")
    assert main(["usersig", "ada", "--expire", "60"]) == STORED
    signature = capsys.readouterr().out
    verified(signature, 1400000000)
    assert KEY not in signature


def test_an_application_of_several(apps: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usersig", "ada", "--app", "1400000001", *apps]) == STORED
    verified(capsys.readouterr().out, 1400000001)


def test_the_only_application_need_not_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLICER_APP_7_USERSIG_KEY", KEY)
    (tmp_path / "one.toml").write_text("[[apps]]\nsdk_app_id = 7\n")
    assert main(["usersig", "ada", "--config", "one.toml"]) == STORED
    verified(capsys.readouterr().out, 7)


@pytest.mark.parametrize(("whip_key", "signs"), [(OTHER, OTHER), ("", KEY)])
def test_an_application_that_whip_names_too(
    whip_key: str,
    signs: str,
    apps: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SLICER_WHIP_SDK_APP_ID", "1400000001")
    monkeypatch.setenv("SLICER_USERSIG_KEY", whip_key)
    assert main(["usersig", "ada", "--app", "1400000001", *apps]) == STORED
    verified(capsys.readouterr().out, 1400000001, signs)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ada"], "--app: got 'nothing'; allowed: one of 1400000001, 1400000002"),
        (["ada", "--app", "3"], "--app: got 3; allowed: one of 1400000001, 1400000002"),
        (["ada", "--app", "0"], "--app: got '0'; allowed: a whole number, 1 to 4294967295"),
        (["ada", "--app", "x"], "--app: got 'x'"),
        (["ada", "--app", "1400000002"], "SLICER_APP_1400000002_USERSIG_KEY"),
        (["a b", "--app", "1400000001"], "USER: got 'a b'; allowed: 1 to 64 of A-Z"),
        (["ada", "--expire", "-5"], "--expire: got '-5'; allowed: a whole number of seconds, 1 to"),
    ],
)
def test_bad_input(
    arguments: list[str], says: str, apps: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["usersig", *arguments, *apps]) == BAD_INPUT
    told = capsys.readouterr()
    assert says in told.err
    assert (told.out, KEY in told.err) == ("", False)


def test_a_key_of_an_application_that_no_file_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLICER_APP_1400000001_USERSIG_KEY", KEY)
    assert main(["usersig", "ada", "--app", "1400000001"]) == BAD_INPUT
    assert "[[apps]] with sdk_app_id = 1400000001" in capsys.readouterr().err


def test_no_application(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usersig", "ada"]) == BAD_INPUT
    assert "whip.sdk_app_id, or [[apps]] in --config FILE" in capsys.readouterr().err
