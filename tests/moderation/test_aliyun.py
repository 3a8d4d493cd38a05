"""Aliyun: both signatures, uploads, verdicts, documented codes, bounds."""

import hashlib
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from starlette.responses import Response

from slicer.errors import (
    BadInput,
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
)
from slicer.media.slice import File
from slicer.moderation import Label, Segment, Suggest, SupplierSpec, Verdict
from slicer.moderation import aliyun as module
from slicer.moderation.aliyun import AliyunSupplier, Token, authorization
from slicer.moderation.settings import ModerationSettings
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation import aliyun
from tests.harness.moderation.accounts import PICTURE_FILE, account, audio_file
from tests.harness.moderation.aliyun import (
    AUDIO,
    ID,
    KEY,
    PASS,
    PICTURE,
    admitted,
    error,
    refused,
    told,
)
from tests.harness.moderation.stand_in import Answering, Asked, StandIn

SPEC = SupplierSpec("aliyun", "", ID, KEY)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


def settings(url: str) -> ModerationSettings:
    return ModerationSettings(aliyun_endpoint=url)


async def judge(
    answering: Answering, spec: SupplierSpec = SPEC, file: File = PICTURE_FILE, times: int = 1
) -> tuple[Verdict, StandIn]:
    """The last of so many verdicts."""
    async with account(answering, spec, settings) as (supplier, server):
        for _ in range(times):
            verdict = await supplier.judge(file)
        return verdict, server


def actions(server: StandIn) -> list[str]:
    return [asked.headers.get("x-acs-action", asked.method) for asked in server.asked]


def test_the_signature_is_that_of_the_documentation() -> None:
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    assert authorization("YourAccessKeyId", "YourAccessKeySecret", headers, query) == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


async def test_a_picture_is_uploaded_and_judged_by_one_key() -> None:
    verdict, server = await judge(lambda asked: admitted(asked, PICTURE), times=2)
    assert actions(server) == ["DescribeUploadToken", *["PUT", "ImageModeration"] * 2]
    assert server.asked[1].body == PICTURE_FILE.data
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 81)
    first, second = verdict.findings
    assert (first.scene, first.description) == ("pornographic_adultContent", "adult")
    assert (second.label, second.suggest, second.score) == (Label.QR_CODE, Suggest.REVIEW, 60)
    assert verdict.request == "A-1"


async def test_the_order_names_the_service() -> None:
    own = replace(SPEC, image_type="mine", audio_type="audio_detection_byllm")
    for spec, file, service in (
        (SPEC, PICTURE_FILE, b"baselineCheck"),
        (own, PICTURE_FILE, b"mine"),
        (SPEC, audio_file(), b"audio_media_detection"),
        (own, audio_file(), b"audio_detection_byllm"),
    ):
        _, server = await judge(lambda asked: admitted(asked, PASS), spec, file=file)
        assert b"Service=" + service + b"&" in server.asked[-1].body


async def test_a_level_without_a_label_is_told() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, {"RiskLevel": "medium", "Result": []}))
    assert (verdict.suggest, verdict.label) == (Suggest.REVIEW, Label.CUSTOM)


async def test_audio_is_asked_for_until_its_task_is_done() -> None:
    under_way = [error(280), error(280)]

    def answering(asked: Asked) -> Response:
        last = asked.headers.get("x-acs-action") == "VoiceModerationResult"
        return under_way.pop() if last and under_way else admitted(asked, AUDIO)

    verdict, server = await judge(answering, file=audio_file())
    asked = ["DescribeUploadToken", "PUT", "VoiceModeration", *["VoiceModerationResult"] * 3]
    assert actions(server) == asked
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.ABUSE, 87)
    assert verdict.text == "go away"
    abuse, moan = verdict.findings
    assert (abuse.scene, abuse.keywords) == ("profanity", ("go", "away"))
    assert abuse.segments == (Segment(0.5, 1.0, "away"),)
    assert (moan.scene, moan.label) == ("sexual_sounds", Label.PORN)


async def test_a_part_with_a_label_but_no_level_is_for_people() -> None:
    part = {"StartTime": 0, "EndTime": 1, "Labels": "violence"}
    for level, label, suggest in (
        (None, Label.TERROR, Suggest.REVIEW),
        ("odd", Label.NORMAL, Suggest.PASS),
    ):
        said = {"SliceDetails": [{**part, "RiskLevel": level}]}
        verdict, _ = await judge(partial(admitted, data=said), file=audio_file())
        assert (verdict.label, verdict.suggest) == (label, suggest)
    verdict, _ = await judge(
        lambda asked: admitted(asked, {"RiskLevel": "high", "SliceDetails": []}), file=audio_file()
    )
    assert (verdict.label, verdict.suggest) == (Label.CUSTOM, Suggest.BLOCK)


async def test_a_task_that_takes_long_is_asked_for_again_and_not_paid_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = [False]

    def answering(asked: Asked) -> Response:
        last = asked.headers.get("x-acs-action") == "VoiceModerationResult"
        return error(280) if last and not done[0] else admitted(asked, AUDIO)

    async with account(answering, SPEC, settings) as (supplier, server):
        monkeypatch.setattr(module, "TASK_SECONDS", 0.2)
        for key in ("anna/2", "anna/2", "anna/3"):
            with pytest.raises(SupplierUnavailable, match=r"no verdict within 0\.2 s"):
                await supplier.judge(audio_file(key))
        assert actions(server).count("VoiceModeration") == 2
        monkeypatch.setattr(module, "TASK_SECONDS", 60.0)
        done[0] = True
        assert (await supplier.judge(audio_file())).hit
        assert actions(server).count("VoiceModeration") == 2


