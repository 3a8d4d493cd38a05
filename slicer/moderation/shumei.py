"""Shumei (数美): pictures and audio by its version 4.

https://github.com/ishumei/api-doc, in V4: 智能图片识别产品API文档.md (pictures) and
智能语音消息识别产品API文档.md (audio). Several pictures go to another interface of the first page
(同步批量接口), at /images/v4 beside /image/v4. A request is JSON, and the account's key stands in
it: hence HTTPS by default, although the examples of those pages have HTTP.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slicer.errors import (
    BadInput,
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
    shown,
)
from slicer.media.slice import File, SliceInfo
from slicer.media.wav import mono_wav
from slicer.moderation import (
    Batch,
    Box,
    Finding,
    Label,
    Segment,
    Suggest,
    SupplierSpec,
    Verdict,
    data_id,
)
from slicer.moderation.client import MAX_REASON, Answer, SupplierClient, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

MAX_PICTURE = 10 * 1024 * 1024
"""Bytes of a picture in Base64: the field `data` is 10 MB at most."""
BATCH = Batch(12, 7 * 1000 * 1000)
"""Pictures of a request, whose `data` has the same bound: Base64 is a third larger."""
MAX_ID = 30
"""Characters of a picture's btId."""
_ONE, _SEVERAL = "/image/v4", "/images/v4"
"""How the URLs end."""
MAX_AUDIO = 15 * 1024 * 1024
"""Bytes of audio in Base64."""
RATE = 16_000
LANGUAGES = ("zh", "en", "ar")
_SUGGESTS = {"PASS": Suggest.PASS, "REVIEW": Suggest.REVIEW, "REJECT": Suggest.BLOCK}
_LABELS = {
    "normal": Label.NORMAL,
    "politics": Label.POLITY,
    "porn": Label.PORN,
    "moan": Label.PORN,
    "sexy": Label.SEXY,
    "violence": Label.TERROR,
    "ban": Label.ILLEGAL,
    "ad": Label.AD,
    "qr": Label.QR_CODE,
    "abuse": Label.ABUSE,
    "dirty": Label.ABUSE,
}
_SUCCESS, _BAD_PARAMETER, _NO_PERMISSION, _NO_DOWNLOAD = 1100, 1902, 9101, 1911
_BAD_TYPE = 2006
"""auxInfo.errorCode beside 1902: a risk type that is none, which is the settings' fault."""


