"""Tencent Cloud: pictures by IMS, audio by AMS, which TRTC calls `tianyu` and `ace`.

ImageModeration (https://cloud.tencent.com/document/api/1125/53273) and
CreateAudioModerationSyncTask (https://cloud.tencent.com/document/api/1219/56755), both version
2020-12-29, signed by TC3. The fields and the codes of errors are those of Tencent's SDK
(tencentcloud-sdk-python-ims and -ams).
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from slicer.errors import SliceNotJudged, SupplierRefused, SupplierUnavailable, shown
from slicer.media.slice import File, SliceInfo
from slicer.media.wav import mono_wav
from slicer.moderation import Box, Finding, Label, Segment, Suggest, SupplierSpec, Verdict, data_id
from slicer.moderation.client import MAX_REASON, SupplierClient, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from slicer.tc3 import ALGORITHM, sign

VERSION = "2020-12-29"
MAX_PICTURE = 10 * 1024 * 1024
"""Bytes of a picture in Base64."""
MAX_AUDIO = 4 * 1024 * 1024
"""Bytes of an audio file."""
MAX_SECONDS = 60.0
RATE = 16_000
"""Hz: what AMS recommends, mono."""
_SUGGESTS = {"Pass": Suggest.PASS, "Review": Suggest.REVIEW, "Block": Suggest.BLOCK}
_LABELS = {
    **{label.value: label for label in Label},
    "Ads": Label.AD,
    "Moan": Label.PORN,
}
_REFUSED = ("AuthFailure", "UnauthorizedOperation", "OperationDenied", "UnsupportedRegion")
_THIS_SLICE = ("InvalidParameter", "InvalidParameterValue", "MissingParameter")
"""The first parts of codes: what to do is the same for all below them."""
_BAD_PICTURE = "ResourceUnavailable.InvalidImageContent"


class TencentSupplier:
    """One account."""

    kinds = frozenset(Kind)

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput."""
        spec.require("secret_id", "secret_key")
        if settings.tencent_endpoint:
            endpoint("tencent_endpoint", settings.tencent_endpoint)
        self._spec, self._settings, self.label = spec, settings, f"{spec.name} {spec.secret_id}"
        self._client = SupplierClient(self.label, settings)

    async def check(self) -> None:
        """Ask for a verdict of nothing: IMS looks at the signature before it looks at the rest."""
        try:
            await self._ask("ims", "ImageModeration", {"DataId": "check"})
        except SliceNotJudged:
            return

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if file.info.kind is Kind.VIDEO:
            fields = self._picture(file, file.info)
            answer, raw = await self._ask("ims", "ImageModeration", fields)
        else:
            fields = await self._audio(file, file.info)
            answer, raw = await self._ask("ams", "CreateAudioModerationSyncTask", fields)
        return self._client.verdict(verdict_of, answer, raw)

    async def close(self) -> None:
        await self._client.close()

    def _picture(self, file: File, info: SliceInfo) -> dict[str, str]:
        content = base64.b64encode(file.data).decode()
        if len(content) > MAX_PICTURE:
            raise SliceNotJudged(self.label, f"{len(content)} bytes; at most {MAX_PICTURE}")
        return _fields(info, self._spec.image_type, content)

    async def _audio(self, file: File, info: SliceInfo) -> dict[str, str]:
        """AMS takes no Ogg: the slice becomes a WAV file of 16 kHz."""
        if info.seconds > MAX_SECONDS:
            raise SliceNotJudged(self.label, f"{info.seconds:g} s; at most {MAX_SECONDS:g}")
        try:
            data = await asyncio.to_thread(mono_wav, file.data, RATE)
        except ValueError as error:
            raise SliceNotJudged(self.label, str(error)) from error
        if len(data) > MAX_AUDIO:
            raise SliceNotJudged(self.label, f"{len(data)} bytes; at most {MAX_AUDIO}")
        content = base64.b64encode(data).decode()
        return {**_fields(info, self._spec.audio_type, content), "FileFormat": "wav"}

    async def _ask(
        self, service: str, action: str, fields: Mapping[str, str]
    ) -> tuple[Mapping[str, Any], str]:
        url = httpx.URL(self._settings.tencent_endpoint or f"https://{service}.tencentcloudapi.com")
        body = json.dumps(fields).encode()
        headers = self._headers(url, service, action, body)
        answer = await self._client.post(str(url.copy_with(path="/")), body, headers)
        response = self._client.body_of(answer).get("Response")
        if not isinstance(response, dict):
            raise SupplierUnavailable(self.label, "an answer without Response")
        if isinstance(error := response.get("Error"), dict):
            self._fail(str(error.get("Code")), str(error.get("Message")))
        return response, answer.raw

    def _headers(self, url: httpx.URL, service: str, action: str, body: bytes) -> dict[str, str]:
        timestamp = int(time.time())
        date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
        host, kind = url.netloc.decode("ascii"), "application/json"
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n/\n\ncontent-type:{kind}\nhost:{host}\n\ncontent-type;host\n{digest}"
        signature = sign(self._spec.secret_key, timestamp, date, service, canonical)
        scope = f"{self._spec.secret_id}/{date}/{service}/tc3_request"
        return {
            "Host": host,
            "Content-Type": kind,
            "X-TC-Action": action,
            "X-TC-Version": VERSION,
            "X-TC-Region": self._settings.tencent_region,
            "X-TC-Timestamp": str(timestamp),
            "Authorization": f"{ALGORITHM} Credential={scope}, "
            f"SignedHeaders=content-type;host, Signature={signature}",
        }

    def _fail(self, code: str, message: str) -> None:
        reason, first = f"{code}: {shown(message, MAX_REASON)}", code.partition(".")[0]
        if first in _REFUSED:
            raise SupplierRefused(self.label, reason)
        if first in _THIS_SLICE or code == _BAD_PICTURE:
            raise SliceNotJudged(self.label, reason)
        raise SupplierUnavailable(self.label, reason)


