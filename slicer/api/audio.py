"""CreateAudioModerationSync: a file in the request, the verdict in the answer."""

import base64
import binascii

from slicer.api.errors import ApiError
from slicer.api.fields import Values
from slicer.moderation import Verdict
from slicer.service.audio import AudioFile
from slicer.service.order import OrderTaker
from slicer.service.results import check_detail

MAX_AUDIO = 5 * 1024 * 1024
"""Bytes."""
_AUDIO = 1


async def judge_audio(values: Values, orders: OrderTaker, supplier: str) -> dict[str, object]:
    """Have it judged; the answer. Raises ApiError and BadInput."""
    judged = await orders.judge(_file(values), supplier)
    verdict = judged.outcome
    if not isinstance(verdict, Verdict):
        raise ApiError("FailedOperation", f"not judged: {verdict.reason}")
    return {
        "DataId": values.text("DataId"),
        "TaskId": judged.task,
        "FileName": values.text("FileName"),
        "MediaType": _AUDIO,
        "Suggest": int(verdict.suggest),
        "Rate": verdict.score,
        "Label": verdict.label.value,
        "SubLabel": "",
        "Audio": "",
        "AudioText": verdict.text,
        "Duration": round(judged.seconds * 1000),
        "CheckDetail": check_detail(verdict),
    }


def _file(values: Values) -> AudioFile:
    if "FileUrl" in values:
        text = "FileUrl: got a URL; allowed: FileContent alone (nothing is fetched here)"
        raise ApiError("UnsupportedOperation", text)
    for name in ("FileContent", "FileFormat"):
        if name not in values:
            raise ApiError("MissingParameter", f"{name}: missing; allowed: a text")
    try:
        data = base64.b64decode(values.text("FileContent"), validate=True)
    except binascii.Error as error:
        raise ApiError("InvalidParameterValue", f"FileContent: no Base64: {error}") from None
    if len(data) > MAX_AUDIO:
        text = f"FileContent: got {len(data)} bytes; allowed: {MAX_AUDIO}"
        raise ApiError("InvalidParameterValue", text)
    return AudioFile(data, values.text("FileFormat"))
