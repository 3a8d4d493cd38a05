"""Networks of a test's own around a hub: each has an address, and can be cut off from others.

The calling thread is in the hub while the context lasts. What runs elsewhere is started by
`Place.command`. Without the right to make networks the test is skipped (namespace.py).
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.network.namespace import new_network, own_network

ADDRESS = "10.77.0.1"
"""The hub's own."""


@dataclass(frozen=True)
class Place:
    """One network. *namespace*: a descriptor of it."""

    number: int
    namespace: int

    @property
    def address(self) -> str:
        return f"10.77.{self.number}.2"

    @property
    def network(self) -> str:
        return f"10.77.{self.number}.0/24"

    @property
    def path(self) -> str:
        """What other processes find it by."""
        return f"/proc/{os.getpid()}/fd/{self.namespace}"

    def command(self, words: Sequence[str]) -> list[str]:
        """The same command, run there; its pid is the program's own."""
        return ["nsenter", f"--net={self.path}", "--", *words]


class Hub:
    """Forwards between its places."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._count = 0
        _ip(f"addr add {ADDRESS}/32 dev test0")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def add(self) -> Place:
        """A new place, connected to the hub."""
        self._count += 1
        place = Place(self._count, new_network())
        self._stack.callback(os.close, place.namespace)
        end, number = f"place{place.number}", place.number
        _ip(f"link add {end} type veth peer name eth0 netns {place.path}")
        _ip(f"addr add 10.77.{number}.1/24 dev {end}")
        _ip(f"link set {end} up")
        inside = (
            *("link set lo up", f"addr add {place.address}/24 dev eth0", "link set eth0 up"),
            f"route add default via 10.77.{number}.1",
        )
        for line in inside:
            subprocess.run(place.command(["ip", *line.split()]), check=True)
        return place

    def cut(self, one: Place, other: Place) -> None:
        """Let nothing pass between two places."""
        self._rules("add", one, other)

    def join(self, one: Place, other: Place) -> None:
        """Let everything pass again."""
        self._rules("del", one, other)

    def unplug(self, place: Place) -> None:
        """Cut a place off from everything."""
        _ip(f"link set place{place.number} down")

    def plug(self, place: Place) -> None:
        """Connect it again."""
        _ip(f"link set place{place.number} up")

    def _rules(self, verb: str, one: Place, other: Place) -> None:
        for source, target in ((one, other), (other, one)):
            _ip(f"rule {verb} from {source.network} to {target.network} blackhole")


@contextmanager
def hub() -> Iterator[Hub]:
    """Be in a hub without places until the context ends."""
    with own_network(), ExitStack() as stack:
        yield Hub(stack)


def _ip(line: str) -> None:
    subprocess.run(["ip", *line.split()], check=True)
