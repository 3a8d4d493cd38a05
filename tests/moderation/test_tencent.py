"""IMS and AMS: verdicts of pictures and audio, documented errors, bounds before sending."""

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
from slicer.media.slice import File, SliceInfo
from slicer.moderation import Box, Label, Segment, Suggest, SupplierSpec, Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.moderation.tencent import TencentSupplier
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation.accounts import PICTURE_FILE, audio_file, checked, judged
from tests.harness.moderation.stand_in import Answering, StandIn, answer
from tests.harness.moderation.tencent import AUDIO, ID, KEY, PASS, PICTURE, admitted, error

SPEC = SupplierSpec("tianyu", "1250000000", ID, KEY, audio_type="loud", image_type="bright")


def settings(url: str) -> ModerationSettings:
    return ModerationSettings(tencent_endpoint=url)


async def judge(answering: Answering, file: File = PICTURE_FILE) -> tuple[Verdict, StandIn]:
    return await judged(answering, SPEC, settings, file)


async def test_a_picture_passes() -> None:
    verdict, server = await judge(lambda asked: admitted(asked, PASS))
    assert replace(verdict, raw="") == Verdict(request="r")
    assert server.asked[0].fields["BizType"] == "bright"


async def test_a_picture_is_hit() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, PICTURE))
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 99)
    assert verdict.text == "call me"
    porn, ad = verdict.findings
    assert (porn.label, porn.description) == (Label.PORN, "SexBehavior")
    assert (ad.suggest, ad.keywords, ad.scene) == (Suggest.REVIEW, ("call",), "OCR")
    assert ad.boxes == (Box(1, 2, 30, 40),)


async def test_audio_is_hit() -> None:
    verdict, server = await judge(lambda asked: admitted(asked, AUDIO), audio_file())
    assert (verdict.suggest, verdict.label, verdict.text) == (Suggest.BLOCK, Label.PORN, "words")
    gamble, moan = verdict.findings
    assert (gamble.label, gamble.scene, gamble.keywords) == (Label.CUSTOM, "Gamble", ("bet",))
    assert moan.segments == (Segment(0.5, 1.0),)
    assert server.asked[0].fields["BizType"] == "loud"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (error("AuthFailure.SignatureFailure"), SupplierRefused),
        (error("UnauthorizedOperation.Unauthorized"), SupplierRefused),
        (error("RequestLimitExceeded"), SupplierUnavailable),
        (error("InternalError.InternalError"), SupplierUnavailable),
        (error("ResourceUnavailable.ModelCallFailed"), SupplierUnavailable),
        (error("InvalidParameterValue.InvalidImageContent"), SliceNotJudged),
        (error("InvalidParameter.ImageSizeTooSmall"), SliceNotJudged),
        (error("ResourceUnavailable.InvalidImageContent"), SliceNotJudged),
        (answer({"Response": {"Suggestion": "Perhaps"}}), SupplierUnavailable),
        (answer({"Response": None}), SupplierUnavailable),
        (answer({}), SupplierUnavailable),
    ],
)
async def test_what_goes_wrong(response: Response, expected: type[ModerationError]) -> None:
    with pytest.raises(expected):
        await judge(lambda _: response)


async def test_a_pause_is_passed_on() -> None:
    with pytest.raises(SupplierUnavailable) as caught:
        await judge(lambda _: answer({}, 429, "3"))
    assert caught.value.retry_after == 3.0


async def test_a_key_is_checked_before_the_first_slice() -> None:
    await checked(lambda asked: admitted(asked, PASS), SPEC, settings)
    for wrong in (replace(SPEC, secret_key="other"), replace(SPEC, secret_id="other")):
        with pytest.raises(SupplierRefused, match="AuthFailure"):
            await checked(lambda asked: admitted(asked, PASS), wrong, settings)


async def test_what_is_too_much_is_not_sent() -> None:
    large = replace(PICTURE_FILE, data=bytes(8 * 1024 * 1024))
    long = audio_file()
    assert isinstance(long.info, SliceInfo)
    long = replace(long, info=replace(long.info, seconds=61.0))
    for file in (large, long, file_of("anna/3")):
        with pytest.raises(SliceNotJudged):
            await judge(lambda asked: admitted(asked, PASS), file)


def test_bad_settings() -> None:
    with pytest.raises(BadInput, match=r"supplier\.secret_id"):
        TencentSupplier(replace(SPEC, secret_id=""), ModerationSettings())
    with pytest.raises(BadInput, match=r"moderation\.tencent_endpoint"):
        TencentSupplier(SPEC, ModerationSettings(tencent_endpoint="ftp://a"))
