"""IMS and AMS of Tencent Cloud: verifies TC3, checks the file, answers as their pages say."""

import base64
import hashlib
import hmac
import io
import re
import wave
from typing import Any

from starlette.responses import Response

from tests.harness.moderation.stand_in import Asked, answer

ID, KEY = "AKIDsample", "sample-key"
ACTIONS = {"ImageModeration": "ims", "CreateAudioModerationSyncTask": "ams"}
PASS: dict[str, Any] = {"Suggestion": "Pass", "Label": "Normal", "Score": 0}
PICTURE: dict[str, Any] = {
    "Suggestion": "Block",
    "Label": "Porn",
    "SubLabel": "SexBehavior",
    "Score": 99,
    "LabelResults": [
        {"Scene": "Porn", "Suggestion": "Block", "Label": "Porn", "SubLabel": "SexBehavior",
         "Score": 99, "Details": [{"Id": 0, "Name": "SexBehavior", "Score": 99}]},
        {"Scene": "Ad", "Suggestion": "Pass", "Label": "Normal", "SubLabel": "", "Score": 0},
    ],
    "ObjectResults": None,
    "OcrResults": [
        {"Scene": "OCR", "Suggestion": "Review", "Label": "Ad", "SubLabel": "", "Score": 80,
         "Text": "call me", "Details": [
             {"Text": "call me", "Label": "Ad", "Keywords": ["call"], "Score": 80,
              "Location": {"X": 1.2, "Y": 2, "Width": 30, "Height": 40, "Rotate": 0}}]},
    ],
    "LibResults": [],
}  # fmt: skip
AUDIO: dict[str, Any] = {
    "Suggestion": "Block",
    "Label": "Moan",
    "Score": 90,
    "AsrText": "words",
    "TextResults": [{"Label": "Gamble", "Keywords": ["bet"], "Score": 70, "Suggestion": "Review"}],
    "MoanResults": [
        {"Label": "Moan", "Score": 90, "Suggestion": "Block", "StartTime": 0.5, "EndTime": 1}
    ],
}
_CLAIM = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/([^/]+)/(\w+)/tc3_request, "
    r"SignedHeaders=content-type;host, Signature=([0-9a-f]{64})"
)


def error(code: str, status: int = 200) -> Response:
    return answer({"Response": {"Error": {"Code": code, "Message": "said so"}}}, status)


def admitted(asked: Asked, told: dict[str, Any]) -> Response:
    """What Tencent says to a request that should have *told* as its answer."""
    found = _CLAIM.fullmatch(asked.headers["authorization"])
    if not found:
        return error("AuthFailure.InvalidAuthorization")
    claimed, date, service, signature = found.groups()
    if claimed != ID:
        return error("AuthFailure.SecretIdNotFound")
    head = f"content-type:application/json\nhost:{asked.headers['host']}\n"
    digest = hashlib.sha256(asked.body).hexdigest()
    canonical = f"POST\n/\n\n{head}\ncontent-type;host\n{digest}"
    key = f"TC3{KEY}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = (
        f"TC3-HMAC-SHA256\n{asked.headers['x-tc-timestamp']}\n{date}/{service}/tc3_request\n"
        + hashlib.sha256(canonical.encode()).hexdigest()
    )
    if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != signature:
        return error("AuthFailure.SignatureFailure")
    action = asked.headers["x-tc-action"]
    if ACTIONS.get(action) != service or asked.headers["x-tc-version"] != "2020-12-29":
        return error("InvalidAction")
    content = base64.b64decode(asked.fields.get("FileContent", ""))
    if not content:
        return error("InvalidParameterValue.EmptyImageContent")
    if service == "ams":
        with wave.open(io.BytesIO(content)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        assert asked.fields["FileFormat"] == "wav"
    return answer({"Response": {**told, "DataId": asked.fields["DataId"], "RequestId": "r"}})
