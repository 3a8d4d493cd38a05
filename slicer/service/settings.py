"""The settings of the service: its own tables, and the engine's from the same file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from slicer.config import (
    HOST,
    REGION,
    SERVER_URL,
    bounded,
    check,
    secret,
    spelled,
    split_authority,
)
from slicer.config.reader import SettingsReader
from slicer.engine.settings import MOVED, OTHER_TABLES, Settings
from slicer.errors import BadInput
from slicer.fleet.settings import FleetSettings
from slicer.logs.settings import LogSettings
from slicer.metrics.settings import MetricsSettings, TracingSettings
from slicer.service.applications import Application, applications
from slicer.storage.bucket import MAX_LINK, MIN_LINK
from slicer.webhooks.settings import WebhookSettings

REGIONS = ("ap-singapore", "eu-frankfurt", "ap-guangzhou", "ap-beijing", "ap-shanghai")
"""What TRTC's documents name, and what callers of its mainland endpoint use."""

LEAST_TOKEN = 16
"""Characters of the console's token: nobody guesses so many."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The API's server, and where the service keeps what must survive it."""

    host: str = spelled("127.0.0.1", HOST)
    """Address that the API listens on."""
    port: int = bounded(8088, 0, 65_535)
    """Port that the API listens on; 0: any free one."""
    hosts: tuple[str, ...] = spelled((), HOST)
    """Hosts that API requests may be signed for, without port; empty: all but Tencent's own."""
    health: str = ""
    """HOST:PORT of a server for /healthz and /readyz alone; empty: only beside the API."""
    regions: tuple[str, ...] = spelled(REGIONS, REGION)
    """Values of X-TC-Region that are answered."""
    tls_cert: str = ""
    """PEM file of the certificate; empty: plain HTTP, for a proxy that has TLS."""
    tls_key: str = ""
    """PEM file of the certificate's key."""
    state: str = "slicer-state"
    """Folder of the task registry and of the webhooks that wait."""
    state_keys: str = secret("SLICER_STATE_KEY")
    """Fernet keys, separated by commas: the first one encrypts, all decrypt."""
    state_key_file: str = ""
    """The same keys, one a line, where state_keys is empty; made in the state folder if need be."""
    group_writes: bool = False
    """Whether the state folder's group may write to it, as on a volume given to a group."""
    keep_ended: int = bounded(7, 1, 3_650)
    """Days for which an ended task is known to have ended."""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The page for operators, at /console of the API's address."""

    enabled: bool = True
    """Whether there is one; beyond loopback there is none without a token either."""
    token: str = secret("SLICER_CONSOLE_TOKEN")
    """What operators log in with, of 16 characters or more; empty: on loopback, one that is made in
    the state folder."""
    listen: str = ""
    """HOST:PORT of the console of a worker of a fleet, which has no API; empty: it has none."""
    hosts: tuple[str, ...] = spelled((), HOST)
    """Names that it is reached by, without port, such as its name at a proxy; addresses, localhost
    and serve.hosts are always allowed."""
    memory: int = bounded(64 * 1024 * 1024, 0, 2**40)
    """Bytes of pictures and audio that are kept to be shown, while somebody looks."""


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """Where the vendors of the API's buckets are reached, if not at their usual places."""

    s3_endpoint: str = spelled("", SERVER_URL)
    """For example http://127.0.0.1:9000."""
    cos_endpoint: str = spelled("", SERVER_URL)
    """The same for Tencent's COS."""
    oss_endpoint: str = spelled("", SERVER_URL)
    """The same for Aliyun's OSS."""
    links: int = bounded(0, 0, MAX_LINK)
    """Seconds (60 at least) for which 1004 names a URL that anyone may read by; 0: none."""
    etags: bool = False
    """Whether 1004 names the file's ETag: its MD5, unless the store encrypts by a KMS."""
    path_style: bool = False
    """Whether the bucket stands in the path of a URL; S3 alone."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """All that the service needs. Raises BadInput that names the field."""

    engine: Settings = field(default_factory=Settings)
    """The tables of the engine that carries out its tasks."""
    serve: ServeSettings = field(default_factory=ServeSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    vendors: VendorSettings = field(default_factory=VendorSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    apps: tuple[Application, ...] = ()
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)

    def __post_init__(self) -> None:
        for name in OTHER_TABLES:
            if name != "apps":
                check(name, getattr(self, name))
        if 0 < len(self.console.token) < LEAST_TOKEN:
            raise BadInput("console.token", "a shorter text", f"{LEAST_TOKEN} characters or more")
        if bool(self.serve.tls_cert) != bool(self.serve.tls_key):
            raise BadInput("serve.tls_cert", "one file", "with serve.tls_key, or neither")
        if 0 < self.vendors.links < MIN_LINK:
            allowed = f"0, or seconds from {MIN_LINK} to {MAX_LINK}"
            raise BadInput("vendors.links", self.vendors.links, allowed)
        if self.console.listen:
            split_authority("console.listen", self.console.listen)
        if self.serve.health:
            split_authority("serve.health", self.serve.health)

    def tables(self) -> dict[str, Any]:
        """Every table of a file by its name, but for the applications."""
        engine = {one.name: getattr(self.engine, one.name) for one in fields(self.engine)}
        return engine | {name: getattr(self, name) for name in OTHER_TABLES if name != "apps"}

    @classmethod
    def load(cls, path: Path | None = None, environment: Mapping[str, str] | None = None) -> Self:
        """Read a file, if one is named; then variables over it. Raises BadInput."""
        reader = SettingsReader.read(path, environment, MOVED)
        engine = Settings.take(reader)
        serve = reader.take("serve", ServeSettings)
        webhooks = reader.take("webhooks", WebhookSettings)
        vendors = reader.take("vendors", VendorSettings)
        console = reader.take("console", ConsoleSettings)
        apps = applications(reader.tables.pop("apps", []), reader.variables)
        log = reader.take("log", LogSettings)
        metrics = reader.take("metrics", MetricsSettings)
        tracing = reader.take("tracing", TracingSettings)
        fleet = reader.take("fleet", FleetSettings)
        reader.end(("apps",), ("SLICER_SUPPLIER_SECRET_KEY",))
        return cls(engine, serve, webhooks, vendors, console, apps, log, metrics, tracing, fleet)
