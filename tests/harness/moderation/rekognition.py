"""Amazon Rekognition as its API reference has it: verifies SigV4, checks the picture."""

import base64
import hashlib
import hmac
import json
import re
from typing import Any

from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked

ID, KEY = "AKIASAMPLE", "sample-secret-key"
PASS: dict[str, Any] = {"ModerationLabels": [], "ModerationModelVersion": "7.0"}
PICTURE: dict[str, Any] = {
    "ModerationModelVersion": "7.0",
    "ModerationLabels": [
        {"Confidence": 99.2, "Name": "Exposed Female Nipple", "ParentName": "Explicit Nudity",
         "TaxonomyLevel": 3},
        {"Confidence": 99.2, "Name": "Explicit Nudity", "ParentName": "Explicit",
         "TaxonomyLevel": 2},
        {"Confidence": 99.2, "Name": "Explicit", "ParentName": "", "TaxonomyLevel": 1},
        {"Confidence": 55.4, "Name": "Alcohol", "ParentName": "", "TaxonomyLevel": 1},
    ],
    "ContentTypes": [],
}  # fmt: skip
_CLAIM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/((\d{8})/([^/]+)/rekognition/aws4_request), "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


def said(body: object, status: int = 200, retry_after: str = "") -> Response:
    """An answer of AWS JSON 1.1."""
    headers = {"x-amzn-requestid": "r"} | ({"Retry-After": retry_after} if retry_after else {})
    return Response(json.dumps(body), status, headers, "application/x-amz-json-1.1")


def error(code: str, status: int = 400) -> Response:
    return said({"__type": code, "Message": "said so"}, status)


def admitted(asked: Asked, told: dict[str, Any]) -> Response:
    """What Rekognition says to a request that should have *told* as its answer."""
    found = _CLAIM.fullmatch(asked.headers["authorization"])
    if not found:
        return error("IncompleteSignature")
    claimed, scope, date, region, names, signature = found.groups()
    if claimed != ID:
        return error("UnrecognizedClientException")
    assert {"host", "x-amz-date", "x-amz-target"} <= set(names.split(";"))
    head = "".join(f"{name}:{asked.headers[name].strip()}\n" for name in names.split(";"))
    digest = hashlib.sha256(asked.body).hexdigest()
    canonical = f"POST\n{asked.path}\n\n{head}\n{names}\n{digest}"
    key = f"AWS4{KEY}".encode()
    for part in (date, region, "rekognition", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = (
        f"AWS4-HMAC-SHA256\n{asked.headers['x-amz-date']}\n{scope}\n"
        + hashlib.sha256(canonical.encode()).hexdigest()
    )
    if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != signature:
        return error("InvalidSignatureException")
    assert asked.headers["x-amz-target"] == "RekognitionService.DetectModerationLabels"
    picture = base64.b64decode(asked.fields["Image"]["Bytes"], validate=True)
    if picture == b"check":
        return error("InvalidImageFormatException")
    if len(picture) > 5_242_880:
        return error("ImageTooLargeException")
    assert 0 <= asked.fields["MinConfidence"] <= 100
    return said(told)
