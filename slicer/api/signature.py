"""TC3-HMAC-SHA256, verified: who signed this request."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from slicer.api.errors import ApiError
from slicer.tc3 import ALGORITHM, sign

MAX_SKEW = 300
"""Seconds that a timestamp may be off, either way."""
MAX_SIGNED_HEADERS = 32
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""What stands for the body where the client sent this as X-TC-Content-SHA256."""

_MALFORMED = "AuthFailure.InvalidAuthorization"
_WRONG = "AuthFailure.SignatureFailure"
_CREDENTIAL = r"Credential=(?P<id>[^/,\s]{1,128})/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>\w{1,32})"
_HEADER = re.compile(
    rf"{_CREDENTIAL}/tc3_request\s*,\s*SignedHeaders=(?P<headers>[a-z0-9;_-]{{1,1024}})"
    r"\s*,\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SHAPE = (
    f"{ALGORITHM} Credential=ID/YYYY-MM-DD/trtc/tc3_request, "
    "SignedHeaders=content-type;host, Signature=64 hexadecimal digits"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it came: *query* undecoded, *headers* with names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the Authorization header says."""

    secret_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @classmethod
    def parse(cls, header: str) -> "Authorization":
        """Read the header. Raises ApiError, each fault with its own code."""
        algorithm, _, rest = header.strip().partition(" ")
        if not algorithm:
            raise ApiError("AuthFailure", f"Authorization: missing; allowed: {_SHAPE}")
        if algorithm != ALGORITHM:
            raise ApiError(
                "AuthFailure.UnsupportedOperation",
                f"Authorization: another algorithm; allowed: {ALGORITHM}",
            )
        found = _HEADER.fullmatch(rest.strip())
        if not found:
            raise ApiError(_MALFORMED, f"Authorization: malformed; allowed: {_SHAPE}")
        names = tuple(found["headers"].split(";"))
        if not {"content-type", "host"} <= set(names) or len(names) > MAX_SIGNED_HEADERS:
            raise ApiError(
                _MALFORMED, "SignedHeaders: allowed: content-type, host and up to 30 more"
            )
        return cls(found["id"], found["date"], found["service"], names, found["signature"])


def read_timestamp(headers: Mapping[str, str]) -> int:
    """X-TC-Timestamp, UTC in seconds. Raises ApiError."""
    text = headers.get("x-tc-timestamp", "")
    if not text:
        raise ApiError("MissingParameter", "X-TC-Timestamp: missing; allowed: UTC in seconds")
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise ApiError(_MALFORMED, "X-TC-Timestamp: no number; allowed: UTC in seconds")
    return int(text)


def canonical_request(message: Message, signed_headers: tuple[str, ...]) -> str:
    """What both sides hash. A POST's query is no part of it, and is not read either."""
    missing = [name for name in signed_headers if name not in message.headers]
    if missing:
        raise ApiError(_MALFORMED, f"SignedHeaders: {missing[0]!r} was not sent")
    lines = [f"{name}:{message.headers[name].strip().lower()}\n" for name in signed_headers]
    query = message.query if message.method == "GET" else ""
    payload = b"" if message.method == "GET" else message.body
    if message.headers.get("x-tc-content-sha256") == UNSIGNED_PAYLOAD:
        payload = UNSIGNED_PAYLOAD.encode()
    hashed = hashlib.sha256(payload).hexdigest()
    parts = (message.method, message.path, query, "".join(lines), ";".join(signed_headers), hashed)
    return "\n".join(parts)


def verify(
    message: Message, claimed: Authorization, secret_key: str, now: float, service: str = "trtc"
) -> int:
    """The request's timestamp, once it is proved that who holds *secret_key* signed it near *now*.

    *now* is UTC in seconds. Raises ApiError: stale, for another service, or not signed so.
    """
    timestamp = read_timestamp(message.headers)
    if abs(now - timestamp) > MAX_SKEW:
        raise ApiError(
            "AuthFailure.SignatureExpire",
            f"X-TC-Timestamp: {now - timestamp:+.0f} s old; allowed: {MAX_SKEW} s either way",
        )
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    if (claimed.date, claimed.service) != (date, service):
        raise ApiError(_WRONG, f"Credential: allowed: the scope {date}/{service}/tc3_request")
    canonical = canonical_request(message, claimed.signed_headers)
    expected = sign(secret_key, timestamp, date, service, canonical)
    if not hmac.compare_digest(expected, claimed.signature):
        raise ApiError(_WRONG, "Signature: not made with this key over this request")
    return timestamp
