"""CPU, memory and losses of processes."""

import os
import socket
import subprocess
import sys
import time

from bench.peers.measure import Window, busy_in, cpu, dropped, tree

PROC_STAT = """cpu  100 0 100 1000 10 1 2 3 0 0
cpu0 10 1 20 500 7 2 3 4 0 0
cpu1 90 0 80 500 3 0 0 0 0 0
intr 1
"""


def test_work_on_chosen_cores_is_added_up() -> None:
    assert busy_in(PROC_STAT, [0]) == 10 + 1 + 20 + 2 + 3 + 4
    assert busy_in(PROC_STAT, [0, 1]) == 40 + 170


def test_children_belong_to_the_tree() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = tree(os.getpid())
        assert found[0] == os.getpid()
        assert child.pid in found
    finally:
        child.communicate(b"\n")
    assert child.pid not in tree(os.getpid())


def test_the_cpu_of_another_process_is_read() -> None:
    spin = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    child = subprocess.Popen(
        [sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert cpu([child.pid]) >= 0.2
    finally:
        child.communicate(b"\n")


def test_a_window_sees_what_was_used_in_it() -> None:
    window = Window([os.getpid()], [0])
    start = time.process_time()
    while time.process_time() - start < 0.1:
        pass
    usage = window.close()
    assert usage.cpu >= 0.1
    assert usage.pss > 1_000_000
    assert usage.peak_rss >= usage.pss / 2
    assert usage.processes >= 1


def test_datagrams_dropped_by_a_full_buffer_are_counted() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind(("127.0.0.1", 0))
        before = dropped([os.getpid()])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(bytes(1000), full.getsockname())
        assert dropped([os.getpid()]) - before > 50
