"""Whether the process lives and takes orders: beside the API, and behind a door of its own.

Its own server has its own places for connections, so whoever takes all of the API's does not make
a supervisor end the process.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from slicer.config import split_authority
from slicer.http import HttpSettings, Server, application, cannot_listen, resource

LIMITS = HttpSettings(connections=64, per_address=64, keep_alive=75.0, reserve=0.02)
"""Few connections, and of the process's last descriptors."""


def health_routes(busy: Callable[[], str]) -> list[Route]:
    """`/healthz` and `/readyz`, which ask for no signature. *busy*: why no orders are taken, or
    nothing."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        reason = busy()
        if reason:
            return JSONResponse({"status": "busy", "reason": reason}, 503)
        return JSONResponse({"status": "ready"})

    return [resource("/healthz", {"GET": healthz}), resource("/readyz", {"GET": readyz})]


def open_health(listen: str, busy: Callable[[], str]) -> Server:
    """Serve health alone at HOST:PORT; *busy* as above. Raises BadInput."""
    host, port = split_authority("serve.health", listen)
    try:
        return Server(host, port, application(health_routes(busy)), settings=LIMITS)
    except OSError as error:
        raise cannot_listen("serve.health", listen, error) from None