async def test_no_more_tasks_are_remembered_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TASKS", 1)
    monkeypatch.setattr(module, "TASK_SECONDS", 0.0)
    async with account(lambda asked: admitted(asked, AUDIO), SPEC, settings) as (supplier, server):
        for key in ("anna/1", "anna/2", "anna/1", "anna/1", "anna/2"):
            with pytest.raises(SupplierUnavailable):
                await supplier.judge(audio_file(key))
        assert actions(server).count("VoiceModeration") == 4, "the one before is remembered"


async def test_audio_that_is_none_is_not_sent() -> None:
    async with account(lambda asked: admitted(asked, AUDIO), SPEC, settings) as (supplier, server):
        with pytest.raises(SliceNotJudged, match="no audio file"):
            await supplier.judge(file_of("anna/2"))
        assert server.asked == []


@pytest.mark.parametrize("odd", [None, [], {}, {"TaskId": ""}, {"TaskId": 7}])
async def test_an_answer_without_a_task(odd: object) -> None:
    def answering(asked: Asked) -> Response:
        if asked.headers.get("x-acs-action") != "VoiceModeration":
            return admitted(asked, AUDIO)
        return told(odd)

    with pytest.raises(SupplierUnavailable, match="no task"):
        await judge(answering, file=audio_file())


async def test_the_account_is_tried() -> None:
    async with account(lambda asked: admitted(asked, PASS), SPEC, settings) as (supplier, server):
        await supplier.check()
        await supplier.judge(PICTURE_FILE)
        assert actions(server).count("DescribeUploadToken") == 1


@pytest.mark.parametrize(
    ("answered", "raised"),
    [
        (error(400), SliceNotJudged),
        (error(401), SliceNotJudged),
        (error(404), SupplierUnavailable),
        (error(408), SupplierRefused),
        (error(411), SupplierRefused),
        (error(480), SupplierUnavailable),
        (error(500), SupplierUnavailable),
        (error(581), SupplierUnavailable),
        (refused(404, "InvalidAccessKeyId.NotFound"), SupplierRefused),
        (refused(400, "SignatureDoesNotMatch"), SupplierRefused),
        (refused(403, "NoPermission"), SupplierRefused),
        (refused(400, "Throttling.User"), SupplierUnavailable),
        (refused(400, "InvalidTimeStamp.Expired"), SupplierUnavailable),
        (refused(503, "ServiceUnavailable"), SupplierUnavailable),
    ],
)
@pytest.mark.parametrize("last", ["ImageModeration", "VoiceModeration", "VoiceModerationResult"])
async def test_codes(answered: Response, raised: type[ModerationError], last: str) -> None:
    def answering(asked: Asked) -> Response:
        return answered if asked.headers.get("x-acs-action") == last else admitted(asked, PASS)

    with pytest.raises(raised):
        await judge(answering, file=PICTURE_FILE if last == "ImageModeration" else audio_file())


async def test_an_upload_that_fails_gets_another_key() -> None:
    failures = [Response(b"<Error/>", 403)]

    def answering(asked: Asked) -> Response:
        failed = asked.method == "PUT" and failures
        return failures.pop() if failed else admitted(asked, PASS)

    async with account(answering, SPEC, settings) as (supplier, server):
        with pytest.raises(SupplierUnavailable, match="the upload: 403"):
            await supplier.judge(PICTURE_FILE)
        await supplier.judge(PICTURE_FILE)
    assert actions(server).count("DescribeUploadToken") == 2


async def test_a_key_that_is_about_to_expire_is_not_used() -> None:
    def answering(asked: Asked) -> Response:
        if asked.headers.get("x-acs-action") != "DescribeUploadToken":
            return admitted(asked, PASS)
        return told({**aliyun.token(f"http://{asked.headers['host']}"), "Expiration": 1})

    _, server = await judge(answering, times=2)
    assert actions(server).count("DescribeUploadToken") == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"OssInternetEndPoint": "http://169.254.169.254"},
        {"OssInternetEndPoint": "https://aliyuncs.com.example.org"},
        {"OssInternetEndPoint": None},
        {"Expiration": "soon"},
        {"BucketName": "not a bucket"},
    ],
)
async def test_a_picture_goes_nowhere_else(odd: dict[str, Any]) -> None:
    def answering(asked: Asked) -> Response:
        return told({**aliyun.token(f"http://{asked.headers['host']}"), **odd})

    with pytest.raises(SupplierUnavailable):
        await judge(answering)


async def test_a_picture_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURE", 999)
    with pytest.raises(SliceNotJudged, match="1000 bytes; at most 999"):
        await judge(lambda asked: admitted(asked, PASS))


@pytest.mark.parametrize(
    ("spec", "chosen", "field"),
    [
        (replace(SPEC, secret_id=""), ModerationSettings(), "supplier.secret_id"),
        (replace(SPEC, secret_key=""), ModerationSettings(), "supplier.secret_key"),
        (SPEC, ModerationSettings(aliyun_region="a/b"), "moderation.aliyun_region"),
        (SPEC, ModerationSettings(aliyun_endpoint="ftp://x"), "moderation.aliyun_endpoint"),
    ],
)
def test_bad_settings(spec: SupplierSpec, chosen: ModerationSettings, field: str) -> None:
    with pytest.raises(BadInput, match=field):
        AliyunSupplier(spec, chosen)


def test_nothing_secret_is_shown() -> None:
    supplier = AliyunSupplier(SPEC, ModerationSettings())
    shown = repr(Token("id", aliyun.SECRET, aliyun.TOKEN, "bucket", "prefix", "url", "region", 0.0))
    assert aliyun.SECRET not in shown
    assert aliyun.TOKEN not in shown
    assert KEY not in supplier.label
