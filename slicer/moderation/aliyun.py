"""Aliyun's content moderation 2.0: pictures by ImageModeration, audio by VoiceModeration.

https://help.aliyun.com/en/document_detail/467829.html (pictures: parameters, risk levels),
https://help.aliyun.com/en/document_detail/604973.html (audio), the models of Aliyun's SDK
green-20220302 (what answers hold), https://help.aliyun.com/zh/document_detail/2926827.html
(DescribeUploadToken), and https://help.aliyun.com/en/document_detail/3060193.html (codes).

The API takes no bytes: a slice goes into a bucket of the supplier's own, with the temporary key
that it gives for that, and the request names it there. So no store has a slice before its verdict.
The SDK of OSS signs the upload (V4), and is imported when the first slice comes.

A picture's verdict is the answer. Audio gets a task, which is asked for until it is done. One that
takes too long is remembered, and asked for at the next try.
"""

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from slicer.errors import BadInput, SliceNotJudged, SupplierRefused, SupplierUnavailable, shown
from slicer.media.slice import File, SliceInfo
from slicer.media.wav import mono_wav
from slicer.moderation import Finding, Label, Segment, Suggest, SupplierSpec, Verdict, data_id
from slicer.moderation.client import MAX_REASON, Answer, SupplierClient, endpoint
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

VERSION = "2022-03-02"
ALGORITHM = "ACS3-HMAC-SHA256"
SERVICE = "baselineCheck"
"""What a picture is looked at for, unless the order names another service as its ImageBizType."""
AUDIO_SERVICE = "audio_media_detection"
"""The same of audio, and AudioBizType."""
RATE = 16_000
"""Hz of the WAV that audio becomes: of Ogg the documentation does not say which codecs."""
POLL_SECONDS = 1.0
"""From one question for a task's verdict to the next."""
TASK_SECONDS = 60.0
"""After which a task that is not done is asked for later: until then it keeps a request's place."""
MAX_TASKS = 1_000
"""Tasks that are remembered; of more, the oldest are forgotten, and their audio is sent again."""
MAX_PICTURE = 20 * 1024 * 1024
UPLOAD_SECONDS = 60
"""For how long the URL of an upload is good, and by how much a key must outlive its use."""
_SUCCESS = 200
_UNDER_WAY = 280
_REFUSED = {408, 411}
"""No permission; overdue, or not opened."""
_AGAIN = {403, 404, 405, 480}
"""Too many requests a second, and a picture that could not be fetched from Aliyun's own bucket.
Other codes from 400 to 499 are about the picture or its parameters; from 500 on all pass."""
_ACCOUNT = re.compile(r"Signature|AccessKey|NoPermission|Forbidden|SecurityToken|Unauthorized")
"""In the gateway's codes, which are words, such as InvalidAccessKeyId.NotFound."""
_LEVELS = {"high": Suggest.BLOCK, "medium": Suggest.REVIEW}
"""`low` is for who wants to miss nothing, `none` is nothing."""
_LABELS = {
    "pornographic": Label.PORN,
    "sexual": Label.SEXY,
    "political": Label.POLITY,
    "violent": Label.TERROR,
    "contraband": Label.ILLEGAL,
    "fraud": Label.ILLEGAL,
    "profanity": Label.ABUSE,
    "pt": Label.AD,
}
"""By the part of a label before its first `_`."""
_AUDIO_LABELS = {
    "sexual_content": Label.PORN,
    "sexual_sounds": Label.PORN,
    "sexuality": Label.SEXY,
    "political_content": Label.POLITY,
    "violence": Label.TERROR,
    "contraband": Label.ILLEGAL,
    "profanity": Label.ABUSE,
    "ad": Label.AD,
}
_OSS_REGION = re.compile(r"oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")


@dataclass(frozen=True, slots=True)
class Token:
    """A temporary key to the supplier's bucket. *until*: seconds since 1970."""

    access_key: str
    secret_key: str = field(repr=False)
    security_token: str = field(repr=False)
    bucket: str
    prefix: str
    endpoint: str
    region: str
    until: float


