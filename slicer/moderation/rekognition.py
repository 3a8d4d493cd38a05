"""Amazon Rekognition: pictures alone, by DetectModerationLabels.

https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectModerationLabels.html; the
labels are those of version 7 (https://docs.aws.amazon.com/rekognition/latest/dg/moderation-api.html).
boto3 signs (SigV4) and asks, in threads of its own; it is imported when the first picture comes.
"""

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from slicer.errors import BadInput, SliceNotJudged, SupplierRefused, SupplierUnavailable, shown
from slicer.media.slice import File, SliceInfo
from slicer.moderation import Finding, Label, Suggest, SupplierSpec, Verdict
from slicer.moderation.client import MAX_REASON, NO_VERDICT, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from slicer.threads import ThreadPool

MAX_PICTURE = 5 * 1024 * 1024
"""Bytes of a picture that is sent in the request."""
TYPES = ("image/png", "image/jpeg")
_LABELS = {
    "Explicit": Label.PORN,
    "Non-Explicit Nudity of Intimate parts and Kissing": Label.SEXY,
    "Swimwear or Underwear": Label.SEXY,
    "Violence": Label.TERROR,
    "Visually Disturbing": Label.TERROR,
    "Hate Symbols": Label.TERROR,
    "Drugs & Tobacco": Label.ILLEGAL,
    "Gambling": Label.ILLEGAL,
    "Rude Gestures": Label.ABUSE,
}
"""The top of the taxonomy; below it, a label is its parent's. "Alcohol" is no label of TRTC's."""
_THIS_SLICE = {
    "ImageTooLargeException",
    "InvalidImageFormatException",
    "InvalidParameterException",
    "ValidationException",
}
_REFUSED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SubscriptionRequiredException",
    "UnrecognizedClientException",
}
"""https://docs.aws.amazon.com/rekognition/latest/APIReference/CommonErrors.html. All others pass,
such as ThrottlingException and ProvisionedThroughputExceededException."""


class RekognitionSupplier:
    """One account: SecretId and SecretKey are an access key of AWS."""

    kinds = frozenset({Kind.VIDEO})

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput."""
        spec.require("secret_id", "secret_key")
        if not settings.rekognition_region.replace("-", "").isalnum():
            allowed = "a region of AWS, such as us-east-1"
            raise BadInput("moderation.rekognition_region", settings.rekognition_region, allowed)
        if settings.rekognition_endpoint:
            endpoint("rekognition_endpoint", settings.rekognition_endpoint)
        self._spec, self._settings = spec, settings
        self.label = f"rekognition {spec.secret_id}"
        self._threads = ThreadPool("rekognition", settings.concurrency)
        self._opening = threading.Lock()
        self._sdk: Any = None

    async def check(self) -> None:
        """Ask about a picture that is none: AWS looks at the signature before it looks at that."""
        try:
            await self._ask(b"check")
        except SliceNotJudged:
            return

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if file.content_type not in TYPES:
            raise SliceNotJudged(self.label, f"{file.content_type}; allowed: {', '.join(TYPES)}")
        if len(file.data) > MAX_PICTURE:
            raise SliceNotJudged(self.label, f"{len(file.data)} bytes; at most {MAX_PICTURE}")
        answer = await self._ask(file.data)
        try:
            return verdict_of(answer, self._settings.rekognition_block)
        except NO_VERDICT as error:
            why = shown(f"{type(error).__name__}: {error}", MAX_REASON)
            raise SupplierUnavailable(self.label, f"the answer is no verdict: {why}") from None

    async def close(self) -> None:
        self._threads.shut_down(finish=False)
        if self._sdk is not None:
            self._sdk.close()

    async def _ask(self, picture: bytes) -> Mapping[str, Any]:
        return await self._threads.run(partial(self._detect, picture))

    def _detect(self, picture: bytes) -> Mapping[str, Any]:
        errors, chosen = import_module("botocore.exceptions"), self._settings
        try:
            answer: Mapping[str, Any] = self._open()(
                Image={"Bytes": picture},
                MinConfidence=min(chosen.rekognition_review, chosen.rekognition_block),
            )
        except errors.ClientError as error:
            raise self._failure(error.response) from None
        except errors.BotoCoreError as error:
            raise SupplierUnavailable(self.label, type(error).__name__) from None
        except Exception as error:  # botocore's parsers fail in many ways on what is no answer
            raise SupplierUnavailable(self.label, f"no answer: {type(error).__name__}") from None
        return answer

    def _open(self) -> Callable[..., Mapping[str, Any]]:
        with self._opening:
            if self._sdk is None:
                config = import_module("botocore.config").Config(
                    connect_timeout=self._settings.timeout,
                    read_timeout=self._settings.timeout,
                    retries={"total_max_attempts": 1},
                    max_pool_connections=self._settings.concurrency,
                )
                self._sdk = (
                    import_module("boto3.session")
                    .Session()
                    .client(
                        "rekognition",
                        region_name=self._settings.rekognition_region,
                        endpoint_url=self._settings.rekognition_endpoint or None,
                        aws_access_key_id=self._spec.secret_id,
                        aws_secret_access_key=self._spec.secret_key,
                        config=config,
                    )
                )
        detect: Callable[..., Mapping[str, Any]] = self._sdk.detect_moderation_labels
        return detect

    def _failure(self, response: Mapping[str, Any]) -> Exception:
        error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, message = str(error.get("Code")), error.get("Message")
        said = f"{shown(code, 60)}: {shown(message, MAX_REASON)}"
        if code in _THIS_SLICE:
            return SliceNotJudged(self.label, said)
        if code in _REFUSED:
            return SupplierRefused(self.label, said)
        pause = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
        seconds = float(pause) if pause.isascii() and pause.isdigit() and len(pause) < 7 else None
        return SupplierUnavailable(self.label, said, seconds)


def verdict_of(answer: Mapping[str, Any], block: float) -> Verdict:
    """Read an answer. From a confidence of *block* on a label is to be blocked, else reviewed.
    Raises what an answer of another shape does."""
    labels = answer["ModerationLabels"]
    parents = {one["Name"]: one.get("ParentName") or "" for one in labels}
    findings = tuple(
        Finding(
            _LABELS.get(_top(one["Name"], parents), Label.CUSTOM),
            Suggest.BLOCK if one["Confidence"] >= block else Suggest.REVIEW,
            min(max(round(one["Confidence"]), 0), 100),
            str(one["Name"]),
        )
        for one in labels
    )
    meta = answer.get("ResponseMetadata", {})
    raw = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    verdict = Verdict.of(findings, "", str(meta.get("RequestId") or ""))
    return Verdict(
        verdict.suggest,
        verdict.label,
        verdict.score,
        findings,
        request=verdict.request,
        raw=json.dumps(raw, default=str),
    )


def _top(name: str, parents: Mapping[str, str]) -> str:
    """A label's first ancestor, of three levels at most."""
    for _ in range(3):
        name = parents.get(name) or name
    return name
