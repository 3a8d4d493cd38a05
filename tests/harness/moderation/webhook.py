"""An operator's service as docs/moderation.md has it: checks the signature itself, and the schema
of both sides."""

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked, answer

KEY = b"the operator's key, 24 b"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
PASS: dict[str, Any] = {"findings": [], "request": "r1", "text": "hello"}
BLOCK: dict[str, Any] = {
    "request": "r2",
    "text": "call me",
    "findings": [
        {
            "label": "Ad",
            "suggest": "block",
            "score": 91.6,
            "scene": "contact",
            "keywords": ["call me"],
            "segments": [{"begin": 1.5, "end": 2, "text": "call me"}],
            "boxes": [{"x": 1, "y": 2, "width": 30, "height": 40}],
        },
        {"label": "Sexy", "suggest": "review", "score": 99},
    ],
}
PAGE = Path(__file__).parents[3] / "docs/moderation.md"


def schemas() -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the request and of the answer, as the page has them."""
    found = re.findall(r"```json\n(\{\n  \"\$schema.*?)```", PAGE.read_text(), re.DOTALL)
    first, second = (json.loads(each) for each in found)
    return first, second


def admitted(asked: Asked, told: dict[str, Any]) -> Response:
    """What the service says to a request that should have *told* as its answer."""
    headers = asked.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + asked.body
    right = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    if headers.get("webhook-signature") != f"v1,{right}":
        return answer({"error": "signature"}, 401)
    request, response = schemas()
    jsonschema.validate(asked.fields, request)
    jsonschema.validate(told, response)
    assert asked.fields["id"] == headers["webhook-id"]
    return answer(told)
