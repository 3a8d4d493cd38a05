"""The way of a slice is counted from the first datagram to the stored file, and only that."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("spool", [False, True])
def test_each_function_of_the_way_is_counted_once(spool: bool) -> None:
    command = [sys.executable, "-m", "bench.hops", "--list", *(["--spool"] if spool else [])]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    *lines, last = run.stdout.splitlines()
    functions = [line for line in lines if ": " in line]
    assert len(functions) == len(set(functions))
    files = {line.partition(":")[0] for line in functions}
    assert last == f"{len(files)} files, {len(functions)} functions"
    assert "rooms/replay/room.py: ReplayRoom._feed" in functions
    assert "storage/local.py: LocalStorage._put" in functions, "in a thread"
    assert ("delivery/spool/spool.py: Spool.write" in functions) is spool
    assert "rooms/replay/recording.py: Recording.survey" not in functions, "before the first one"
