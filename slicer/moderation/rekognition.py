"""Amazon Rekognition: pictures alone, by DetectModerationLabels.

https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectModerationLabels.html; the
labels are those of version 7 (https://docs.aws.amazon.com/rekognition/latest/dg/moderation-api.html).
botocore signs (SigV4); it is imported when the first picture comes. The request is our own (AWS
JSON 1.1): botocore waits for each part of an answer anew, so that one that drips had no end.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import httpx

from slicer.errors import BadInput, SliceNotJudged, SupplierRefused, SupplierUnavailable, shown
from slicer.media.slice import File, SliceInfo
from slicer.moderation import Finding, Label, Suggest, SupplierSpec, Verdict
from slicer.moderation.client import MAX_REASON, Answer, SupplierClient, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

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
        self._url = (
            settings.rekognition_endpoint
            or f"https://rekognition.{settings.rekognition_region}.amazonaws.com"
        )
        self.label = f"rekognition {spec.secret_id}"
        self._client = SupplierClient(self.label, settings)

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
        block = self._settings.rekognition_block
        verdict = self._client.verdict(
            lambda body: verdict_of(body, block), answer.body, answer.raw
        )
        return replace(verdict, request=answer.request)

    async def close(self) -> None:
        await self._client.close()

    async def _ask(self, picture: bytes) -> Answer:
        body, headers = await asyncio.to_thread(self._signed, picture)
        answer = await self._client.post(self._url, body, headers)
        if answer.status != httpx.codes.OK:
            self._raise(answer)
        self._client.body_of(answer)
        return answer

    def _signed(self, picture: bytes) -> tuple[bytes, dict[str, str]]:
        """The body and the headers of a request."""
        least = min(self._settings.rekognition_review, self._settings.rekognition_block)
        image = {"Bytes": base64.b64encode(picture).decode()}
        body = json.dumps({"Image": image, "MinConfidence": least}).encode()
        request = import_module("botocore.awsrequest").AWSRequest(
            "POST",
            self._url,
            {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "RekognitionService.DetectModerationLabels",
            },
            body,
        )
        account = import_module("botocore.credentials").Credentials(
            self._spec.secret_id, self._spec.secret_key
        )
        sign = import_module("botocore.auth").SigV4Auth
        sign(account, "rekognition", self._settings.rekognition_region).add_auth(request)
        return body, dict(request.headers.items())

    def _raise(self, answer: Answer) -> None:
        """Raise what an error of AWS JSON 1.1 means
        (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html)."""
        code = str(answer.body.get("__type", "")).partition(":")[0].rpartition("#")[2]
        message = answer.body.get("message", answer.body.get("Message"))
        reason = f"{shown(code, 60)}: {shown(message, MAX_REASON)}"
        if code in _THIS_SLICE:
            raise SliceNotJudged(self.label, reason)
        if code in _REFUSED:
            raise SupplierRefused(self.label, reason)
        if code:
            raise SupplierUnavailable(self.label, reason, answer.retry_after)
        self._client.body_of(answer)  # not AWS: what the status means


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
    return Verdict.of(findings)


def _top(name: str, parents: Mapping[str, str]) -> str:
    """A label's first ancestor, of three levels at most."""
    for _ in range(3):
        name = parents.get(name) or name
    return name
