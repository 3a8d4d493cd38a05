"""Shumei: verdicts of pictures and audio, documented codes, bounds before sending."""

from dataclasses import replace

import pytest

from slicer.errors import (
    BadInput,
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
)
from slicer.media.slice import File
from slicer.moderation import Box, Label, Segment, Suggest, SupplierSpec, Verdict, data_id
from slicer.moderation import shumei as module
from slicer.moderation.settings import ModerationSettings
from slicer.moderation.shumei import ShumeiSupplier
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation.accounts import PICTURE_FILE, audio_file, checked, judged
from tests.harness.moderation.shumei import APP, AUDIO, KEY, PASS, PICTURE, admitted, error
from tests.harness.moderation.stand_in import Answering, StandIn

SPEC = SupplierSpec("shumei", APP, secret_key=KEY, audio_type="calls", image_type="stills")


def settings(url: str = "http://a", types: str = "POLITY_EROTIC") -> ModerationSettings:
    return ModerationSettings(
        shumei_image_url=f"{url}/image/v4",
        shumei_audio_url=f"{url}/audiomessage/v4",
        shumei_image_type=types,
        shumei_language="en",
    )


async def judge(
    answering: Answering, file: File = PICTURE_FILE, types: str = "POLITY_EROTIC"
) -> tuple[Verdict, StandIn]:
    return await judged(answering, SPEC, lambda url: settings(url, types), file)


async def check(spec: SupplierSpec = SPEC) -> None:
    await checked(lambda asked: admitted(asked, PASS), spec, settings)


async def test_a_picture_passes() -> None:
    verdict, server = await judge(lambda asked: admitted(asked, PASS))
    assert replace(verdict, raw="") == Verdict(request="r")
    fields = server.asked[0].fields
    assert (fields["eventId"], fields["type"]) == ("stills", "POLITY_EROTIC")
    assert fields["data"]["lang"] == "en"
    assert "anna" not in fields["data"]["tokenId"]


async def test_a_picture_is_hit() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, PICTURE))
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 87)
    assert verdict.text == "call me"
    ad, porn = verdict.findings
    assert (ad.label, ad.suggest, ad.keywords) == (Label.AD, Suggest.REVIEW, ("call", "me"))
    assert (porn.scene, porn.description) == ("porn", "色情:色情:色情")
    assert porn.boxes == (Box(207, 522, 133, 45),)


async def test_a_hit_without_details_is_a_finding() -> None:
    told = {**PICTURE, "allLabels": None, "riskLabel1": "new"}
    verdict, _ = await judge(lambda asked: admitted(asked, told))
    assert [one.label for one in verdict.findings] == [Label.CUSTOM]
    assert verdict.findings[0].scene == "new"


async def test_audio() -> None:
    verdict, server = await judge(lambda asked: admitted(asked, AUDIO), audio_file())
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.POLITY, 0)
    (finding,) = verdict.findings
    assert finding.segments == (Segment(0.5, 1.0, "words"),)
    assert finding.keywords == ("word",)
    assert verdict.text == "some words"
    fields = server.asked[0].fields
    assert fields["eventId"] == "calls"
    assert fields["btId"] == data_id(file_of("anna/2").info)  # type: ignore[arg-type]


async def test_audio_passes() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, PASS), audio_file())
    assert (verdict.hit, verdict.label, verdict.text) == (False, Label.NORMAL, "hello")


async def test_what_is_no_audio_is_not_sent() -> None:
    with pytest.raises(SliceNotJudged, match="no audio file"):
        await judge(lambda asked: admitted(asked, PASS), file_of("anna/2"))


async def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURE", 1000)
    with pytest.raises(SliceNotJudged, match="1336 bytes; at most 1000"):
        await judge(lambda asked: admitted(asked, PASS))


@pytest.mark.parametrize(
    ("code", "detail", "expected"),
    [
        (1901, 0, SupplierUnavailable),
        (1902, 0, SliceNotJudged),
        (1902, 2002, SliceNotJudged),
        (1902, 2004, SliceNotJudged),
        (1902, 2006, SupplierRefused),
        (1903, 0, SupplierUnavailable),
        (9101, 0, SupplierRefused),
    ],
)
async def test_codes(code: int, detail: int, expected: type[ModerationError]) -> None:
    with pytest.raises(expected, match=str(code)):
        await judge(lambda _: error(code, detail))


async def test_a_type_that_is_none_waits_for_the_operator() -> None:
    with pytest.raises(SupplierRefused, match="1902/2006"):
        await judge(lambda asked: admitted(asked, PASS), types="PORN")


async def test_check() -> None:
    await check()
    with pytest.raises(SupplierRefused, match="9101"):
        await check(replace(SPEC, secret_key="another-key"))
    with pytest.raises(SupplierRefused, match="9101"):
        await check(replace(SPEC, app_id="another"))


@pytest.mark.parametrize(
    ("spec", "chosen", "field"),
    [
        (replace(SPEC, app_id=""), settings(), r"supplier\.app_id"),
        (replace(SPEC, secret_key=""), settings(), r"supplier\.secret_key"),
        (SPEC, replace(settings(), shumei_language="fr"), r"shumei_language: got 'fr'; .* zh, en"),
        (SPEC, replace(settings(), shumei_image_url="ftp://a"), r"moderation\.shumei_image_url"),
        (SPEC, replace(settings(), shumei_audio_url=""), r"moderation\.shumei_audio_url"),
    ],
)
def test_what_is_wrong_is_named(spec: SupplierSpec, chosen: ModerationSettings, field: str) -> None:
    with pytest.raises(BadInput, match=field):
        ShumeiSupplier(spec, chosen)
