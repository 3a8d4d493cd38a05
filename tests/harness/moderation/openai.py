"""OpenAI's moderation endpoint as its reference has it: checks the token and the picture."""

import base64
import re
from typing import Any

from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked, answer

KEY = "sk-sample-key"
SCORES = {
    "harassment": 0.0,
    "harassment/threatening": 0.0,
    "hate": 0.0,
    "hate/threatening": 0.0,
    "illicit": 0.0,
    "illicit/violent": 0.0,
    "self-harm": 0.0002,
    "self-harm/intent": 0.0002,
    "self-harm/instructions": 0.0002,
    "sexual": 0.0003,
    "sexual/minors": 0.0,
    "violence": 0.0004,
    "violence/graphic": 0.0001,
}


def result(flagged: dict[str, float]) -> dict[str, Any]:
    """A result in which these categories are flagged, with their scores."""
    return {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in SCORES},
        "category_scores": SCORES | flagged,
        "category_applied_input_types": {name: ["image"] for name in SCORES},
    }


PASS = result({})
PICTURE = result({"sexual": 0.93, "self-harm": 0.4})


def error(status: int, code: str, retry_after: str = "") -> Response:
    body = {"message": "said so", "type": "invalid_request_error", "param": None, "code": code}
    return answer({"error": body}, status, retry_after)


def admitted(asked: Asked, told: dict[str, Any]) -> Response:
    """What OpenAI says to a request that should have *told* as its result."""
    token = asked.headers.get("authorization", "").removeprefix("Bearer ")
    if token != KEY:
        body = {"message": f"Incorrect API key provided: {token}.", "code": "invalid_api_key"}
        return answer({"error": body}, 401)
    assert asked.path == "/v1/moderations"
    if not asked.fields["model"].startswith("omni-moderation-"):
        return error(404, "model_not_found")
    if not asked.fields["input"]:
        return error(400, "empty_input")
    (part,) = asked.fields["input"]
    assert part["type"] == "image_url"
    found = re.fullmatch(r"data:image/(?:png|jpeg|webp);base64,(.+)", part["image_url"]["url"])
    assert found
    assert base64.b64decode(found[1], validate=True)
    return answer({"id": "modr-1", "model": asked.fields["model"], "results": [told]})
