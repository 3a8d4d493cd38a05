"""The listener of the API: its address, its certificate, and what it refuses to listen on."""

import errno
import logging
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from slicer.api.dispatch import is_loopback
from slicer.errors import BadInput
from slicer.http import HttpSettings, Server, cannot_listen

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listen:
    """An address, and the PEM files of TLS where it is to be spoken. Raises BadInput."""

    host: str = "127.0.0.1"
    port: int = 8088
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if not self.host:  # which the system takes for all addresses
            raise BadInput("serve.host", "", "an address of this machine; 0.0.0.0 or :: for all")
        if not 0 <= self.port <= 65_535:
            raise BadInput("port", self.port, "0 (any free one) to 65535")
        if (self.certificate is None) != (self.key is None):
            raise BadInput("serve.tls_cert", "one file", "with serve.tls_key, or neither")


def check_listen(listen: Listen, insecure: bool) -> None:
    """Raise BadInput where requests without signatures could come from other machines."""
    if insecure and not is_loopback(listen.host):
        raise BadInput("--insecure", listen.host, "a loopback address: 127.0.0.1, ::1, localhost")


async def open_server(
    app: Starlette, listen: Listen, insecure: bool = False, http: HttpSettings | None = None
) -> Server:
    """Listen, in the running loop, until the server is closed. Raises BadInput."""
    check_listen(listen, insecure)
    if insecure:
        log.warning("INSECURE: requests are not verified; anyone on this machine may send them")
    elif listen.certificate is None and not is_loopback(listen.host):
        log.warning("no TLS on %s: the customers' storage keys pass in clear text", listen.host)
    try:
        return Server(listen.host, listen.port, app, listen.certificate, listen.key, http)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise cannot_listen("serve.port", listen.port, error) from None
        raise cannot_listen("serve.host", listen.host, error) from None
