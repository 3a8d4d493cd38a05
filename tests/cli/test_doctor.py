"""What this machine has and lacks: each finding made to fail, and said with what to do."""

import ctypes
import errno
import os
import resource
import socket
import sys
import types
from pathlib import Path

import pytest
from rich.console import Console

from slicer import hot
from slicer.cli import doctor as module
from slicer.cli import main
from slicer.cli.doctor import (
    State,
    clock,
    descriptors,
    extras,
    folder,
    libcrypto,
    of_build,
    of_extras,
    of_settings,
    port,
    receive_buffer,
    table,
)
from slicer.cli.exits import STORED, UNFIT
from slicer.service.settings import ServiceSettings
from slicer.webrtc.lite.port import RECEIVE_BUFFER

SETTINGS = """
[serve]
port = 0
health = "127.0.0.1:0"
[whip]
udp = "127.0.0.1:0"
[spool]
folder = "/var/lib/slicer-test/spool"
[[apps]]
sdk_app_id = 1
rooms = [{ pattern = "*", url = "whip://127.0.0.1:18181/{room}" }]
[metrics]
listen = "127.0.0.1:0"
"""


def test_a_row_for_each_and_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == STORED
    out = capsys.readouterr().out
    for what in ("native plane", "extras", "clock", "file descriptors", "spool.folder"):
        assert what in out
    (tmp_path / "wrong.toml").write_text("[serve]\nport = 'x'\n")
    assert main(["doctor", "--config", "wrong.toml"]) == UNFIT
    assert "serve.port: got 'x'" in " ".join(capsys.readouterr().out.split())


def test_a_command_that_is_to_be_copied_goes_unbroken_into_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"pip install 'rtc-slicer[{','.join(['azure'] * 20)}]'"
    found = module.Finding("extras", State.NOTE, "none", command)
    monkeypatch.setattr(module, "of_extras", lambda: [found])
    main(["doctor"])
    assert command in capsys.readouterr().out


def test_what_is_to_be_done_is_readable_at_60_columns() -> None:
    console = Console(width=60, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(table([module.Finding("x", State.FAULT, "broken " * 20, "mend it")]))
    text = console.export_text()
    assert "→ mend it" in text
    assert all(len(line) <= 60 for line in text.splitlines())


def test_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = types.SimpleNamespace(srtp_missing=lambda: "libcrypto is lost")
    monkeypatch.setitem(sys.modules, "slicer._hot", plane)
    monkeypatch.setattr(hot, "IMPLEMENTATION", "native")
    assert [one.state for one in of_build()] == [State.OK, State.OK, State.NOTE]
    assert libcrypto().found == "libcrypto is lost"
    monkeypatch.setenv("SLICER_LIBCRYPTO", "/nowhere")
    assert libcrypto().found == "libcrypto is lost: got '/nowhere'"
    monkeypatch.delenv("SLICER_LIBCRYPTO")
    plane.srtp_missing = lambda: None
    assert libcrypto().state is State.OK
    monkeypatch.setattr(hot, "IMPLEMENTATION", "reference")
    missing = list(of_build())[1]
    assert missing.found.startswith("not in this build")
    assert "compiler" in missing.todo
    monkeypatch.setenv("SLICER_NATIVE", "0")
    assert list(of_build())[1].found == "SLICER_NATIVE=0 forbids it"


def test_extras_that_are_here_and_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras()["s3"] == ["boto3"]
    assert not {"dev", "test"} & extras().keys()
    found = {"s3": ["pip"], "cos": ["no-such-package"]}
    monkeypatch.setattr(module, "extras", lambda: found)
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    have, lack, liteav = of_extras()
    assert (have.found, lack.todo) == ("s3", "if needed: pip install 'rtc-slicer[cos]'")
    assert liteav.todo.endswith("pip install liteav")
    monkeypatch.setattr(module, "find_spec", lambda _: object())
    monkeypatch.setattr(module, "extras", dict)
    have, liteav = of_extras()
    assert (have.found, liteav.state) == ("none", State.OK)


@pytest.mark.parametrize(("state", "expected"), [(5, State.NOTE), (0, State.OK), (-1, State.OK)])
def test_the_clock(state: int, expected: State, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = types.SimpleNamespace(adjtimex=lambda _: state)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    assert clock().state is expected


def test_a_system_without_adjtimex(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: types.SimpleNamespace())
    assert clock().found == "not known here"


@pytest.mark.parametrize(("hard", "state"), [(100, State.FAULT), (4096, State.OK), (-1, State.OK)])
def test_descriptors(hard: int, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (hard, hard))
    assert descriptors().state is state


def test_the_receive_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECEIVE_MAX", tmp_path / "rmem_max")
    assert receive_buffer().found == "not known here"
    (tmp_path / "rmem_max").write_text("212992\n")
    assert "sysctl -w net.core.rmem_max=" in receive_buffer().todo
    (tmp_path / "rmem_max").write_text(f"{RECEIVE_BUFFER}\n")
    assert receive_buffer().state is State.OK


def test_what_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "slicer.toml").write_text(SETTINGS)
    settings = ServiceSettings.load(tmp_path / "slicer.toml", {})
    found = {one.what: one.state for one in of_settings(settings)}
    ports = ["serve.port", "serve.health", "metrics.listen", "apps[0].rooms[0].url", "whip.udp"]
    assert list(found) == [*ports, "serve.state", "spool.folder"]
    assert set(found.values()) <= {State.OK, State.NOTE}, "a port may be in use"


def test_two_servers_on_one_port(tmp_path: Path) -> None:
    (tmp_path / "slicer.toml").write_text(SETTINGS.replace("port = 0", "port = 18181"))
    settings = ServiceSettings.load(tmp_path / "slicer.toml", {})
    (fault,) = [one for one in of_settings(settings) if one.state is State.FAULT]
    assert fault.what == "apps[0].rooms[0].url"
    assert "another port than that of serve.port" in fault.found


def test_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        used = port("serve.port", "127.0.0.1", number, socket.SOCK_STREAM)
    assert (used.state, used.found) == (State.NOTE, f"127.0.0.1 port {number} is in use")
    foreign = port("serve.port", "192.0.2.1", 0, socket.SOCK_STREAM)
    assert foreign.state is State.FAULT
    assert os.strerror(errno.EADDRNOTAVAIL) in foreign.found
    assert port("whip.udp", "::1", 0, socket.SOCK_DGRAM).what == "whip.udp"


def test_folders(tmp_path: Path) -> None:
    assert folder("spool.folder", tmp_path / "a" / "b", 0).state is State.OK
    (tmp_path / "file").write_text("")
    wrong = folder("serve.state", tmp_path / "file" / "a", 0)
    assert (wrong.state, str(os.geteuid()) in wrong.todo) == (State.FAULT, True)
    full = folder("spool.folder", tmp_path, 2**62)
    assert (full.state, "make room" in full.todo) == (State.FAULT, True)
