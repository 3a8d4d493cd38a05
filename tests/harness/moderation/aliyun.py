"""Aliyun as its pages and its SDK have it: verifies both signatures, and keeps what is uploaded."""

import hashlib
import hmac
import json
import time
from calendar import timegm
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked, answer

ID, KEY = "LTAI-sample-id", "sample-access-key-secret"
TEMPORARY, SECRET, TOKEN = "STS.sample", "temporary-secret", "temporary/token=="
TASK = "kw24ihd0WGkdi5nniVZM@qOj-1x5Ibb"
BUCKET, PREFIX, REGION = "oss-cip-shanghai", "upload/1xxb89/", "cn-shanghai"
SKEW = 900
PASS: dict[str, Any] = {
    "RiskLevel": "none",
    "Result": [{"Label": "nonLabel", "Description": "no risk", "Confidence": None}],
    "SliceDetails": [{"StartTime": 0, "EndTime": 1, "Text": "hello", "Labels": "", "Score": 0}],
}
AUDIO: dict[str, Any] = {
    "RiskLevel": "high",
    "LiveId": None,
    "SliceDetails": [
        {"StartTime": 0, "EndTime": 0.5, "Text": "go", "Labels": "nonLabel", "RiskLevel": "none"},
        {"StartTime": 0.5, "EndTime": 1, "Text": "away", "Labels": "profanity,sexual_sounds",
         "RiskLevel": "high", "RiskWords": "go,away", "RiskTips": "profanity_oral", "Score": 87.01,
         "Extend": "{}", "Descriptions": "abuse"},
    ],
}  # fmt: skip
PICTURE: dict[str, Any] = {
    "RiskLevel": "high",
    "Result": [
        {"Label": "pornographic_adultContent", "Confidence": 81.2, "Description": "adult",
         "RiskLevel": "high"},
        {"Label": "pt_qrCode", "Confidence": 60.5, "RiskLevel": "medium"},
        {"Label": "religion_flag", "Confidence": 12, "RiskLevel": "low"},
    ],
}  # fmt: skip
MESSAGES = {400: "BAD_REQUEST", 404: "NOT_FOUND", 408: "No permissions.", 480: "DOWNLOAD_FAILED"}


def error(code: int) -> Response:
    """What the service says, with status 200."""
    return answer({"RequestId": "r", "Code": code, "Msg": MESSAGES.get(code, "GENERAL_ERROR")})


def refused(status: int, code: str) -> Response:
    """What the gateway before it says."""
    return answer({"RequestId": "r", "Code": code, "Message": "see the documentation"}, status)


def told(data: object) -> Response:
    return answer({"RequestId": "A-1", "Code": 200, "Msg": "OK", "Data": data})


def admitted(asked: Asked, data: dict[str, Any]) -> Response:
    """What Aliyun says to a request that should have *data* as its result."""
    return _uploaded(asked) if asked.method == "PUT" else _answered(asked, data)


def _answered(asked: Asked, data: dict[str, Any]) -> Response:
    headers = asked.headers
    algorithm, _, rest = headers["authorization"].partition(" ")
    signed = dict(part.split("=", 1) for part in rest.split(","))
    assert algorithm == "ACS3-HMAC-SHA256"
    assert headers["x-acs-version"] == "2022-03-02"
    if signed["Credential"] != ID:
        return refused(404, "InvalidAccessKeyId.NotFound")
    names = signed["SignedHeaders"].split(";")
    assert names == sorted(names)
    required = {name for name in headers if name.startswith("x-acs-")} | {"host"}
    if not required <= set(names):
        return refused(400, "IncompleteSignature")
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    digest = hashlib.sha256(asked.body).hexdigest()
    canonical = "\n".join(["POST", "/", "", lines, ";".join(names), digest])
    text = f"{algorithm}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    if hmac.digest(KEY.encode(), text.encode(), "sha256").hex() != signed["Signature"]:
        return refused(400, "SignatureDoesNotMatch")
    moment = timegm(time.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ"))
    if abs(moment - time.time()) > SKEW:
        return refused(400, "InvalidTimeStamp.Expired")
    if headers["x-acs-action"] == "DescribeUploadToken":
        return told(token(f"http://{headers['host']}"))
    fields = dict(parse_qsl(asked.body.decode(), strict_parsing=True))
    parameters = json.loads(fields["ServiceParameters"])
    action = "VoiceModeration" if fields["Service"].startswith("audio") else "ImageModeration"
    if headers["x-acs-action"] == f"{action}Result":
        return told({**parameters, **data}) if parameters["taskId"] == TASK else error(400)
    assert headers["x-acs-action"] == action
    if parameters["ossBucketName"] != BUCKET or parameters["ossRegionId"] != REGION:
        return error(400)
    kind = "wav" if action == "VoiceModeration" else "png"
    assert parameters["ossObjectName"] == f"{PREFIX}{parameters['dataId']}.{kind}"
    found = {"TaskId": TASK} if action == "VoiceModeration" else data
    return told({"DataId": parameters["dataId"], **found})


def token(endpoint: str) -> dict[str, Any]:
    """The data of DescribeUploadToken."""
    return {
        "AccessKeyId": TEMPORARY,
        "AccessKeySecret": SECRET,
        "SecurityToken": TOKEN,
        "BucketName": BUCKET,
        "FileNamePrefix": PREFIX,
        "OssInternetEndPoint": endpoint,
        "OssInternalEndPoint": endpoint,
        "Expiration": round(time.time()) + 3_600,
    }


def _uploaded(asked: Asked) -> Response:
    """OSS: a URL signed by V4.

    https://help.aliyun.com/en/oss/developer-reference/add-signatures-to-urls
    """
    given = dict(parse_qsl(asked.query, keep_blank_values=True))
    signature = given.pop("x-oss-signature")
    scope = given["x-oss-credential"].removeprefix(f"{TEMPORARY}/")
    day = given["x-oss-date"][:8]
    if scope != f"{day}/{REGION}/oss/aliyun_v4_request" or given["x-oss-security-token"] != TOKEN:
        return Response(b"<Error/>", 403)
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in given.items())
    query = "&".join(f"{name}={value}" for name, value in pairs)
    lines = f"content-type:{asked.headers['content-type']}\n"
    canonical = f"PUT\n{asked.path}\n{query}\n{lines}\n\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"OSS4-HMAC-SHA256\n{given['x-oss-date']}\n{scope}\n{digest}"
    key = f"aliyun_v4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert asked.path.startswith(f"/{BUCKET}/{PREFIX}")
    assert asked.body.startswith(b"RIFF") == asked.path.endswith(".wav")
    right = hmac.digest(key, text.encode(), "sha256").hex() == signature
    return Response(b"" if right else b"<Error/>", 200 if right else 403)
