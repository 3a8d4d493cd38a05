"""One HTTP server inside our own event loop: Uvicorn's protocol over connections that we accept."""

import asyncio
import errno
import socket
import ssl
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from slicer.errors import BadInput
from slicer.http.acceptor import Acceptor
from slicer.http.connection import Connection
from slicer.http.settings import HttpSettings

BACKLOG = 1_024
"""Connections that the kernel holds until they are accepted."""
DRAIN = 1.0
"""Seconds that requests under way may take when the server closes."""


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
        settings: HttpSettings | None = None,
    ) -> None:
        settings = settings or HttpSettings()
        listener = _listen(host, port)
        self.port: int = listener.getsockname()[1]
        self._config = uvicorn.Config(
            _observed(app),
            http="h11",
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",  # a line for each request that is none would fill the disk
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._files = (certificate, key)
        try:
            self._config.load()
        except OSError as error:
            listener.close()
            raise self._wrong_files(error) from None
        self._state = ServerState()
        self._acceptor = Acceptor(listener, self._protocol, settings, self._config.ssl)

    @property
    def counters(self) -> Counter[str]:
        """Connections that were refused, closed or cut off, by reason."""
        return self._acceptor.counters

    def reload_certificate(self) -> None:
        """Read the PEM files again, for connections to come. Raises BadInput for files that do not
        fit; the certificate of before is then kept."""
        certificate, key = self._files
        if self._config.ssl is None or certificate is None:
            return
        try:
            # A context keeps what it took before an error: so they are tried in another one first.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._config.ssl):
                context.load_cert_chain(certificate, key)
        except OSError as error:
            raise self._wrong_files(error) from None

    def _wrong_files(self, error: OSError) -> BadInput:
        """SSLError is one, too; its words name no file."""
        return BadInput(
            "serve.tls_cert",
            str(self._files[0]),
            f"PEM files that can be read, and serve.tls_key that fits ({error})",
        )

    def tell(self, counter: str, text: str) -> None:
        """Count what the application refuses, and log the first one and then one a minute: who
        floods us fills no disk."""
        self._acceptor.tell(counter, text)

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        self._acceptor.close()
        for protocol in list(self._state.connections):
            protocol.shutdown()
        under_way = list(self._state.tasks)
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=DRAIN)
            for one in late:
                one.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._acceptor.abort()

    def _protocol(self, connection: Connection) -> asyncio.Protocol:
        # The application finds its connection in the scope of a request, as its state.
        return _Protocol(self._config, self._state, {"connection": connection})


class _Protocol(H11Protocol):
    """Uvicorn's, without a traceback in the log for each request whose body is malformed: it would
    answer such a one twice, itself and by the application."""

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what the application answers goes nowhere
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun or is over, or may have no body (HEAD)
            self.transport.abort()


def cannot_listen(field: str, got: object, error: OSError) -> BadInput:
    """What is said where an address or port cannot be listened on."""
    allowed = f"a free port of this host, and an address that is its own ({error.strerror})"
    return BadInput(field, got, allowed)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, TypeError, ValueError) as error:  # a name that cannot be encoded is no OSError
        # What Python adds to the system's words repeats the address.
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        text = f"cannot listen on {host} port {port}: {reason}"
        raise OSError(getattr(error, "errno", errno.EINVAL), text) from None
    # Accepted sockets inherit it. asyncio leaves it out for sockets of `create_server`, and an
    # answer's body then waits 40 ms for the ACK of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _observed(app: ASGIApp) -> ASGIApp:
    """The application, with its connection told of each request, and its answers with the date that
    RFC 9110 6.6.1 wants. Uvicorn's own date comes from a timer that we leave out."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                message = {**message, "headers": [*message.get("headers", ()), date]}
            await send(message)

        async def received() -> Message:
            message = await receive()
            if not message.get("more_body"):
                connection.request_received()
            return message

        connection: Connection = scope["state"]["connection"]
        connection.request_began()
        try:
            await app(scope, received, dated)
        except ClientDisconnect:
            pass  # in the midst of a body; nobody is left to be answered
        finally:
            connection.request_ended()

    return answer