class AliyunSupplier:
    """One account: SecretId and SecretKey are an access key of Aliyun's."""

    kinds = frozenset(Kind)

    def __init__(self, spec: SupplierSpec, settings: ModerationSettings) -> None:
        """Raises BadInput."""
        spec.require("secret_id", "secret_key")
        region = settings.aliyun_region
        if not re.fullmatch(r"[a-z0-9-]{1,40}", region):
            raise BadInput("moderation.aliyun_region", region, "a region, such as cn-shanghai")
        own = settings.aliyun_endpoint
        url = (
            endpoint("aliyun_endpoint", own) if own else f"https://green-cip.{region}.aliyuncs.com"
        )
        self._url, self._region, self._spec = httpx.URL(url), region, spec
        self._service = spec.image_type or SERVICE
        self._audio_service = spec.audio_type or AUDIO_SERVICE
        self.label = f"aliyun {spec.secret_id}"
        self._client = SupplierClient(self.label, settings, spec.secret_key)
        self._token: Token | None = None
        self._tasks: dict[str, str] = {}

    async def check(self) -> None:
        """Ask for an upload's key: only an account that is taken gets one."""
        self._token = await self._new_token()

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        if file.info.kind is Kind.VIDEO:
            return await self._judge_picture(file, data_id(file.info))
        return await self._judge_audio(file, data_id(file.info))

    async def close(self) -> None:
        await self._client.close()

    async def _judge_picture(self, file: File, identity: str) -> Verdict:
        if len(file.data) > MAX_PICTURE:
            raise SliceNotJudged(self.label, f"{len(file.data)} bytes; at most {MAX_PICTURE}")
        place = await self._put(identity, file.data, file.content_type)
        answer = await self._ask("ImageModeration", self._service, place)
        return self._client.verdict(verdict_of, answer.body, answer.raw)

    async def _judge_audio(self, file: File, identity: str) -> Verdict:
        task = self._tasks.pop(identity, "") or await self._new_task(file, identity)
        try:
            async with asyncio.timeout(TASK_SECONDS):
                answer = await self._result(task)
        except TimeoutError:
            self._tasks[identity] = task
            if len(self._tasks) > MAX_TASKS:
                del self._tasks[next(iter(self._tasks))]
            late = f"no verdict within {TASK_SECONDS:g} s"
            raise SupplierUnavailable(self.label, late) from None
        return self._client.verdict(audio_verdict_of, answer.body, answer.raw)

    async def _new_task(self, file: File, identity: str) -> str:
        try:
            data = await asyncio.to_thread(mono_wav, file.data, RATE)
        except ValueError as error:
            raise SliceNotJudged(self.label, str(error)) from None
        place = await self._put(identity, data, "audio/wav")
        answer = await self._ask("VoiceModeration", self._audio_service, place)
        found = answer.body.get("Data")
        task = found.get("TaskId") if isinstance(found, dict) else None
        if not isinstance(task, str) or not task:
            raise SupplierUnavailable(self.label, "the answer has no task")
        return task

    async def _result(self, task: str) -> Answer:
        """The answer that has a task's verdict."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            asked = {"taskId": task}
            answer = await self._ask("VoiceModerationResult", self._audio_service, asked)
            if answer.body["Code"] == _SUCCESS:
                return answer

    async def _new_token(self) -> Token:
        answer = await self._ask("DescribeUploadToken")
        data = answer.body.get("Data")
        try:
            return self._token_of(data)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise SupplierUnavailable(self.label, "the answer has no key for uploads") from None

    def _token_of(self, data: Any) -> Token:
        url = str(data["OssInternetEndPoint"])
        host = urlsplit(url).hostname or ""
        # An answer may not send pictures of the house to an address within it.
        if not host.endswith(".aliyuncs.com") and host != self._url.host:
            raise ValueError(host)
        names = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "BucketName", "FileNamePrefix")
        key, secret, security, bucket, prefix = (str(data[name]) for name in names)
        found = _OSS_REGION.search(url)
        region, until = found[1] if found else self._region, float(data["Expiration"])
        return Token(key, secret, security, bucket, prefix, url, region, until)

    async def _put(self, identity: str, data: bytes, content_type: str) -> Mapping[str, str]:
        """Put a slice into the supplier's bucket; gives how a request names it."""
        if self._token is None or self._token.until < time.time() + UPLOAD_SECONDS:
            self._token = await self._new_token()
        token = self._token
        name = f"{token.prefix}{identity}.{content_type.rpartition('/')[2]}"
        await self._upload(token, name, data, content_type)
        return {
            "ossRegionId": token.region,
            "ossBucketName": token.bucket,
            "ossObjectName": name,
            "dataId": identity,
        }

    async def _upload(self, token: Token, name: str, data: bytes, content_type: str) -> None:
        try:
            url, headers = _signed_upload(token, name, content_type)
        except Exception as error:  # the SDK refuses a bucket or an endpoint in ways of its own
            self._token = None
            why = f"no upload to {shown(token.bucket)}: {type(error).__name__}"
            raise SupplierUnavailable(self.label, why) from None
        answer = await self._client.post(url, data, headers, "PUT")
        if answer.status != httpx.codes.OK:
            self._token = None  # it may be the key: the next try has another one
            reason = f"the upload: {answer.status}"
            raise SupplierUnavailable(self.label, reason, answer.retry_after)

    async def _ask(
        self, action: str, service: str = "", parameters: Mapping[str, str] | None = None
    ) -> Answer:
        """An answer of code 200, or of 280, which only a task has."""
        named = {"Service": service, "ServiceParameters": json.dumps(parameters)}
        body = urlencode(named if parameters else {}).encode()
        headers = {
            "host": self._url.netloc.decode("ascii"),
            "x-acs-action": action,
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": VERSION,
        }
        headers["authorization"] = authorization(
            self._spec.secret_id, self._spec.secret_key, headers
        )
        headers["content-type"] = "application/x-www-form-urlencoded"
        headers["accept"] = "application/json"
        answer = await self._client.post(str(self._url.copy_with(path="/")), body, headers)
        code = answer.body.get("Code")
        reason = f"{shown(code, 60)}: {shown(_reason(answer.body), MAX_REASON)}"
        if isinstance(code, str) and _ACCOUNT.search(code):
            raise SupplierRefused(self.label, reason)
        if isinstance(code, str) and code.startswith(("Throttling", "InvalidTimeStamp")):
            raise SupplierUnavailable(self.label, reason, answer.retry_after)
        self._client.body_of(answer)
        if code == _SUCCESS or (code == _UNDER_WAY and action == "VoiceModerationResult"):
            return answer
        if type(code) is int and code in _REFUSED:
            raise SupplierRefused(self.label, reason)
        if type(code) is int and 400 <= code < 500 and code not in _AGAIN:
            raise SliceNotJudged(self.label, reason)
        raise SupplierUnavailable(self.label, reason, answer.retry_after)


