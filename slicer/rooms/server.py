"""One HTTP server inside our own event loop; knows no endpoint."""

import asyncio
import socket
from contextlib import nullcontext
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from slicer.errors import BadInput, RoomError

MAX_CONNECTIONS = 1_000
"""HTTP connections at once; one more is answered 503."""
DRAIN = 1
"""Seconds that requests under way may take when the server closes."""


class Server:
    """Listens as soon as it is made, with TLS where *certificate* and *key* (PEM files) are given.

    Raises RoomError where the address cannot be had, BadInput where the files cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        app: Starlette,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise RoomError(f"cannot listen on {host} port {port}: {error.strerror}") from None
        # Accepted sockets inherit it. asyncio leaves it out for sockets of `create_server`, and an
        # answer's body then waits 40 ms for the ACK of its head.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http="h11",
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as error:  # SSLError is one; its words name no file
            self._socket.close()
            raise BadInput("tls", str(certificate), f"PEM files that fit ({error})") from None
        self._server = uvicorn.Server(config)
        # Signals belong to the process, not to one of the servers in it.
        self._server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        self._server.should_exit = True
        await asyncio.wait([self._task])
        self._socket.close()
