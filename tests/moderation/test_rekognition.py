"""Amazon Rekognition: verdicts of pictures, documented errors, what is refused before sending."""

import json
from dataclasses import replace

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
from slicer.moderation import Label, Suggest, SupplierSpec, Verdict
from slicer.moderation import rekognition as module
from slicer.moderation.rekognition import RekognitionSupplier
from slicer.moderation.settings import ModerationSettings
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation.accounts import PICTURE_FILE, checked, judged
from tests.harness.moderation.rekognition import ID, KEY, PASS, PICTURE, admitted, error, said
from tests.harness.moderation.stand_in import Answering, StandIn, stand_in

SPEC = SupplierSpec("rekognition", "", ID, KEY)


def settings(url: str) -> ModerationSettings:
    return ModerationSettings(rekognition_endpoint=url, rekognition_review=40)


async def judge(answering: Answering, file: File = PICTURE_FILE) -> tuple[Verdict, StandIn]:
    return await judged(answering, SPEC, settings, file)


async def check(spec: SupplierSpec) -> None:
    await checked(lambda asked: admitted(asked, PASS), spec, settings)


async def test_a_picture_passes() -> None:
    verdict, server = await judge(lambda asked: admitted(asked, PASS))
    assert replace(verdict, raw="") == Verdict(request="r")
    assert server.asked[0].fields["MinConfidence"] == 40


async def test_a_picture_is_hit() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, PICTURE))
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 99)
    *explicit, alcohol = verdict.findings
    assert {one.label for one in explicit} == {Label.PORN}
    assert (alcohol.label, alcohol.scene) == (Label.CUSTOM, "Alcohol")
    assert alcohol.suggest is Suggest.REVIEW
    assert "Exposed Female Nipple" in verdict.raw


CODES: dict[str, type[ModerationError]] = {
    "InvalidImageFormatException": SliceNotJudged,
    "ImageTooLargeException": SliceNotJudged,
    "InvalidParameterException": SliceNotJudged,
    "AccessDeniedException": SupplierRefused,
    "UnrecognizedClientException": SupplierRefused,
    "ThrottlingException": SupplierUnavailable,
    "ProvisionedThroughputExceededException": SupplierUnavailable,
    "InternalServerError": SupplierUnavailable,
}


async def test_a_block_threshold_below_that_of_review_counts() -> None:
    async with stand_in(lambda asked: admitted(asked, PICTURE)) as server:
        settings = ModerationSettings(
            rekognition_endpoint=server.url, rekognition_review=60, rekognition_block=55
        )
        supplier = RekognitionSupplier(SPEC, settings)
        verdict = await supplier.judge(PICTURE_FILE)
        await supplier.close()
    assert server.asked[0].fields["MinConfidence"] == 55
    assert {one.suggest for one in verdict.findings} == {Suggest.BLOCK}


async def test_errors() -> None:
    """Each is asked about once: who repeats is the stage."""
    codes = iter(CODES)
    async with stand_in(lambda _: error(next(codes))) as server:
        supplier = RekognitionSupplier(SPEC, ModerationSettings(rekognition_endpoint=server.url))
        for code, expected in CODES.items():
            with pytest.raises(expected, match=code):
                await supplier.judge(PICTURE_FILE)
        await supplier.close()


async def test_nobody_there() -> None:
    async with stand_in(lambda _: said({})) as server:
        pass
    supplier = RekognitionSupplier(SPEC, ModerationSettings(rekognition_endpoint=server.url))
    with pytest.raises(SupplierUnavailable, match="ConnectError"):
        await supplier.judge(PICTURE_FILE)
    await supplier.close()


async def test_an_answer_that_is_none() -> None:
    with pytest.raises(SupplierUnavailable, match="200"):
        await judge(lambda _: said([1]))


async def test_who_is_not_aws() -> None:
    """What a status means in HTTP; and its error's code, wherever AWS puts a name around it."""
    with pytest.raises(SupplierRefused, match="403"):
        await judge(lambda _: said({}, 403))
    with pytest.raises(SupplierRefused, match="AccessDeniedException"):
        await judge(lambda _: error("com.amazon#AccessDeniedException:http://internal/"))
    long = Response(json.dumps(PASS), headers={"x-amzn-requestid": "r" * 1_000})
    verdict, _ = await judge(lambda _: long)
    assert verdict.request == "r" * 100


async def test_a_pause_that_is_none() -> None:
    with pytest.raises(SupplierUnavailable) as caught:
        await judge(lambda _: said({}, 503, "soon"))
    assert caught.value.retry_after is None


async def test_an_answer_of_another_shape() -> None:
    with pytest.raises(SupplierUnavailable, match="no verdict"):
        await judge(lambda _: said({"ModerationLabels": [{"Name": "x"}]}))


async def test_what_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (replace(PICTURE_FILE, content_type="image/webp"), file_of("anna/2")):
        with pytest.raises(SliceNotJudged, match="allowed: image/png, image/jpeg"):
            await judge(lambda asked: admitted(asked, PASS), file)
    monkeypatch.setattr(module, "MAX_PICTURE", 999)
    with pytest.raises(SliceNotJudged, match="1000 bytes; at most 999"):
        await judge(lambda asked: admitted(asked, PASS))


async def test_check() -> None:
    await check(SPEC)
    with pytest.raises(SupplierRefused, match="InvalidSignatureException"):
        await check(replace(SPEC, secret_key="another-key"))
    with pytest.raises(SupplierRefused, match="UnrecognizedClientException"):
        await check(replace(SPEC, secret_id="AKIAOTHER"))


async def test_one_that_never_asked_is_closed() -> None:
    await RekognitionSupplier(SPEC, ModerationSettings()).close()


@pytest.mark.parametrize(
    ("spec", "settings", "field"),
    [
        (replace(SPEC, secret_id=""), {}, r"supplier\.secret_id"),
        (replace(SPEC, secret_key=""), {}, r"supplier\.secret_key: got ''"),
        (SPEC, {"rekognition_region": "us east"}, r"rekognition_region: got 'us east'"),
        (SPEC, {"rekognition_region": ""}, r"rekognition_region"),
        (SPEC, {"rekognition_endpoint": "a"}, r"rekognition_endpoint"),
    ],
)
def test_what_is_wrong_is_named(
    spec: SupplierSpec, settings: dict[str, object], field: str
) -> None:
    with pytest.raises(BadInput, match=field):
        RekognitionSupplier(spec, replace(ModerationSettings(), **settings))  # type: ignore[arg-type]
