"""HTTP beneath an SDK that only signs: urllib3, with timeouts of ours.

The SDKs of COS and OSS come with `requests`, which costs as much as all the rest of an upload,
reads ~/.netrc at each request and gives a whole body one timeout. This one sends in blocks, each
with a timeout of its own, so that a slow line may take its time and a dead one is noticed. It
follows no redirect, retries nothing, and keeps no cookies.
"""

import io
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from xml.etree import ElementTree

from slicer.errors import StorageError, StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.answers import Answer, hide, rekeyed, retry_after, storage_error
from slicer.storage.objects import CONNECTIONS, Timeouts

if TYPE_CHECKING:
    from urllib3 import PoolManager

BLOCK = 16_384
"""Bytes that are sent under one timeout."""
UNSENT = 65_536
"""Bytes that may wait in the kernel: what is left when the wait for the answer begins."""
MAX_ANSWER = 65_536

UNREACHABLE = "check endpoint and network; it is tried again"
# urllib3's exceptions by name, special ones first → what was said, what to do.
_FAILURES = {
    "SSLError": ("no TLS connection", "check the endpoint and its certificate"),
    "NameResolutionError": ("the host's name is not known", UNREACHABLE),
    "NewConnectionError": ("no connection", UNREACHABLE),  # is a ConnectTimeoutError as well
    "ConnectTimeoutError": ("no connection in time", UNREACHABLE),
    "ProxyError": ("no connection to the proxy", UNREACHABLE),
    "ReadTimeoutError": ("no answer in time", UNREACHABLE),
    "TimeoutError": ("no answer in time", UNREACHABLE),
    "HTTPError": ("the connection broke", UNREACHABLE),
    "OSError": ("the connection broke", UNREACHABLE),
}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the 200s. *headers* have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpTransport:
    """Connections to one host; opened at the first request, shared by threads."""

    def __init__(
        self,
        timeouts: Timeouts,
        right: str,
        tls_host: str | None = None,
        most: int = MAX_ANSWER,
    ) -> None:
        """*right*: as for `storage_error`. *tls_host*: the name in the certificate, where the
        URLs hold an address instead. *most*: bytes that are read of an answer."""
        self._timeouts, self._right, self._tls_host = timeouts, right, tls_host
        self._most = most
        self._opening = threading.Lock()
        self._pool: PoolManager | None = None

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Raises StorageError of no key, and what urllib3 raises."""
        answer = self._open(url).request(
            method,
            url,
            body=io.BytesIO(body) if body else None,  # a file goes block by block
            headers=dict(headers),
            redirect=False,
            preload_content=False,
        )
        try:
            read = answer.read(self._most)
        except BaseException:
            answer.close()
            raise
        if len(read) == self._most:  # no store says so much: what follows is not waited for
            answer.close()
        answer.release_conn()
        received = {name.lower(): value for name, value in answer.headers.items()}
        if not 200 <= answer.status < 300:
            raise storage_error("", read_answer(answer.status, received, read), self._right)
        return Response(answer.status, received, read)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()

    def _open(self, url: str) -> "PoolManager":
        with self._opening:
            if self._pool is None:
                self._pool = self._connect(url)
            return self._pool

    def _connect(self, url: str) -> "PoolManager":
        from urllib3 import PoolManager, ProxyManager, Timeout  # noqa: PLC0415

        options: dict[str, Any] = {
            "maxsize": CONNECTIONS,
            "block": True,
            "retries": False,
            "timeout": Timeout(connect=self._timeouts.connect, read=self._timeouts.read),
            "blocksize": BLOCK,
            "socket_options": _socket_options(),
        }
        if url.startswith("https:"):
            options |= {"ssl_context": tls_context(), "server_hostname": self._tls_host}
        proxy = proxy_of(url)
        return ProxyManager(proxy, **options) if proxy else PoolManager(**options)


def translated(key: str, error: Exception, credentials: Credentials | None) -> StorageError:
    """The error for what a request, and the SDK around it, has raised."""
    for each in _chain(error):
        if isinstance(each, StorageError):
            return rekeyed(key, each, credentials)
    for each in _chain(error):
        kinds = {kind.__name__ for kind in type(each).__mro__}
        for kind, (reason, advice) in _FAILURES.items():
            if kind in kinds:
                return StorageUnavailable(key, reason, advice)
    reason = hide(f"{type(error).__name__}: {error}", credentials)
    return StorageUnavailable(key, reason, "was it the store that answered?")


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """A refusal as COS, OSS and S3 write it: XML, or nothing but a status."""
    found = {}
    if body.lstrip()[:1] == b"<" and b"<!DOCTYPE" not in body and b"<!ENTITY" not in body:
        try:
            tree = ElementTree.fromstring(body)  # noqa: S314  # entities need a DOCTYPE
            found = {each.tag.rpartition("}")[2]: each.text or "" for each in tree}
        except (ElementTree.ParseError, ValueError, LookupError):
            found = {}
    code, message, region = (found.get(name, "") for name in ("Code", "Message", "Region"))
    wait = retry_after(headers.get("retry-after", ""))
    return Answer(status, code[:64], message[:400], region[:63], wait)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what led to it, the outermost first."""
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in chain:
        chain.append(each)
        each = each.__cause__ or each.__context__
    return chain


def _socket_options() -> list[tuple[int, int, int]]:
    """No waiting for full packets, and little unsent in the kernel: a timeout then tells of the
    line, not of a buffer."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    unsent = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    return [*options, (socket.IPPROTO_TCP, unsent, UNSENT)] if unsent else options


@cache
def tls_context() -> ssl.SSLContext:
    """One for all: the certificates of the authorities take half a megabyte."""
    return ssl.create_default_context()


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this host (HTTPS_PROXY, NO_PROXY)."""
    split = urlsplit(url)
    if not split.hostname or proxy_bypass(split.hostname):
        return None
    return getproxies().get(split.scheme)
