"""What a stream has on HTTP: playlists, segments, an endless FLV; fetched for FFmpeg.

Theory of operation. FFmpeg has an HTTP client of its own, which follows every redirect and every
URL of a playlist, to the host's own network and to the cloud's metadata as well. A stream's URL is
the operator's, but what a playlist says is its author's. So FFmpeg opens nothing itself: it asks
here, and what leads to another host is refused, unless the settings name it. A redirect is followed
by the same rule, and none leads from HTTPS to HTTP.
"""

import threading
from collections.abc import Collection, Iterator
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx

from slicer.errors import RoomError
from slicer.rooms.stream.address import Protocol, StreamAddress
from slicer.rooms.stream.settings import StreamSettings

MAX_REDIRECTS = 5
MAX_RESOURCE = 64 << 20
"""Bytes of one playlist or segment. An FLV has no end, and is not counted."""
_PORTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """Where an HTTP URL leads."""

    scheme: str
    host: str
    port: int


class Resources:
    """Opens the resources of one stream; used in its thread."""

    def __init__(self, address: StreamAddress, settings: StreamSettings) -> None:
        self._home = _place(urlsplit(address.url))
        self._hosts: Collection[str] = settings.hosts
        self._limit = None if address.protocol is Protocol.FLV else MAX_RESOURCE
        timeout = httpx.Timeout(settings.silence, connect=settings.connect_timeout)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)
        self._stopped = threading.Event()
        self.refusal = ""
        """Why a resource was not opened last, in words; FFmpeg only says that it was not, or tries
        the next one. One that is opened changes nothing, for a playlist is read again and again."""

    def open(self, url: str, flags: int = 0, options: object = None) -> "Resource":
        """Get a resource. Raises RoomError; FFmpeg passes *flags* and *options*, of no use here."""
        try:
            resource = self._get(url)
        except RoomError as error:
            self.refusal = str(error)
            raise
        except httpx.HTTPError as error:
            self.refusal = _words(error)
            raise RoomError(self.refusal) from None
        return resource

    def stop(self) -> None:
        """Give no more from now on; from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def _get(self, url: str) -> "Resource":
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            response = self._client.send(self._client.build_request("GET", url), stream=True)
            if not response.has_redirect_location:
                break
            response.close()
            url = str(response.next_request.url) if response.next_request else ""
        else:
            raise RoomError(f"more than {MAX_REDIRECTS} redirects")
        if response.status_code != httpx.codes.OK:
            response.close()
            raise RoomError(f"HTTP {response.status_code} {response.reason_phrase}".rstrip())
        return Resource(response, self._limit, self._stopped)

    def _check(self, url: str) -> None:
        """Raise RoomError for what is not on the stream's own host, or one of the settings'."""
        place = _place(urlsplit(url))
        secure = place.scheme == "https" or self._home.scheme == "http"
        if place.scheme not in _PORTS or not secure:
            raise RoomError(f"the stream leads to a URL of {place.scheme or 'no scheme'}")
        allowed = {place.host, f"{place.host}:{place.port}"} & set(self._hosts)
        if place[1:] != self._home[1:] and not allowed:
            where = f"{place.host}:{place.port}"
            raise RoomError(f"the stream leads to {where}, which stream.hosts does not name")


class Resource:
    """One resource that is read from its beginning."""

    def __init__(
        self, response: httpx.Response, limit: int | None, stopped: threading.Event
    ) -> None:
        self._response, self._limit, self._stopped = response, limit, stopped
        self._parts: Iterator[bytes] = response.iter_bytes()
        self._left = memoryview(b"")
        self._size = 0

    def read(self, size: int) -> bytes:
        """At most *size* bytes, as soon as there are any; none at the end, or once it is stopped.
        Raises RoomError."""
        while not self._left and not self._stopped.is_set():
            try:
                part = next(self._parts, None)
            except httpx.HTTPError as error:
                raise RoomError(_words(error)) from None
            if part is None:
                return b""
            self._size += len(part)
            if self._limit is not None and self._size > self._limit:
                raise RoomError(f"a resource of more than {self._limit} bytes")
            self._left = memoryview(part)
        if self._stopped.is_set():
            return b""
        found, self._left = self._left[:size], self._left[size:]
        return bytes(found)

    def close(self) -> None:
        """Read no further."""
        self._response.close()


def _place(url: SplitResult) -> Place:
    """Raises RoomError where the port cannot be read."""
    try:
        port = url.port
    except ValueError:
        raise RoomError("the stream leads to a URL that cannot be read") from None
    return Place(url.scheme, url.hostname or "", port or _PORTS.get(url.scheme, 0))


def _words(error: httpx.HTTPError) -> str:
    """What went wrong, without the URL, which may have secrets."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    if isinstance(error, httpx.TimeoutException):
        return "nothing came in time"
    if isinstance(error, httpx.ConnectError):
        return f"cannot be connected to: {error}"
    return f"the connection broke ({type(error).__name__})"