class ShumeiSupplier:
    """One account: AppID is its appId, SecretKey its accessKey; ImageBizType and AudioBizType are
    the eventIds of the two kinds."""

    kinds = frozenset(Kind)

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput."""
        spec.require("app_id", "secret_key")
        if settings.shumei_language not in LANGUAGES:
            allowed = ", ".join(LANGUAGES)
            raise BadInput("moderation.shumei_language", settings.shumei_language, allowed)
        self._image_url = endpoint("shumei_image_url", settings.shumei_image_url)
        self._audio_url = endpoint("shumei_audio_url", settings.shumei_audio_url)
        # Of a URL of another shape, such as a proxy's, it is not known where several go.
        known = self._image_url.endswith(_ONE)
        self._images_url = self._image_url.removesuffix(_ONE) + _SEVERAL if known else ""
        self.batches = {Kind.VIDEO: BATCH} if known else {}
        self._spec, self._settings, self.label = spec, settings, f"shumei {spec.app_id}"
        self._client = SupplierClient(self.label, settings, spec.secret_key)

    async def check(self) -> None:
        """Ask about no picture: a key that is taken is told that the parameter is missing."""
        try:
            await self._ask(self._image_url, self._image("", "check"))
        except SliceNotJudged:
            return

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if file.info.kind is Kind.VIDEO:
            content = base64.b64encode(file.data).decode()
            self._check_size(len(content), MAX_PICTURE)
            answer = await self._ask(self._image_url, self._image(content, _token(file.info)))
            return self._client.verdict(picture_verdict, answer.body, answer.raw)
        try:
            data = await asyncio.to_thread(mono_wav, file.data, RATE)
        except ValueError as error:
            raise SliceNotJudged(self.label, str(error)) from error
        content = base64.b64encode(data).decode()
        self._check_size(len(content), MAX_AUDIO)
        answer = await self._ask(self._audio_url, self._audio(content, file.info))
        return self._client.verdict(audio_verdict, answer.body, answer.raw)

    async def judge_batch(self, files: Sequence[File]) -> Sequence[Verdict | ModerationError]:
        """Pictures of several anchors have a tokenId of their own: there is one for a request, and
        a profile that is of nobody is better than one of several users."""
        names, tokens = list[str](), list[str]()
        for file in files:
            assert isinstance(file.info, SliceInfo)
            names.append(data_id(file.info)[:MAX_ID])
            tokens.append(_token(file.info))
        contents = [base64.b64encode(file.data).decode() for file in files]
        self._check_size(sum(map(len, contents)), MAX_PICTURE)
        imgs = [{"btId": name, "img": data} for name, data in zip(names, contents, strict=True)]
        account = self._account(self._spec.image_type, self._settings.shumei_image_type)
        data = {"imgs": imgs, "tokenId": tokens[0] if len({*tokens}) == 1 else _joint(names)}
        data["lang"] = self._settings.shumei_language
        answer = await self._ask(self._images_url, {**account, "data": data})
        listed = answer.body.get("imgs")
        found = {
            str(one.get("btId")): one
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict)
        }
        return [self._of_several(found.get(name)) for name in names]

    async def close(self) -> None:
        await self._client.close()

    def _of_several(self, part: Mapping[str, Any] | None) -> Verdict | ModerationError:
        """What an answer says of one of its pictures."""
        if part is None:
            return SupplierUnavailable(self.label, "the answer has nothing of this picture")
        try:
            self._check(part)
            raw = json.dumps(part)
            return self._client.verdict(picture_verdict, part, raw)
        except ModerationError as error:
            return error

    def _check_size(self, size: int, most: int) -> None:
        if size > most:
            raise SliceNotJudged(self.label, f"{size} bytes; at most {most}")

    def _account(self, event: str, kind: str) -> dict[str, object]:
        return {
            "accessKey": self._spec.secret_key,
            "appId": self._spec.app_id,
            "eventId": event or "default",
            "type": kind,
        }

    def _image(self, content: str, token: str) -> dict[str, object]:
        account = self._account(self._spec.image_type, self._settings.shumei_image_type)
        data = {"img": content, "tokenId": token, "lang": self._settings.shumei_language}
        return {**account, "data": data}

    def _audio(self, content: str, info: SliceInfo) -> dict[str, object]:
        account = self._account(self._spec.audio_type, self._settings.shumei_audio_type)
        data = {
            "tokenId": _token(info),
            "formatInfo": "wav",
            "rate": RATE,
            "track": 1,
            "lang": self._settings.shumei_language,
        }
        return {
            **account,
            "btId": data_id(info),
            "contentType": "RAW",
            "content": content,
            "data": data,
        }

    async def _ask(self, url: str, fields: Mapping[str, object]) -> Answer:
        headers = {"Content-Type": "application/json"}
        answer = await self._client.post(url, json.dumps(fields).encode(), headers)
        self._check(self._client.body_of(answer), answer.retry_after)
        return answer

    def _check(self, body: Mapping[str, Any], retry_after: float | None = None) -> None:
        """Raise what a code means."""
        code = body.get("code")
        if code == _SUCCESS:
            return
        aux = body.get("auxInfo")
        detail = aux.get("errorCode") if isinstance(aux, dict) else None
        numbers = "/".join(shown(each, 20) for each in (code, detail) if each is not None)
        reason = f"{numbers}: {shown(body.get('message'), MAX_REASON)}"
        if code == _NO_PERMISSION or (code == _BAD_PARAMETER and detail == _BAD_TYPE):
            raise SupplierRefused(self.label, reason)
        if code in (_BAD_PARAMETER, _NO_DOWNLOAD):
            raise SliceNotJudged(self.label, reason)
        raise SupplierUnavailable(self.label, reason, retry_after)


def picture_verdict(body: Mapping[str, Any]) -> Verdict:
    """Read an answer about a picture. Raises what an answer of another shape does."""
    suggest, label = _SUGGESTS[body["riskLevel"]], _label(body["riskLabel1"])
    found = [_pictured(one) for one in body.get("allLabels") or []]
    findings = tuple(one for one in found if one.suggest is not Suggest.PASS)
    if suggest is not Suggest.PASS and not findings:
        findings = (_pictured(body),)
    score = max((one.score for one in findings if one.label is label), default=0)
    text = ((body.get("riskDetail") or {}).get("ocrText") or {}).get("text") or ""
    return Verdict(suggest, label, score, findings, str(text), str(body.get("requestId") or ""))


def audio_verdict(body: Mapping[str, Any]) -> Verdict:
    """Read an answer about audio, which knows no scores. Raises what an answer of another shape
    does."""
    detail = body["detail"]
    suggest = _SUGGESTS[detail["riskLevel"]]
    found = [_heard(one) for one in detail.get("audioDetail") or []]
    findings = tuple(one for one in found if one.suggest is not Suggest.PASS)
    worst = max(findings, key=lambda one: one.suggest, default=None)
    label = worst.label if worst else Label.NORMAL if suggest is Suggest.PASS else Label.CUSTOM
    text, request = str(detail.get("audioText") or ""), str(body.get("requestId") or "")
    return Verdict(suggest, label, 0, findings, text, request)


def _pictured(one: Mapping[str, Any]) -> Finding:
    risk = one.get("riskDetail") or {}
    things = [each for name in ("faces", "objects", "persons") for each in risk.get(name) or []]
    return Finding(
        _label(one["riskLabel1"]),
        _SUGGESTS[one["riskLevel"]],
        min(max(round(100 * float(one.get("probability") or 0)), 0), 100),
        str(one["riskLabel1"]),
        tuple(_keywords(risk.get("ocrText") or {})),
        str(one.get("riskDescription") or ""),
        boxes=tuple(_box(each["location"]) for each in things if each.get("location")),
    )


def _heard(one: Mapping[str, Any]) -> Finding:
    risk = one.get("riskDetail") or {}
    begin, end = float(one["audioStarttime"]), float(one["audioEndtime"])
    return Finding(
        _label(one["riskLabel1"]),
        _SUGGESTS[one["riskLevel"]],
        0,
        str(one["riskLabel1"]),
        tuple(_keywords(risk)),
        str(one.get("riskDescription") or ""),
        (Segment(begin, end, str(risk.get("audioText") or "")),),
    )


def _keywords(text: Mapping[str, Any]) -> Iterator[str]:
    for listed in text.get("matchedLists") or []:
        yield from (str(each["word"]) for each in listed.get("words") or [])
    yield from (str(each["segment"]) for each in text.get("riskSegments") or [])


def _box(corners: list[float]) -> Box:
    left, top, right, bottom = map(round, corners)
    return Box(left, top, right - left, bottom - top)


def _label(name: str) -> Label:
    return _LABELS.get(name, Label.CUSTOM)


def _joint(names: Sequence[str]) -> str:
    """A tokenId that is nobody's."""
    return hashlib.sha256("".join(names).encode()).hexdigest()[:32]


def _token(info: SliceInfo) -> str:
    """Whom the slice is of, for Shumei's profile of users: at most 64 of [A-Za-z0-9_-], which an
    anchor's id may exceed; and nobody's id leaves the house."""
    return hashlib.sha256(info.anchor.encode(errors="surrogatepass")).hexdigest()[:32]
