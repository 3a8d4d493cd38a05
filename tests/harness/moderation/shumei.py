"""Shumei's version 4 as its pages have it: checks the account and the file, and answers."""

import base64
import io
import json
import re
import wave
from typing import Any

from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked, Parts, answer

APP, KEY = "sample-app", "sample-access-key"
TYPES = {"POLITY", "EROTIC", "VIOLENT", "QRCODE", "ADVERT", "IMGTEXTRISK", "MOAN", "DIRTY"}
MESSAGES = {1901: "QPS超限", 1902: "参数不合法", 1903: "服务失败", 9101: "无权限操作"}
PASS: dict[str, Any] = {
    "riskLevel": "PASS",
    "riskLabel1": "normal",
    "riskDescription": "正常",
    "riskDetail": {"riskSource": 1000},
    "allLabels": [],
    "detail": {"riskLevel": "PASS", "audioText": "hello", "audioTime": 1, "audioDetail": []},
}
PICTURE: dict[str, Any] = {
    "riskLevel": "REJECT",
    "riskLabel1": "porn",
    "riskLabel2": "seqing",
    "riskLabel3": "seqing",
    "riskDescription": "色情:色情:色情",
    "riskDetail": {"riskSource": 1002, "ocrText": {"text": "call me"}},
    "auxInfo": {"segments": 1, "typeVersion": {"EROTIC": "3048002.1"}},
    "allLabels": [
        {"riskLabel1": "ad", "riskLabel2": "lianxifangshi", "riskLabel3": "", "riskLevel": "REVIEW",
         "riskDetail": {"riskSource": 1001, "ocrText": {
             "text": "call me",
             "matchedLists": [{"name": "mine", "words": [{"word": "call", "position": [0, 1]}]}],
             "riskSegments": [{"segment": "me", "position": [5, 6]}]}}},
        {"riskLabel1": "porn", "riskLabel2": "seqing", "riskLabel3": "seqing",
         "riskLevel": "REJECT", "riskDescription": "色情:色情:色情", "probability": 0.8676,
         "riskDetail": {"riskSource": 1002,
                        "objects": [{"id": "1", "name": "x", "location": [207, 522, 340, 567]}]}},
        {"riskLabel1": "sexy", "riskLabel2": "", "riskLabel3": "", "riskLevel": "PASS"},
    ],
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "detail": {
        "riskLevel": "REJECT",
        "audioText": "some words",
        "audioTime": 1,
        "audioDetail": [
            {"requestId": "r_a0000", "audioStarttime": 0, "audioEndtime": 0.5, "audioUrl": "",
             "riskLevel": "PASS", "riskLabel1": "normal", "riskLabel2": "", "riskLabel3": "",
             "riskDescription": "正常", "riskDetail": {"audioText": ""}},
            {"requestId": "r_a0001", "audioStarttime": 0.5, "audioEndtime": 1, "audioUrl": "",
             "riskLevel": "REJECT", "riskLabel1": "politics", "riskLabel2": "a", "riskLabel3": "b",
             "riskDescription": "涉政", "riskDetail": {
                 "audioText": "words", "riskSegments": [{"segment": "word", "position": [0, 4]}]}},
        ],
    },
}  # fmt: skip


def error(code: int, detail: int = 0, status: int = 200) -> Response:
    aux = {"auxInfo": {"errorCode": detail}} if detail else {}
    return answer({"code": code, "message": MESSAGES[code], "requestId": "e", **aux}, status)


MAX_IMAGES, MAX_DATA, MAX_ID = 12, 10 * 1024 * 1024, 30
NO_DOWNLOAD: dict[str, Any] = {"code": 1911, "message": "图片下载失败"}
NO_SERVICE: dict[str, Any] = {"code": 1903, "message": "服务失败"}
"""What stands in the place of one picture of several."""


def admitted(asked: Asked, told: dict[str, Any], parts: Parts | None = None) -> Response:
    """What Shumei says to a request that should have *told* as its answer; where it has several
    pictures, of those named in *parts* what stands there. The last one comes first."""
    fields = asked.fields
    if fields.get("accessKey") != KEY or fields.get("appId") != APP or not fields.get("eventId"):
        return error(9101)
    if not set(fields["type"].split("_")) <= TYPES:
        return error(1902, 2006)
    data = fields["data"]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", data["tokenId"]):
        return error(1902, 2002)
    if len(json.dumps(data)) > MAX_DATA:
        return error(1902, 2002)
    if asked.path.endswith("/images/v4"):
        names = [one["btId"] for one in data["imgs"]]
        assert 0 < len(names) == len({*names}) <= MAX_IMAGES
        assert all(0 < len(name) <= MAX_ID for name in names)
        assert all(base64.b64decode(one["img"]) for one in data["imgs"])
        good = {"code": 1100, "message": "成功", "requestId": "r", **told}
        said = {name: (parts or {}).get(name, good) for name in reversed(names)}
        found = [{**one, "btId": name} for name, one in said.items() if one is not None]
        return answer({"code": 1100, "message": "成功", "requestId": "all", "imgs": found})
    if asked.path.endswith("/image/v4"):
        if not base64.b64decode(data["img"]):
            return error(1902, 2002)
    else:
        assert asked.path.endswith("/audiomessage/v4")
        assert (fields["contentType"], data["formatInfo"]) == ("RAW", "wav")
        assert 0 < len(fields["btId"]) <= 128
        with wave.open(io.BytesIO(base64.b64decode(fields["content"]))) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
    return answer({"code": 1100, "message": "成功", "requestId": "r", **told})
