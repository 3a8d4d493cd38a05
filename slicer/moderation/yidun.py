"""NetEase Yidun (网易易盾): pictures by /v5/image/base64Check, audio by /v2/audio/check.

Parameters, answers and signature as in https://github.com/yidun/yidun-golang-sdk (versions v5.2
and v2.2) and https://support.dun.163.com/documents/588434426518708224?docId=588884842603749376;
codes and labels as in that documentation's tables. The key never leaves the house: it signs.
Several pictures in one request: http://support.dun.163.com/documents/2018041901?docId=588512292354793472
(32 pictures, and 10 MB of all parameters).
"""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus

from slicer.errors import (
    BadInput,
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
    shown,
)
from slicer.media.slice import File, SliceInfo
from slicer.media.wav import mono_pcm
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

IMAGE, IMAGE_VERSION = "/v5/image/base64Check", "v5.2"
AUDIO, AUDIO_VERSION = "/v2/audio/check", "v2.2"
MAX_REQUEST = 10 * 1000 * 1000
"""Bytes of a request's parameters."""
BATCH = Batch(32, 7 * 1000 * 1000)
"""Pictures of a request: in Base64 they are a third larger, and each has its names besides."""
MAX_SECONDS = 60.0
RATE = 16_000
MAX_NONCE = 10**11
SIGNATURES = ("MD5", "SM3")
BASE64_PICTURE, BASE64_AUDIO = 2, 1
_JUDGED = 2
"""antispam.status; 0 and 1: not yet, 3: failed."""
_LABELS = {
    100: Label.PORN,
    110: Label.SEXY,
    200: Label.AD,
    210: Label.QR_CODE,
    260: Label.AD,
    300: Label.TERROR,
    400: Label.ILLEGAL,
    500: Label.POLITY,
    600: Label.ABUSE,
}
_SUCCESS = 200
_REFUSED = {400, 401, 402, 404, 410, 413, 415}
"""No or a wrong id, business offline or unknown, signature, trial used up, version not bought."""
_THIS_SLICE = {405, 414, 416}
"""Parameters, length, download. All others pass: 411 (frequency), 420 (expired), 430 (replay),
503."""


