"""The settings of HTTP servers: what connections may take."""

from dataclasses import dataclass, field

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What the connections of each HTTP server may take: of our own rooms and of the API."""

    connections: int = field(default=1_000, metadata={"range": (1, 1_000_000)})
    """Connections at once. For one more, the one that has been idle longest is closed."""
    per_address: int = field(default=200, metadata={"range": (1, 1_000_000)})
    """The same for one address, in IPv6 for one /64; a proxy in front is one address."""
    keep_alive: float = field(default=75.0, metadata={"range": (1, _DAY)})
    """Seconds without a request after which a connection is closed; a load balancer in front needs
    more than it keeps its own for, which is 60 as a rule."""
    reserve: float = field(default=0.25, metadata={"range": (0, 0.9)})
    """Part of the process's file descriptors that is left to media, disk and stores."""
