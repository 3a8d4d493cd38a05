"""The ports that publishers' media comes to: as the settings say, or a UDP port for each server."""

import socket
from collections import Counter
from urllib.parse import urlsplit

from slicer.clock import Clock
from slicer.errors import BadInput, RoomError
from slicer.rooms.whip.address import listen_host
from slicer.rooms.whip.settings import WhipSettings
from slicer.webrtc.lite.port import UdpPort, bind_all
from slicer.webrtc.lite.tcp import TcpPort
from slicer.webrtc.transport import host_addresses

_ALLOWED = "ADDRESS:PORT of this host, such as 0.0.0.0:8189 or [::]:8189 (port 0: any free one)"


class MediaPorts:
    """The ports of all servers. With `whip.udp` they share one, which is refused early;
    `whip.tcp` needs it, as the settings see to."""

    def __init__(self, settings: WhipSettings, clock: Clock) -> None:
        """Raises BadInput for `whip.udp` and `whip.tcp`."""
        self._settings, self._clock = settings, clock
        self._given = _parse("whip.udp", settings.udp)
        self._by_tcp = _parse("whip.tcp", settings.tcp)
        self._tcp: TcpPort | None = None
        self._ports: dict[tuple[str, int], UdpPort] = {}

    def check(self) -> None:
        """Raise BadInput where a port of the settings cannot be had."""
        if self._given is not None and self._given not in self._ports:
            _try("whip.udp", self._given, socket.SOCK_DGRAM)
        if self._by_tcp is not None and self._tcp is None:
            _try("whip.tcp", self._by_tcp, socket.SOCK_STREAM)

    def open(self, host: str, server: int) -> UdpPort:
        """The port for the server at this address and port. Raises RoomError."""
        key = self._given or (host, server)
        port = self._ports.get(key)
        if port is None:
            address, number = self._given or (host, 0)
            port = UdpPort(host_addresses(address), number, self._settings.advertise, self._seconds)
            if self._by_tcp is not None:
                try:
                    self._tcp = self._open_tcp(port, self._by_tcp)
                except RoomError:
                    port.close()
                    raise
            self._ports[key] = port
        return port

    @property
    def counters(self) -> Counter[str]:
        return sum((port.counters for port in self._ports.values()), Counter())

    def close(self) -> None:
        if self._tcp is not None:
            self._tcp.close()
        for port in self._ports.values():
            port.close()

    def _seconds(self) -> float:
        return self._clock.wall(self._clock.now()).timestamp()

    def _open_tcp(self, port: UdpPort, address: tuple[str, int]) -> TcpPort:
        return TcpPort(port, host_addresses(address[0]), address[1], self._settings.advertise)


def _try(field: str, address: tuple[str, int], kind: socket.SocketKind) -> None:
    """Raise BadInput where this port cannot be had."""
    host, number = address
    try:
        sockets = bind_all(host_addresses(host), number, kind)
    except RoomError as error:
        shown = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        raise BadInput(field, f"{shown}: {error}", _ALLOWED) from None
    for sock in sockets:
        sock.close()


def _parse(field: str, text: str) -> tuple[str, int] | None:
    if not text:
        return None
    try:
        url = urlsplit(f"//{text}")
        host, port = listen_host(url.hostname or ""), url.port
    except ValueError:
        host, port = "", None
    if not host or port is None or url.path or url.query or url.username:
        raise BadInput(field, text, _ALLOWED)
    return host, port
