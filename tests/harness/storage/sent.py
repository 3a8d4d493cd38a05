"""What a client of an SDK sends, taken off before it reaches a connection."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5

import pytest

from slicer.storage.transport import HttpTransport, Response


@dataclass
class Sent:
    """The last request."""

    method: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@contextmanager
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Every request is answered as if it had been stored."""
    sent = Sent()

    def send(
        _: HttpTransport, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        sent.method, sent.url, sent.headers, sent.body = method, url, headers, body
        return Response(200, {"etag": f'"{md5(body).hexdigest()}"'}, b"")

    monkeypatch.setattr(HttpTransport, "send", send)
    yield sent
