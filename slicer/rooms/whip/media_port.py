"""The UDP port that publishers' media comes to: as the settings say, or one for each server."""

from collections import Counter
from urllib.parse import urlsplit

from slicer.clock import Clock
from slicer.errors import BadInput, RoomError
from slicer.rooms.whip.address import listen_host
from slicer.rooms.whip.settings import WhipSettings
from slicer.webrtc.lite.port import UdpPort, bind_all
from slicer.webrtc.transport import host_addresses

_ALLOWED = "ADDRESS:PORT of this host, such as 0.0.0.0:8189 or [::]:8189 (port 0: any free one)"


class MediaPorts:
    """The ports of all servers. With `whip.udp` they share one, which is refused early."""

    def __init__(self, settings: WhipSettings, clock: Clock) -> None:
        """Raises BadInput for `whip.udp`."""
        self._settings, self._clock = settings, clock
        self._given = _parse(settings.udp) if settings.udp else None
        self._ports: dict[tuple[str, int], UdpPort] = {}

    def check(self) -> None:
        """Raise BadInput where the port of the settings cannot be had."""
        if self._given is None or self._given in self._ports or self._given[1] == 0:
            return
        try:
            sockets = bind_all(host_addresses(self._given[0]), self._given[1])
        except RoomError as error:
            raise BadInput("whip.udp", f"{self._settings.udp}: {error}", _ALLOWED) from None
        for sock in sockets:
            sock.close()

    def open(self, host: str, server: int) -> UdpPort:
        """The port for the server at this address and port. Raises RoomError."""
        key = self._given or (host, server)
        port = self._ports.get(key)
        if port is None:
            address, number = self._given or (host, 0)
            port = UdpPort(host_addresses(address), number, self._settings.advertise, self._seconds)
            self._ports[key] = port
        return port

    @property
    def counters(self) -> Counter[str]:
        return sum((port.counters for port in self._ports.values()), Counter())

    def close(self) -> None:
        for port in self._ports.values():
            port.close()

    def _seconds(self) -> float:
        return self._clock.wall(self._clock.now()).timestamp()


def _parse(text: str) -> tuple[str, int]:
    try:
        url = urlsplit(f"//{text}")
        host, port = listen_host(url.hostname or ""), url.port
    except ValueError:
        host, port = "", None
    if not host or port is None or url.path or url.query or url.username:
        raise BadInput("whip.udp", text, _ALLOWED)
    return host, port
