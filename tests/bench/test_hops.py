"""A slice is counted from its first datagram to its file, a create from request to answer."""

import subprocess
import sys

import pytest


def counted(*options: str) -> set[str]:
    """The functions that a run lists; each is listed once, and the last line is their number."""
    command = [sys.executable, "-m", "bench.hops", "--list", *options]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    *lines, last = run.stdout.splitlines()
    functions = [line for line in lines if ": " in line]
    assert len(functions) == len(set(functions))
    files = {line.partition(":")[0] for line in functions}
    assert last == f"{len(files)} files, {len(functions)} functions"
    return set(functions)


@pytest.mark.parametrize("spool", [False, True])
def test_each_function_of_the_way_is_counted_once(spool: bool) -> None:
    functions = counted(*(["--spool"] if spool else []))
    assert "rooms/replay/room.py: ReplayRoom._feed" in functions
    assert "storage/local.py: LocalStorage._put" in functions, "in a thread"
    assert ("delivery/spool/spool.py: Spool.write" in functions) is spool
    assert "rooms/replay/recording.py: Recording.survey" not in functions, "before the first one"


def test_a_create_is_counted_from_the_request_to_the_answer() -> None:
    functions = counted("--create")
    assert "service/service.py: Service.create" in functions
    assert "service/sqlite_registry.py: SqliteRegistry.add" in functions
    assert "sqlite.py: Database._run" in functions, "in a thread"
    assert "service/sqlite_registry.py: SqliteRegistry.open" not in functions, "before the request"
    assert "engine/engine.py: Engine._close" not in functions, "after the answer"
