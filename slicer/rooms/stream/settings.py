"""The settings of streams that are sliced as rooms."""

from dataclasses import dataclass

from slicer.config import DAY, HOST_PORT, bounded, spelled


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How long a stream is waited for, and where else it may lead."""

    connect_timeout: float = bounded(10.0, 1, 120)
    """Seconds from connecting to the first media, after which a stream is not there."""
    silence: float = bounded(10.0, 1, DAY)
    """Seconds without media after which a stream is lost, and connected to again."""
    hosts: tuple[str, ...] = spelled((), HOST_PORT)
    """Other hosts, HOST or HOST:PORT, that playlists and redirects of HTTP may lead to."""