def verdict_of(answer: Mapping[str, Any]) -> Verdict:
    """Read a Response of either service. Raises what a verdict of another shape does."""
    suggest, score = _SUGGESTS[answer["Suggestion"]], _score(answer)
    pictured = [
        _finding(one)
        for name in ("LabelResults", "ObjectResults", "OcrResults", "LibResults")
        for one in answer.get(name) or []
    ]
    heard = [
        _finding(one) for name in ("TextResults", "MoanResults") for one in answer.get(name) or []
    ]
    findings = tuple(one for one in pictured + heard if one.suggest is not Suggest.PASS)
    read = [one.get("Text") for one in answer.get("OcrResults") or []]
    text = answer.get("AsrText") or " ".join(filter(None, read))
    label = _label(answer["Label"])
    request = str(answer.get("RequestId") or "")
    return Verdict(suggest, label, score, findings, str(text), request)


def _finding(one: Mapping[str, Any]) -> Finding:
    details = [each for each in one.get("Details") or [] if isinstance(each, dict)]
    keywords = [word for each in (one, *details) for word in each.get("Keywords") or []]
    begin, end = one.get("StartTime"), one.get("EndTime")
    return Finding(
        _label(one["Label"]),
        _SUGGESTS[one["Suggestion"]],
        _score(one),
        str(one.get("Scene") or one["Label"]),
        tuple(map(str, keywords)),
        str(one.get("SubLabel") or ""),
        (Segment(float(begin), float(end)),) if begin is not None and end is not None else (),
        tuple(_box(each["Location"]) for each in details if each.get("Location")),
    )


def _box(location: Mapping[str, Any]) -> Box:
    return Box(*(round(location[side]) for side in ("X", "Y", "Width", "Height")))


def _score(fields: Mapping[str, Any]) -> int:
    return min(max(round(fields.get("Score") or 0), 0), 100)


def _label(name: str) -> Label:
    return _LABELS.get(name, Label.CUSTOM)


def _fields(info: SliceInfo, policy: str, content: str) -> dict[str, str]:
    fields = {"DataId": data_id(info), "FileContent": content}
    return {**fields, "BizType": policy} if policy else fields
