"""NetEase Yidun as its pages and its SDK have it: verifies the signature, checks the file."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked, Parts, answer

ID, KEY = "sample-secret-id", "sample-secret-key"
IMAGES, AUDIOS = "image-business", "audio-business"
MESSAGES = {
    400: "bad request",
    401: "forbidden",
    405: "param error",
    410: "signature failure",
    411: "high frequency",
    420: "request expired",
    503: "service unavailable",
}
PASS: dict[str, Any] = {"antispam": {"status": 2, "suggestion": 0, "resultType": 1, "labels": []}}
PICTURE: dict[str, Any] = {
    "antispam": {
        "status": 2, "suggestion": 2, "resultType": 1, "label": 100,
        "labels": [
            {"label": 100, "level": 2, "rate": 0.98, "subLabels": [
                {"subLabel": "10001", "subLabelDepth": 2, "secondLabel": "10001", "rate": 0.98,
                 "riskDescription": "色情-性行为", "details": {"hitInfos": [
                     {"value": "x", "x1": 0.1, "y1": 0.2, "x2": 0.5, "y2": 0.6},
                     {"value": "y", "x1": 12, "y1": 20, "x2": 50, "y2": 60},
                     {"value": "no place"}]}}]},
            {"label": 200, "level": 1, "rate": 0.5, "subLabels": [
                {"subLabel": "20001", "details": {"keywords": [{"word": "call"}]}}]},
            {"label": 500, "level": 0, "rate": 0.01, "subLabels": None},
        ],
    },
    "ocr": {"taskId": "t", "details": [{"content": "call me", "lineContents": []}]},
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "antispam": {
        "status": 2, "suggestion": 2, "resultType": 1,
        "segments": [
            {"startTime": 0, "endTime": 1, "content": "words", "labels": [
                {"label": 600, "level": 2, "subLabels": [
                    {"subLabel": "600018", "details": {"keywords": [{"word": "word"}]}}]}]},
        ],
    },
    "asr": {"taskId": "t", "details": [{"startTime": 0, "endTime": 1, "content": "words"}]},
}  # fmt: skip


def error(code: int) -> Response:
    return answer({"code": code, "msg": MESSAGES[code]})


def failed(reason: int) -> Response:
    """A picture that could not be judged."""
    antispam = {"taskId": "t", "status": 3, "failureReason": reason}
    return answer({"code": 200, "msg": "ok", "result": [{"antispam": antispam}]})


MAX_IMAGES, MAX_PARAMETERS = 32, 10 * 1000 * 1000
FAILED: dict[str, Any] = {"antispam": {"status": 3, "failureReason": 620}}
"""What stands in the place of one picture of several."""


def admitted(asked: Asked, told: dict[str, Any], parts: Parts | None = None) -> Response:
    """What Yidun says to a request that should have *told* as the result for each picture; of those
    named in *parts* what stands there. The last one comes first."""
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    fields = dict(parse_qsl(asked.body.decode(), keep_blank_values=True, strict_parsing=True))
    picture = asked.path == "/v5/image/base64Check"
    assert picture or asked.path == "/v2/audio/check"
    if sum(map(len, fields.values())) > MAX_PARAMETERS:
        return error(405)
    if not fields.get("secretId") or not fields.get("businessId"):
        return error(400)
    if (fields["secretId"], fields["businessId"]) != (ID, IMAGES if picture else AUDIOS):
        return error(401)
    signature = fields.pop("signature")
    plain = "".join(f"{name}{value}" for name, value in sorted(fields.items())) + KEY
    if hashlib.new(fields["signatureMethod"].lower(), plain.encode()).hexdigest() != signature:
        return error(410)
    if len(fields["timestamp"]) != 13 or not fields["nonce"].isdigit() or len(fields["nonce"]) > 11:
        return error(405)
    if picture:
        assert fields["version"] == "v5.2"
        images = json.loads(fields["images"])
        if not images:
            return error(405)
        assert len(images) <= MAX_IMAGES
        assert all(one["type"] == 2 and one["name"] for one in images)
        assert all(base64.b64decode(one["data"]) for one in images)
        said = {one["dataId"]: (parts or {}).get(one["dataId"], told) for one in reversed(images)}
        assert len(said) == len(images)
        result: object = [_named(one, name) for name, one in said.items() if one is not None]
    else:
        assert (fields["version"], fields.get("dataCheckType", "1")) == ("v2.2", "1")
        samples = base64.b64decode(fields["data"])
        if not samples:
            return error(405)
        assert len(samples) % 2 == 0
        result = _named(told, fields["dataId"])
    return answer({"code": 200, "msg": "ok", "result": result})


def _named(told: dict[str, Any], identity: str) -> dict[str, Any]:
    return {**told, "antispam": {**told["antispam"], "taskId": "t", "dataId": identity}}
