"""slicer usersig: what it prints opens the room."""

import time

import pytest

from slicer.cli import main
from slicer.cli.exits import STORED
from slicer.usersig import SdkApp

KEY = "0123456789abcdef0123456789abcdef"


def test_usersig(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLICER_USERSIG_KEY", KEY)
    monkeypatch.setenv("SLICER_WHIP_SDK_APP_ID", "1400000000")
    assert main(["usersig", "ada", "--expire", "60"]) == STORED
    signature = capsys.readouterr().out.strip()
    SdkApp(1400000000, KEY).verify_usersig(signature, "ada", time.time())
    assert KEY not in signature
