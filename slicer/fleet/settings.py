"""The settings of a fleet; without servers there is none, and one process does everything."""

import re
from dataclasses import dataclass

from slicer.config import bounded, secret
from slicer.errors import BadInput

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a worker, a zone and a bucket may be called: a part of a NATS subject."""


MAX_ADDRESS = 512
"""Characters of an address that a worker announces."""
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def is_address(text: object) -> bool:
    """Whether others may be led to this text: http:// or https://, a host, and no more than a path
    (the prefix of a proxy)."""
    if not isinstance(text, str):
        return False
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    fits = bool(_HOST.fullmatch(host)) and bool(_PATH.fullmatch(slash + path))
    return scheme in {"http", "https"} and bool(separator) and fits and len(text) <= MAX_ADDRESS


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How the processes of a fleet find each other: by NATS with JetStream."""

    servers: tuple[str, ...] = ()
    """URLs of the NATS servers, `nats://` or `tls://`; empty: one process does everything."""
    name: str = ""
    """What this process is called; no two workers may have one name. Empty: the host's name."""
    zone: str = ""
    """Where it is: a dead worker's tasks stay in its zone as long as others there can take them."""
    bucket: str = "slicer"
    """What the fleet's names begin with on the bus; fleets that share servers have one each."""
    replicas: int = bounded(3, 1, 5)
    """Servers that keep each record; 3 survive the loss of one, 1 is for a single server."""
    rooms: str = ""
    """Where publishers reach this worker's own rooms, as `https://host:port`."""
    console: str = ""
    """Where operators reach this worker's console (`console.listen`), as `https://host:port`; a
    copy of the API links there."""
    copies: str = ""
    """A bucket in which each slice has a copy until its own has it: `s3://bucket/prefix?region=…`,
    `cos://`, `gs://` or `az://`; empty: slices are in their worker's spool alone."""
    copies_access_key: str = secret("SLICER_FLEET_COPIES_ACCESS_KEY")
    """Its access key; empty: the vendor's usual places are looked into."""
    copies_secret_key: str = secret("SLICER_FLEET_COPIES_SECRET_KEY")
    """Its secret key."""
    credentials: str = ""
    """File of NATS credentials (`nsc`); empty: what the URLs have, or none."""
    user: str = ""
    """User name, where the servers have names and passwords."""
    password: str = secret("SLICER_FLEET_PASSWORD")
    """Its password."""
    tls_ca: str = ""
    """PEM file of the certificates that sign the servers'; empty: those of the system."""
    tls_cert: str = ""
    """PEM file of our own certificate, where servers ask for one."""
    tls_key: str = ""
    """PEM file of its key."""

    def __post_init__(self) -> None:
        for field in ("rooms", "console"):
            url: str = getattr(self, field)
            if url and not is_address(url):
                raise BadInput(f"fleet.{field}", url, "https://HOST:PORT, or with a path after it")
        for field in ("name", "zone", "bucket"):
            value: str = getattr(self, field)
            if not NAME.fullmatch(value) and (value or field == "bucket"):
                raise BadInput(f"fleet.{field}", value, "1 to 64 letters, digits, - and _")
        for url in self.servers:
            if not url.startswith(("nats://", "tls://")):
                got = url.partition("://")[0] + "://…"  # the rest may hold a password
                raise BadInput("fleet.servers", got, "nats://HOST:PORT or tls://HOST:PORT")
        if bool(self.copies_access_key) != bool(self.copies_secret_key):
            raise BadInput("fleet.copies", "one key", "copies_access_key and copies_secret_key")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise BadInput("fleet.tls_cert", "one of two", "tls_cert and tls_key, or neither")
