"""Whose an instruction is, what is compiled, and what is said where nothing can be counted."""

from collections import Counter

import pytest

from bench.instructions import __main__ as command
from bench.instructions.callgrind import Function
from bench.instructions.counts import Count, Counts

PARSE = Function("/tmp/x/driver", str(command.ROOT / "native/packet.c"), "packet_parse")
LOOP = Function("/tmp/x/driver", str(command.HERE / "driver.c"), "take_batch")
COPY = Function("/usr/lib/libc.so.6", "???", "__memcpy_avx_unaligned_erms")
LOADER = Function("/lib64/ld-linux-x86-64.so.2", "???", "memcpy")
SHA1 = Function("/usr/lib/libcrypto.so.3", "???", "SHA1_Update")
COSTS = Counter({PARSE: 700, LOOP: 5000, COPY: 190, LOADER: 10, SHA1: 1000})


def test_instructions_are_shared_out_without_the_drivers_own() -> None:
    assert command.shares(10, COSTS) == Count(10, native=70.0, libc=20.0, libcrypto=100.0)


def test_the_shares_of_functions_are_of_all_but_the_drivers_own() -> None:
    now = Counts({}, {"parse": command.shares(10, COSTS)})
    lines = command.functions("parse", COSTS, now).split("\n")[2:]
    assert lines[0].split() == ["100.0", "52.6%", "SHA1_Update", "(libcrypto)"]
    assert lines[1].split() == ["70.0", "36.8%", "packet_parse", "(native)"]
    assert not any("take_batch" in line for line in lines)


def test_the_librarys_memcpy_is_named() -> None:
    assert command.memcpy_chosen([COSTS]) == "__memcpy_avx_unaligned_erms"


def test_the_driver_is_written_for_the_plane_as_it_is() -> None:
    command.check_driver()


def test_sockets_and_threads_are_left_out() -> None:
    names = {path.name for path in command.sources()}
    assert {"packet.c", "stream.c"} <= names
    assert not names & {"plane.c", "peer.c"}


def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "valgrind" else "/bin/true")
    assert command.main([]) == 2
    assert "apt-get install valgrind" in capsys.readouterr().err


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(command.CannotCount, match=r"python.*: no such thing"):
        command.run(["python3", "-c", "import sys; sys.exit('no such thing')"])


def test_part_of_the_cases_is_not_stored() -> None:
    with pytest.raises(SystemExit):
        command.parse_arguments(["--write", "parse"])
