"""The operator's own service: it gets each slice by POST, and answers with a verdict.

Request and answer are those of docs/moderation.md; the signature is Standard Webhooks'
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
The URL stands in the operator's own settings, so its address may be a private one.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from slicer.config import DAY
from slicer.errors import BadInput, SliceNotJudged
from slicer.media.slice import File, SliceInfo
from slicer.moderation import (
    Box,
    Finding,
    Label,
    Segment,
    Suggest,
    SupplierSpec,
    Verdict,
    data_id,
)
from slicer.moderation.client import SupplierClient, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

MAX_FILE = 10 * 1024 * 1024
"""Bytes of a slice that is sent; a larger one is not judged."""
MAX_FINDINGS = 100
MAX_SIDE = 65_535
"""Pixels of a picture's side."""
_PREFIX = "whsec_"


class WebhookSupplier:
    """One service."""

    kinds = frozenset(Kind)

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput for a URL or a secret that cannot be used."""
        self._url = endpoint("webhook_url", settings.webhook_url)
        self._key = signing_key(settings.webhook_secret)
        self._spec, self.label = spec, f"webhook {httpx.URL(self._url).host}"
        self._client = SupplierClient(self.label, settings)

    async def check(self) -> None:
        """A service may have no answer without a slice: it is not asked."""

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if len(file.data) > MAX_FILE:
            raise SliceNotJudged(self.label, f"{len(file.data)} bytes; at most {MAX_FILE}")
        body = json.dumps(request(file, self._spec)).encode()
        identity, timestamp = data_id(file.info), int(time.time())
        headers = {"Content-Type": "application/json"}
        headers["webhook-id"], headers["webhook-timestamp"] = identity, str(timestamp)
        if self._key:
            headers["webhook-signature"] = sign(self._key, identity, timestamp, body)
        answer = await self._client.post(self._url, body, headers)
        return self._client.verdict(verdict_of, self._client.body_of(answer), answer.raw)

    async def close(self) -> None:
        await self._client.close()


def signing_key(secret: str) -> bytes:
    """The bytes of `whsec_` and Base64, or of any other text. Raises BadInput."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        allowed = "a text, or whsec_ and Base64"
        raise BadInput("moderation.webhook_secret", "a secret", allowed) from None


def sign(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: version 1, HMAC-SHA256 of id, time and body, in Base64."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def request(file: File, spec: SupplierSpec) -> dict[str, object]:
    """The body of a request."""
    info = file.info
    assert isinstance(info, SliceInfo)
    picture = info.kind is Kind.VIDEO
    return {
        "version": 1,
        "id": data_id(info),
        "task": info.task,
        "anchor": info.anchor,
        "kind": "picture" if picture else "audio",
        "role": info.role.value,
        "key": info.key,
        "began": info.began.isoformat(timespec="milliseconds"),
        "seconds": info.seconds,
        "content_type": file.content_type,
        "width": file.width,
        "height": file.height,
        "policy": spec.image_type if picture else spec.audio_type,
        "data": base64.b64encode(file.data).decode(),
    }


def verdict_of(answer: Mapping[str, Any]) -> Verdict:
    """Read an answer. Raises AttributeError, LookupError, TypeError or ValueError for one that is
    no verdict."""
    listed = answer["findings"]
    if not isinstance(listed, list) or len(listed) > MAX_FINDINGS:
        raise ValueError(f"findings: allowed: a list of at most {MAX_FINDINGS}")
    findings = tuple(_finding(one) for one in listed)
    return Verdict.of(findings, _text(answer, "text"), _text(answer, "request"))


def _finding(one: Mapping[str, Any]) -> Finding:
    score = one.get("score", 0)
    if type(score) not in (int, float) or not 0 <= score <= 100:
        raise ValueError("score: allowed: a number from 0 to 100")
    keywords = one.get("keywords", [])
    if not isinstance(keywords, list) or not all(isinstance(each, str) for each in keywords):
        raise ValueError("keywords: allowed: a list of texts")
    return Finding(
        Label(one["label"]),
        Suggest[one["suggest"].upper()],
        round(score),
        _text(one, "scene"),
        tuple(keywords),
        _text(one, "description"),
        tuple(
            Segment(_seconds(each["begin"]), _seconds(each["end"]), _text(each, "text"))
            for each in one.get("segments", [])
        ),
        tuple(
            Box(*(_pixels(each[side]) for side in ("x", "y", "width", "height")))
            for each in one.get("boxes", [])
        ),
    )


def _seconds(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value <= DAY:  # type: ignore[operator]
        raise ValueError("begin, end: allowed: seconds of the slice")
    return float(value)  # type: ignore[arg-type]


def _pixels(value: object) -> int:
    if type(value) not in (int, float) or not 0 <= value <= MAX_SIDE:  # type: ignore[operator]
        raise ValueError(f"boxes: allowed: numbers from 0 to {MAX_SIDE}")
    return round(value)  # type: ignore[call-overload,no-any-return]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"{name}: allowed: a text")
    return value
