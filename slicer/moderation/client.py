"""One POST to one supplier: bounded in time and size, no redirect, an answer in JSON."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from slicer.errors import BadInput, SliceNotJudged, SupplierRefused, SupplierUnavailable, shown
from slicer.http.connections import Connections
from slicer.moderation import Finding, Verdict
from slicer.moderation.settings import ModerationSettings

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer; a longer one is none."""
MAX_REASON = 200
"""Characters of what a supplier says that go into an error."""
MAX_REQUEST = 100
"""Characters of the id of a request."""
MAX_FINDINGS = 100
"""Findings of a verdict, the worst, and keywords, segments and boxes of each: a short answer may
list any number of them, and each is told in many words."""
MAX_TEXT = 10_000
"""Characters of what was read or heard."""
MAX_WORDS = 1_000
"""Characters of anything else that a supplier says of a finding."""
ALWAYS = {"User-Agent": "rtc-slicer", "Accept-Encoding": "identity"}
"""Headers of each request, unless it has others."""
HIDDEN = "***"
MIN_SECRET = 8
"""Characters of a secret that is looked for in answers; of a shorter one, too much would match."""
NO_VERDICT = (AttributeError, LookupError, TypeError, ValueError, OverflowError)
"""How reading an answer of another shape fails."""
_SECONDS = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON object that came with it; {} where none did. *raw*: its text;
    *request*: the supplier's id of the request, where a header of AWS's has it."""

    status: int
    body: Mapping[str, Any]
    raw: str
    retry_after: float | None = None
    request: str = ""


class SupplierClient:
    """The connections to one account: as many as it may have requests side by side.

    *secret*: the key, where requests carry it. Whoever answers knows it then, and may repeat it:
    in an answer, and in what is said of one, it is hidden.
    """

    def __init__(self, label: str, settings: ModerationSettings, secret: str = "") -> None:
        self._label, self._secret = label, secret
        self._timeout = settings.timeout
        trust = httpx.create_ssl_context(trust_env=False)
        self._connections = Connections(trust, settings.concurrency)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], method: str = "POST"
    ) -> Answer:
        """Send. Raises SupplierUnavailable where no answer came, or one too long."""
        sent = {**ALWAYS, **headers}
        try:
            request = httpx.Request(method, url, content=body, headers=sent)
            async with asyncio.timeout(self._timeout):
                response, data = await self._connections.send(request, MAX_ANSWER)
        except TimeoutError as error:
            raise SupplierUnavailable(self._label, "no answer in time") from error
        except httpx.HTTPError as error:
            reason = self._hide(f"{type(error).__name__}: {error}")
            raise SupplierUnavailable(self._label, reason) from None
        if len(data) > MAX_ANSWER:
            raise SupplierUnavailable(self._label, f"an answer of over {MAX_ANSWER} bytes")
        raw = self._hide(data.decode(errors="replace"))
        pause = response.headers.get("retry-after", "")
        seconds = float(pause) if _SECONDS.fullmatch(pause) else None
        name = response.headers.get("x-amzn-requestid", "")[:MAX_REQUEST]
        return Answer(response.status_code, _object(raw), raw, seconds, name)

    def body_of(self, answer: Answer) -> Mapping[str, Any]:
        """The object of a status 200. Raises ModerationError for what another status means in HTTP
        (RFC 9110 15, RFC 6585 4), and SupplierUnavailable where 200 has no object."""
        if answer.status == httpx.codes.OK and answer.body:
            return answer.body
        reason = f"{answer.status} {shown(answer.raw, MAX_REASON)}"
        match answer.status:
            case 401 | 402 | 403 | 404:
                raise SupplierRefused(self._label, reason, answer.retry_after)
            case 400 | 413 | 415 | 422:
                raise SliceNotJudged(self._label, reason)
            case _:
                raise SupplierUnavailable(self._label, reason, answer.retry_after)

    def verdict(
        self, read: Callable[[Mapping[str, Any]], Verdict], body: Mapping[str, Any], raw: str
    ) -> Verdict:
        """What *read* makes of an answer, within bounds. Raises SupplierUnavailable where it is of
        another shape, on which *read* fails as Python does."""
        try:
            return replace(_bounded(read(body)), raw=raw)
        except NO_VERDICT as error:
            why = shown(f"{type(error).__name__}: {error}", MAX_REASON)
            raise SupplierUnavailable(self._label, f"the answer is no verdict: {why}") from None

    async def close(self) -> None:
        await self._connections.close()

    def _hide(self, text: str) -> str:
        if len(self._secret) < MIN_SECRET:
            return text
        for written in (self._secret, json.dumps(self._secret)[1:-1]):
            text = text.replace(written, HIDDEN)
        return text


def endpoint(name: str, url: str) -> str:
    """The URL of a setting. Raises BadInput, which does not say the URL: it may hold a password."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise BadInput(f"moderation.{name}", "no such URL", "an http or https URL without a user")
    return url


def _bounded(verdict: Verdict) -> Verdict:
    findings = list(verdict.findings)
    if len(findings) > MAX_FINDINGS:
        findings.sort(key=lambda one: (one.suggest, one.score), reverse=True)
    return replace(
        verdict,
        findings=tuple(map(_bounded_finding, findings[:MAX_FINDINGS])),
        text=verdict.text[:MAX_TEXT],
        request=verdict.request[:MAX_REQUEST],
    )


def _bounded_finding(finding: Finding) -> Finding:
    return replace(
        finding,
        scene=finding.scene[:MAX_WORDS],
        keywords=tuple(word[:MAX_WORDS] for word in finding.keywords[:MAX_FINDINGS]),
        description=finding.description[:MAX_WORDS],
        segments=tuple(
            replace(one, text=one.text[:MAX_WORDS]) for one in finding.segments[:MAX_FINDINGS]
        ),
        boxes=finding.boxes[:MAX_FINDINGS],
    )


def _object(raw: str) -> Mapping[str, Any]:
    try:
        found = json.loads(raw, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _finite(text: str) -> float:
    """A number that a float can hold: what is told onwards is JSON again, which has no others."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _no_number(name: str) -> float:
    """NaN and the infinities, which are no JSON (RFC 8259 6)."""
    raise ValueError(name)
