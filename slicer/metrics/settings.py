"""The settings of metrics and of tracing."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from slicer.config import bounded, split_authority
from slicer.errors import BadInput


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where metrics are read. Raises BadInput."""

    listen: str = ""
    """HOST:PORT of a server for /metrics alone, such as 127.0.0.1:9464; empty: none."""

    def __post_init__(self) -> None:
        if self.listen:
            split_authority("metrics.listen", self.listen)


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where a span of each slice goes. Raises BadInput."""

    endpoint: str = ""
    """URL that takes OTLP by HTTP, such as http://127.0.0.1:4318/v1/traces; empty: no tracing."""
    ratio: float = bounded(1.0, 0, 1)
    """Part of the slices that is traced."""

    def __post_init__(self) -> None:
        if not self.endpoint:
            return
        try:
            url = urlsplit(self.endpoint)
            right = url.scheme in {"http", "https"} and bool(url.hostname) and url.username is None
        except ValueError:
            right = False
        if not right:
            raise BadInput(
                "tracing.endpoint",
                "a URL that cannot be used",  # it may hold a password
                "http:// or https://, a host and a path, without user and password",
            )
