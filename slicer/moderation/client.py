"""One POST to one supplier: bounded in time and size, no redirect, an answer in JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from slicer.errors import SliceNotJudged, SupplierRefused, SupplierUnavailable, shown
from slicer.moderation.settings import ModerationSettings

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer; a longer one is none."""
KEEP_ALIVE = 30.0
_SECONDS = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON object that came with it; {} where none did. *raw*: its text."""

    status: int
    body: Mapping[str, Any]
    raw: str
    retry_after: float | None = None


class SupplierClient:
    """The connections to one account: as many as it may have requests side by side."""

    def __init__(self, label: str, settings: ModerationSettings) -> None:
        self._label = label
        limits = httpx.Limits(
            max_connections=settings.concurrency,
            max_keepalive_connections=settings.concurrency,
            keepalive_expiry=KEEP_ALIVE,
        )
        self._http = httpx.AsyncClient(timeout=settings.timeout, limits=limits, trust_env=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send. Raises SupplierUnavailable where no answer came, or one too long."""
        try:
            async with self._http.stream("POST", url, content=body, headers=headers) as response:
                raw = await self._read(response)
        except httpx.TimeoutException as error:
            raise SupplierUnavailable(self._label, "no answer in time") from error
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}"
            raise SupplierUnavailable(self._label, reason) from error
        pause = response.headers.get("retry-after", "")
        seconds = float(pause) if _SECONDS.fullmatch(pause) else None
        return Answer(response.status_code, _object(raw), raw, seconds)

    def body_of(self, answer: Answer) -> Mapping[str, Any]:
        """The object of a status 200. Raises ModerationError for what another status means in HTTP
        (RFC 9110 15, RFC 6585 4), and SupplierUnavailable where 200 has no object."""
        if answer.status == httpx.codes.OK and answer.body:
            return answer.body
        said = f"{answer.status} {shown(answer.raw, 200)}"
        match answer.status:
            case 401 | 402 | 403 | 404:
                raise SupplierRefused(self._label, said, answer.retry_after)
            case 400 | 413 | 415 | 422:
                raise SliceNotJudged(self._label, said)
            case _:
                raise SupplierUnavailable(self._label, said, answer.retry_after)

    async def close(self) -> None:
        await self._http.aclose()

    async def _read(self, response: httpx.Response) -> str:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > MAX_ANSWER:
                raise SupplierUnavailable(self._label, f"an answer of over {MAX_ANSWER} bytes")
            parts.append(part)
        return b"".join(parts).decode(errors="replace")


def _object(raw: str) -> Mapping[str, Any]:
    try:
        found = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _no_number(name: str) -> float:
    """NaN and the infinities, which are no JSON (RFC 8259 6)."""
    raise ValueError(name)
