"""One HTTP server inside our own event loop."""

import asyncio
import errno
import socket
from contextlib import nullcontext
from email.utils import formatdate
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicer.errors import BadInput

MAX_CONNECTIONS = 1_000
"""HTTP connections at once; one more is answered 503."""
DRAIN = 1
"""Seconds that requests under way may take when the server closes."""


class _Silent(uvicorn.Server):
    """Uvicorn wakes ten times a second to see whether it should end; this one is woken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._ended.wait()

    def end(self) -> None:
        """Stop listening, now or as soon as it has begun."""
        self.should_exit = True
        self._ended.set()


class Server:
    """Listens from its construction on; with TLS if *certificate* and *key* (PEM files) are set.

    Raises OSError, with a text for users, if the address cannot be bound, and BadInput if the files
    cannot be used.
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
        except (
            OSError,
            TypeError,
            ValueError,
        ) as error:  # a name that cannot be encoded is no OSError
            reason = getattr(error, "strerror", None) or error
            text = f"cannot listen on {host} port {port}: {reason}"
            raise OSError(getattr(error, "errno", errno.EINVAL), text) from None
        # Accepted sockets inherit it. asyncio leaves it out for sockets of `create_server`, and an
        # answer's body then waits 40 ms for the ACK of its head.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            _dated(app),
            http="h11",
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,  # it would be set by the ticks that are left out
            timeout_graceful_shutdown=DRAIN,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as error:  # SSLError is one; its words name no file
            self._socket.close()
            raise BadInput("tls", str(certificate), f"PEM files that fit ({error})") from None
        self._server = _Silent(config)
        # Signals belong to the process, not to one of the servers in it.
        self._server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        self._server.end()
        await asyncio.wait([self._task])
        self._socket.close()


def _dated(app: ASGIApp) -> ASGIApp:
    """The application, its answers with the date that RFC 9110 6.6.1 wants."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                message = {**message, "headers": [*message.get("headers", ()), date]}
            await send(message)

        await app(scope, receive, dated)

    return answer
