"""OpenAI's moderation endpoint: pictures alone.

POST /v1/moderations with an image as a data URL
(https://platform.openai.com/docs/api-reference/moderations); the fields are those of
https://github.com/openai/openai-python, types/moderation*.py. It takes no audio. The key is the
bearer token of each request (RFC 6750 2.1).
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from slicer.errors import BadInput, SliceNotJudged, SupplierRefused
from slicer.media.slice import File, SliceInfo
from slicer.moderation import Finding, Label, Suggest, SupplierSpec, Verdict
from slicer.moderation.client import SupplierClient, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

MAX_PICTURE = 20 * 1024 * 1024
"""Bytes of a picture."""
_LABELS = {
    "sexual": Label.PORN,
    "harassment": Label.ABUSE,
    "hate": Label.ABUSE,
    "illicit": Label.ILLEGAL,
    "violence": Label.TERROR,
}
"""By a category's part before the slash; self-harm is no label of TRTC's."""
_NO_QUOTA = "insufficient_quota"
"""error.code beside 429: the account has no credit left, which no pause gives back."""


class OpenAiSupplier:
    """One account, whose SecretKey is the API key."""

    kinds = frozenset({Kind.VIDEO})

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput."""
        key = spec.secret_key
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise BadInput("supplier.secret_key", "no such key", "an API key, in visible ASCII")
        self._url = endpoint("openai_endpoint", settings.openai_endpoint).rstrip("/")
        self._settings, self.label = settings, f"openai {settings.openai_model}"
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self._client = SupplierClient(self.label, settings, key)

    async def check(self) -> None:
        """Ask about an empty text, which costs nothing."""
        try:
            await self._ask("")
        except SliceNotJudged:
            return

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if file.info.kind is not Kind.VIDEO:
            raise SliceNotJudged(self.label, "audio, which it does not judge")
        if len(file.data) > MAX_PICTURE:
            raise SliceNotJudged(self.label, f"{len(file.data)} bytes; at most {MAX_PICTURE}")
        content = base64.b64encode(file.data).decode()
        url = {"url": f"data:{file.content_type};base64,{content}"}
        body, raw = await self._ask([{"type": "image_url", "image_url": url}])
        block = self._settings.openai_block
        return self._client.verdict(lambda found: verdict_of(found, block), body, raw)

    async def close(self) -> None:
        await self._client.close()

    async def _ask(self, what: object) -> tuple[Mapping[str, Any], str]:
        fields = {"model": self._settings.openai_model, "input": what}
        answer = await self._client.post(
            f"{self._url}/moderations", json.dumps(fields).encode(), self._headers
        )
        error = answer.body.get("error")
        if answer.status == 429 and isinstance(error, dict) and error.get("code") == _NO_QUOTA:
            raise SupplierRefused(self.label, f"429 {_NO_QUOTA}")
        return self._client.body_of(answer), answer.raw


def verdict_of(body: Mapping[str, Any], block: float) -> Verdict:
    """Read an answer. What OpenAI flags is to be reviewed; from a score of *block* on, blocked.
    Raises what an answer of another shape does."""
    (result,) = body["results"]
    scores = result["category_scores"]
    findings = tuple(
        _finding(name, float(scores[name]), block)
        for name, flagged in result["categories"].items()
        if flagged
    )
    if bool(findings) != result["flagged"]:
        raise ValueError("flagged is not what its categories are")
    return Verdict.of(findings, "", str(body.get("id") or ""))


def _finding(category: str, score: float, block: float) -> Finding:
    suggest = Suggest.BLOCK if score >= block else Suggest.REVIEW
    label = _LABELS.get(category.partition("/")[0], Label.CUSTOM)
    return Finding(label, suggest, min(max(round(100 * score), 0), 100), category)