class YidunSupplier:
    """One account. ImageBizType and AudioBizType are the businessIds of its two products, and what
    has none is not judged."""

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput."""
        spec.require("secret_id", "secret_key")
        self._business = {
            kind: business
            for kind, business in ((Kind.VIDEO, spec.image_type), (Kind.AUDIO, spec.audio_type))
            if business
        }
        if not self._business:
            allowed = "a businessId of Yidun's, for pictures here or for audio"
            raise BadInput("supplier.image_type", "", allowed)
        self.kinds = frozenset(self._business)
        self.batches = {Kind.VIDEO: BATCH} if Kind.VIDEO in self.kinds else {}
        self._url = endpoint("yidun_endpoint", settings.yidun_endpoint).rstrip("/")
        self._method = settings.yidun_signature.upper()
        if self._method not in SIGNATURES:
            allowed = " or ".join(SIGNATURES)
            raise BadInput("moderation.yidun_signature", settings.yidun_signature, allowed)
        if self._method.lower() not in hashlib.algorithms_available:
            allowed = "MD5: OpenSSL has no SM3 here"
            raise BadInput("moderation.yidun_signature", self._method, allowed)
        self._spec, self.label = spec, f"Yidun {spec.secret_id}"
        self._client = SupplierClient(self.label, settings)

    async def check(self) -> None:
        """Ask each product about nothing: an account that is taken is told of the parameter."""
        for kind in self.kinds:
            try:
                await self._ask(kind, {"images": "[]"} if kind is Kind.VIDEO else {"data": ""})
            except SliceNotJudged:
                continue

    async def judge(self, file: File) -> Verdict:
        info = file.info
        assert isinstance(info, SliceInfo)
        if info.kind is Kind.VIDEO:
            answer = await self._ask(info.kind, _pictures([file]))
            return self._verdict(file, _only(answer.body.get("result")), answer.raw)
        answer = await self._ask(info.kind, await self._audio(file.data, info))
        return self._verdict(file, answer.body.get("result"), answer.raw)

    async def judge_batch(self, files: Sequence[File]) -> Sequence[Verdict | ModerationError]:
        answer = await self._ask(Kind.VIDEO, _pictures(files))
        results = _by_name(answer.body.get("result"))
        outcomes: list[Verdict | ModerationError] = []
        for file in files:
            result = results.get(_identity(file))
            raw = json.dumps(result)
            try:
                outcomes.append(self._verdict(file, result, raw))
            except ModerationError as error:
                outcomes.append(error)
        return outcomes

    async def close(self) -> None:
        await self._client.close()

    def _verdict(self, file: File, result: object, raw: str) -> Verdict:
        """Read the result for one slice. Raises SupplierUnavailable and SliceNotJudged."""
        antispam = result.get("antispam") if isinstance(result, dict) else None
        if not isinstance(result, dict) or not isinstance(antispam, dict):
            raise SupplierUnavailable(self.label, "the answer has no result.antispam")
        if (status := antispam.get("status")) != _JUDGED:
            reason = shown(antispam.get("failureReason"), 20)
            text = f"antispam.status {shown(status, 20)}, failureReason {reason}"
            raise SliceNotJudged(self.label, text)
        size = (file.width or 0, file.height or 0)
        return self._client.verdict(lambda body: verdict_of(body, size), result, raw)

    async def _audio(self, data: bytes, info: SliceInfo) -> dict[str, str]:
        """Base64 is for bare samples: 16 bits, little-endian, 16 kHz, mono."""
        if info.seconds > MAX_SECONDS:
            raise SliceNotJudged(self.label, f"{info.seconds:g} s; at most {MAX_SECONDS:g}")
        try:
            samples = await asyncio.to_thread(mono_pcm, data, RATE)
        except ValueError as error:
            raise SliceNotJudged(self.label, str(error)) from error
        return {
            "dataCheckType": str(BASE64_AUDIO),
            "data": base64.b64encode(samples).decode(),
            "dataId": data_id(info),
        }

    async def _ask(self, kind: Kind, fields: Mapping[str, str]) -> Answer:
        picture = kind is Kind.VIDEO
        parameters = {
            **fields,
            "secretId": self._spec.secret_id,
            "businessId": self._business[kind],
            "version": IMAGE_VERSION if picture else AUDIO_VERSION,
            "timestamp": str(time.time_ns() // 1_000_000),
            "nonce": str(secrets.randbelow(MAX_NONCE)),
            "signatureMethod": self._method,
        }
        size = sum(map(len, parameters.values()))
        if size > MAX_REQUEST:
            raise SliceNotJudged(self.label, f"{size} bytes; at most {MAX_REQUEST}")
        parameters["signature"] = sign(self._spec.secret_key, parameters)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = self._url + (IMAGE if picture else AUDIO)
        answer = await self._client.post(url, form(parameters), headers)
        body = self._client.body_of(answer)
        code = body.get("code")
        if code == _SUCCESS:
            return answer
        reason = f"{shown(code, 20)}: {shown(body.get('msg'), MAX_REASON)}"
        if type(code) is int and code in _REFUSED:
            raise SupplierRefused(self.label, reason)
        if type(code) is int and code in _THIS_SLICE:
            raise SliceNotJudged(self.label, reason)
        raise SupplierUnavailable(self.label, reason, answer.retry_after)


def _identity(file: File) -> str:
    assert isinstance(file.info, SliceInfo)
    return data_id(file.info)


def _pictures(files: Sequence[File]) -> dict[str, str]:
    images = [
        {
            "name": _identity(file),
            "dataId": _identity(file),
            "type": BASE64_PICTURE,
            "data": base64.b64encode(file.data).decode(),
        }
        for file in files
    ]
    return {"images": json.dumps(images)}


def sign(key: str, parameters: Mapping[str, str]) -> str:
    """The parameter `signature`: the digest that `signatureMethod` names, of every other parameter
    by its name, name and value one behind the other, and the key."""
    text = "".join(name + parameters[name] for name in sorted(parameters)) + key
    digest = hashlib.new(parameters["signatureMethod"].lower(), usedforsecurity=False)
    digest.update(text.encode())
    return digest.hexdigest()


_FIRST = "%+"
"""What other characters bring more of."""
_QUOTED = {char: quote_plus(char) for char in [*_FIRST, *map(chr, range(128))]}


def form(parameters: Mapping[str, str]) -> bytes:
    """What `urlencode` gives, which looks at each character of a picture by itself: 32 ms of the
    loop's time for one of 500 kB, of which this takes 6."""
    return "&".join(
        f"{quote_plus(name)}={_quoted(parameters[name])}" for name in parameters
    ).encode()


