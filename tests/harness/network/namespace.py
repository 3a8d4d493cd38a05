"""A network of a test's own: a namespace with loopback alone, made for a while and then removed.

The calling thread moves into it; sockets, threads and processes that it makes from then on are
inside. It needs the right to do so: root, or `unshare -Ur` around pytest, which makes anybody root
of a user namespace, where the kernel permits that.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)
# Janus takes no loopback interface for ICE: the address is on one end of a pair as well.
_SETUP = (
    "link set lo up",
    "link add test0 type veth peer name test1",
    "addr add 127.0.0.1/32 dev test0",
    "link set test0 up",
    "link set test1 up",
)


@contextmanager
def own_network() -> Iterator[None]:
    """Be in a new namespace with 127.0.0.1 until the context ends. Skips the test where the kernel
    does not let us."""
    if not shutil.which("ip"):
        pytest.skip("no command 'ip' (Debian: iproute2)")
    before = _current()
    try:
        _unshare()
        try:
            for line in _SETUP:
                subprocess.run(["ip", *line.split()], check=True)
            yield
        finally:
            # Nothing has a hold on the new one any more but what was started in it.
            _enter(before)
    finally:
        os.close(before)


def new_network() -> int:
    """A new namespace with nothing in it, as a descriptor; the calling thread stays where it is."""
    before = _current()
    try:
        _unshare()
        try:
            return _current()
        finally:
            _enter(before)
    finally:
        os.close(before)


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _unshare() -> None:
    if _LIBC.unshare(_NEW_NETWORK) != 0:
        why = os.strerror(ctypes.get_errno())
        pytest.skip(f"no network namespace: {why}; as root, or by 'unshare -Ur make test'")


def _enter(namespace: int) -> None:
    assert _LIBC.setns(namespace, _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