def authorization(key_id: str, key: str, headers: Mapping[str, str], query: str = "") -> str:
    """The header `Authorization` of a POST to `/` by signature V3; *headers*: those that are
    signed, in their order, names in lower case.

    https://help.aliyun.com/en/sdk/product-overview/v3-request-structure-and-signature
    """
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    text = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key.encode(), text.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"


def verdict_of(body: Mapping[str, Any]) -> Verdict:
    """Read an answer. Raises what an answer of another shape does."""
    data = body["Data"]
    worst = str(data["RiskLevel"])
    found = tuple(_finding(one, worst) for one in data.get("Result") or [])
    findings = tuple(one for one in found if one.suggest is not Suggest.PASS)
    verdict = Verdict.of(findings, request=str(body.get("RequestId") or ""))
    if not findings and (suggest := _LEVELS.get(worst)):
        return Verdict(suggest, Label.CUSTOM, request=verdict.request)
    return verdict


def _finding(one: Mapping[str, Any], worst: str) -> Finding:
    """A label that has no level of its own has the picture's."""
    name = str(one["Label"])
    level = worst if one.get("RiskLevel") is None else str(one["RiskLevel"])
    suggest = Suggest.PASS if name == "nonLabel" else _LEVELS.get(level, Suggest.PASS)
    label = _LABELS.get(name.partition("_")[0], Label.CUSTOM)
    score = min(max(round(float(one.get("Confidence") or 0)), 0), 100)
    return Finding(
        Label.QR_CODE if "qrcode" in name.lower() else label,
        suggest,
        score,
        name,
        description=str(one.get("Description") or ""),
    )


def audio_verdict_of(body: Mapping[str, Any]) -> Verdict:
    """The same of audio: its parts have a text each, and those of a risk have labels."""
    data = body["Data"]
    parts = data["SliceDetails"]
    findings = tuple(
        one for part in parts for one in _audio_findings(part) if one.suggest is not Suggest.PASS
    )
    text = " ".join(phrase for part in parts if (phrase := str(part.get("Text") or "").strip()))
    verdict = Verdict.of(findings, text, str(body.get("RequestId") or ""))
    if not findings and (suggest := _LEVELS.get(str(data.get("RiskLevel")))):
        return replace(verdict, suggest=suggest, label=Label.CUSTOM)
    return verdict


def _audio_findings(part: Mapping[str, Any]) -> list[Finding]:
    """A part that has a label but no level is for people to hear."""
    names = [name.strip() for name in str(part.get("Labels") or "").split(",")]
    level, phrase = part.get("RiskLevel"), str(part.get("Text") or "")
    suggest = _LEVELS.get(str(level), Suggest.PASS) if level else Suggest.REVIEW
    words = tuple(word for word in str(part.get("RiskWords") or "").split(",") if word)
    place = Segment(float(part["StartTime"]), float(part["EndTime"]), phrase)
    score = min(max(round(float(part.get("Score") or 0)), 0), 100)
    return [
        Finding(
            _AUDIO_LABELS.get(name, Label.CUSTOM),
            suggest,
            score,
            name,
            words,
            str(part.get("Descriptions") or part.get("RiskTips") or ""),
            (place,),
        )
        for name in names
        if name not in ("", "nonLabel")
    ]


def _reason(body: Mapping[str, Any]) -> object:
    return body.get("Msg") or body.get("Message")


def _signed_upload(token: Token, name: str, content_type: str) -> tuple[str, Mapping[str, str]]:
    """The URL of an upload that is signed, and the headers that it must have."""
    sdk = import_module("alibabacloud_oss_v2")
    config = sdk.config.load_default()
    config.region, config.endpoint = token.region, token.endpoint
    config.credentials_provider = sdk.credentials.StaticCredentialsProvider(
        token.access_key, token.secret_key, token.security_token
    )
    request = sdk.PutObjectRequest(bucket=token.bucket, key=name, content_type=content_type)
    signed = sdk.Client(config).presign(request, expires=timedelta(seconds=UPLOAD_SECONDS))
    return str(signed.url), dict(signed.signed_headers)