def _quoted(value: str) -> str:
    if not value.isascii():
        return quote_plus(value)
    for char, quoted in _QUOTED.items():
        if char != quoted and char in value:
            value = value.replace(char, quoted)
    return value


def verdict_of(result: Mapping[str, Any], size: tuple[int, int] = (0, 0)) -> Verdict:
    """Read the result for one slice. *size*: the picture's, in pixels, because coordinates are
    parts of it. Raises what a result of another shape does."""
    antispam = result["antispam"]
    suggest = Suggest(antispam["suggestion"])
    segments = antispam.get("segments") or []
    found = [_finding(one, size) for one in antispam.get("labels") or []]
    found += [
        _finding(one, size, segment) for segment in segments for one in segment.get("labels") or []
    ]
    findings = tuple(one for one in found if one.suggest is not Suggest.PASS)
    worst = max(findings, key=lambda one: (one.suggest, one.score), default=None)
    label = worst.label if worst else Label.NORMAL if suggest is Suggest.PASS else Label.CUSTOM
    read = [
        each for name in ("ocr", "asr") for each in (result.get(name) or {}).get("details") or []
    ]
    return Verdict(
        suggest,
        label,
        worst.score if worst else 0,
        findings,
        " ".join(str(each["content"]) for each in read if each.get("content")),
        str(antispam.get("taskId") or ""),
    )


def _finding(
    one: Mapping[str, Any], size: tuple[int, int], segment: Mapping[str, Any] | None = None
) -> Finding:
    details = [each["details"] for each in one.get("subLabels") or [] if each.get("details")]
    hits = [hit for each in details for hit in each.get("hitInfos") or []]
    words = [word for each in details for word in each.get("keywords") or []]
    descriptions = (each.get("riskDescription") for each in one.get("subLabels") or [])
    return Finding(
        _LABELS.get(one["label"], Label.CUSTOM),
        Suggest(one["level"]),
        min(max(round(100 * float(one.get("rate") or 0)), 0), 100),
        str(one["label"]),
        tuple(str(each["word"]) for each in words if each.get("word")),
        "; ".join(str(each) for each in descriptions if each),
        (_segment(segment),) if segment is not None else (),
        tuple(_boxes(hits, size)),
    )


def _segment(one: Mapping[str, Any]) -> Segment:
    return Segment(float(one["startTime"]), float(one["endTime"]), str(one.get("content") or ""))


def _boxes(hits: list[Mapping[str, Any]], size: tuple[int, int]) -> Iterator[Box]:
    """Where the picture was hit. Corners are parts of the picture, from 0 to 1; others are none."""
    for hit in hits:
        coordinates = (hit.get(name) for name in ("x1", "y1", "x2", "y2"))
        corners = [one for one in coordinates if isinstance(one, int | float) and 0 <= one <= 1]
        if len(corners) == 4:
            sides = zip(corners, (*size, *size), strict=True)
            left, top, right, bottom = (round(part * side) for part, side in sides)
            yield Box(left, top, right - left, bottom - top)


def _by_name(found: object) -> dict[str, object]:
    """The results for several pictures, by the dataId that each repeats."""
    results = {}
    for one in found if isinstance(found, list) else []:
        antispam = one.get("antispam") if isinstance(one, dict) else None
        if isinstance(antispam, dict):
            results[str(antispam.get("dataId") or antispam.get("name"))] = one
    return results


def _only(found: object) -> object:
    """The one element of a list of one."""
    return found[0] if isinstance(found, list) and len(found) == 1 else None
