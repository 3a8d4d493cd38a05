"""The TCP ports that the settings have a service listen on, and whether two of them are one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from slicer.config import split_authority
from slicer.errors import BadInput
from slicer.rooms import parse_room
from slicer.service.rooms import example_url
from slicer.service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Port:
    """Where something listens, and the field that says so."""

    field: str
    host: str
    number: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.number}" if ":" in self.host else f"{self.host}:{self.number}"

    def meets(self, other: "Port") -> bool:
        """Whether the two cannot both be listened on. 0, any free port, meets none."""
        if not self.number or self.number != other.number:
            return False
        hosts = _address(self.host), _address(other.host)
        return hosts[0] == hosts[1] or not {"0.0.0.0", "::"}.isdisjoint(hosts)  # noqa: S104


def ports(settings: ServiceSettings) -> Iterator[Port]:
    """Those of the settings' own servers."""
    yield Port("serve.port", settings.serve.host, settings.serve.port)
    named = {
        "serve.health": settings.serve.health,
        "console.listen": settings.console.listen,
        "metrics.listen": settings.metrics.listen,
        "whip.tcp": settings.engine.whip.tcp,
    }
    for field, authority in named.items():
        if authority:
            yield Port(field, *split_authority(field, authority))


def room_ports(settings: ServiceSettings) -> Iterator[Port]:
    """Those of our own rooms, each once, by the first pattern that has it."""
    seen = set[tuple[str, int]]()
    for index, app in enumerate(settings.apps):
        for number, (_, pattern) in enumerate(app.rooms):
            url = parse_room(example_url(pattern))
            if url.scheme != "whip" or not url.hostname or not url.port:
                continue  # somebody else's server, or a URL that is refused elsewhere
            if (url.hostname, url.port) not in seen:
                seen.add((url.hostname, url.port))
                yield Port(f"apps[{index}].rooms[{number}].url", url.hostname, url.port)


def check_ports(settings: ServiceSettings) -> None:
    """Raise BadInput where two servers would listen on one port; rooms may share theirs."""
    before = list[Port]()
    for one in ports(settings):
        _refuse(one, before)
        before.append(one)
    check_rooms(settings, before)


def check_rooms(settings: ServiceSettings, own: Sequence[Port]) -> None:
    """Raise BadInput where a room of these settings would listen on a port of the service's *own*:
    those of a service that runs are of the settings that it was started with."""
    for one in room_ports(settings):
        _refuse(one, own)


def _refuse(one: Port, before: Sequence[Port]) -> None:
    for other in before:
        if one.meets(other):
            raise BadInput(one.field, str(one), f"another port than that of {other.field}, {other}")


def _address(host: str) -> str:
    """In one spelling; a name, but for localhost, stays one."""
    try:
        return str(ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        return host
