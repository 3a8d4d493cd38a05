"""NetEase Yidun: signatures, verdicts of pictures and audio, documented codes, bounds."""

import hashlib
import json
from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from slicer.moderation import yidun as module
from slicer.moderation.settings import ModerationSettings
from slicer.moderation.yidun import YidunSupplier, form, sign
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation.accounts import PICTURE_FILE, audio_file, checked, judged
from tests.harness.moderation.stand_in import Answering, Asked, StandIn, answer, stand_in
from tests.harness.moderation.yidun import (
    AUDIO,
    AUDIOS,
    FAILED,
    ID,
    IMAGES,
    KEY,
    MESSAGES,
    PASS,
    PICTURE,
    admitted,
    error,
    failed,
)

SPEC = SupplierSpec("yidun", "", ID, KEY, AUDIOS, IMAGES)
SM3 = "sm3" in hashlib.algorithms_available


async def judge(
    answering: Answering, file: File = PICTURE_FILE, method: str = "MD5"
) -> tuple[Verdict, StandIn]:
    return await judged(
        answering,
        SPEC,
        lambda url: ModerationSettings(yidun_endpoint=f"{url}/", yidun_signature=method),
        file,
    )


async def check(spec: SupplierSpec = SPEC) -> StandIn:
    return await checked(
        lambda asked: admitted(asked, PASS),
        spec,
        lambda url: ModerationSettings(yidun_endpoint=url),
    )


def test_signatures_are_those_of_the_documentation() -> None:
    """The example of its page on signatures, with the parameter that names the digest."""
    key, given = "6308afb129ea00301bd7c79621d07591", {"foo": "1", "bar": "2", "baz": "4"}
    text = f"bar2baz4foo1signatureMethodMD5{key}"
    signed = sign(key, {**given, "signatureMethod": "MD5"})
    assert signed == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.skipif(not SM3, reason="OpenSSL has no SM3 here")
def test_sm3_is_the_standards() -> None:
    """GB/T 32905-2016, A.1: the digest of "abc"."""
    assert hashlib.new("sm3", b"abc").hexdigest() == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )


@pytest.mark.parametrize("method", ["MD5", "sm3"] if SM3 else ["MD5"])
async def test_a_picture_passes(method: str) -> None:
    verdict, server = await judge(lambda asked: admitted(asked, PASS), method=method)
    assert replace(verdict, raw="") == Verdict(request="t")
    fields = parse_qs(server.asked[0].body.decode())
    assert fields["signatureMethod"] == [method.upper()]
    assert KEY not in server.asked[0].body.decode()


async def test_a_picture_is_hit() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, PICTURE))
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 98)
    assert verdict.text == "call me"
    porn, ad = verdict.findings
    assert porn.boxes == (Box(10, 10, 40, 20),)
    assert (porn.scene, porn.description) == ("100", "色情-性行为")
    assert (ad.label, ad.suggest, ad.keywords) == (Label.AD, Suggest.REVIEW, ("call",))


async def test_pictures_together_have_a_verdict_or_a_reason_each() -> None:
    files = [replace(file_of(f"{n}/0", 1000, Kind.VIDEO), width=100, height=50) for n in range(3)]

    def answered(asked: Asked) -> Response:
        images = json.loads(dict(parse_qsl(asked.body.decode()))["images"])
        names = [str(one["dataId"]) for one in images]
        return admitted(asked, PASS, {names[1]: FAILED, names[2]: None})

    async with stand_in(answered) as server:
        supplier = YidunSupplier(SPEC, ModerationSettings(yidun_endpoint=server.url))
        passed, failing, missing = await supplier.judge_batch(files)
        await supplier.close()
    assert len(server.asked) == 1
    assert isinstance(passed, Verdict)
    assert passed.suggest is Suggest.PASS
    assert isinstance(failing, SliceNotJudged)
    assert isinstance(missing, ModerationError)


async def test_audio() -> None:
    verdict, _ = await judge(lambda asked: admitted(asked, AUDIO), audio_file())
    assert (verdict.suggest, verdict.label, verdict.text) == (Suggest.BLOCK, Label.ABUSE, "words")
    (finding,) = verdict.findings
    assert finding.segments == (Segment(0, 1, "words"),)
    assert finding.keywords == ("word",)


async def test_what_is_no_audio_or_too_long_is_not_sent() -> None:
    file = audio_file()
    assert isinstance(file.info, SliceInfo)
    long = replace(file, info=replace(file.info, seconds=61.0))
    for odd, reason in ((file_of("anna/2"), "no audio file"), (long, "61 s; at most 60")):
        with pytest.raises(SliceNotJudged, match=reason):
            await judge(lambda asked: admitted(asked, PASS), odd)


async def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REQUEST", 1000)
    with pytest.raises(SliceNotJudged, match="bytes; at most 1000"):
        await judge(lambda asked: admitted(asked, PASS))


CODES: dict[int, type[ModerationError]] = {
    400: SupplierRefused,
    401: SupplierRefused,
    405: SliceNotJudged,
    410: SupplierRefused,
    411: SupplierUnavailable,
    420: SupplierUnavailable,
    503: SupplierUnavailable,
}


@pytest.mark.parametrize("code", CODES)
async def test_codes(code: int) -> None:
    with pytest.raises(CODES[code], match=f"{code}: '{MESSAGES[code]}'"):
        await judge(lambda _: error(code))


@pytest.mark.parametrize("code", [None, "411", [1], {"a": 1}, 2**80])
async def test_a_code_that_is_none(code: object) -> None:
    with pytest.raises(SupplierUnavailable):
        await judge(lambda _: answer({"code": code}))


@pytest.mark.parametrize("result", [None, [], [1], [{}], [{}, {}], [{"antispam": 1}], {"a": 1}])
async def test_an_answer_without_a_result(result: object) -> None:
    with pytest.raises(SupplierUnavailable, match=r"no result\.antispam"):
        await judge(lambda _: answer({"code": 200, "result": result}))


async def test_a_picture_that_failed() -> None:
    with pytest.raises(SliceNotJudged, match="failureReason 620"):
        await judge(lambda _: failed(620))


async def test_check() -> None:
    server = await check()
    assert sorted(asked.path for asked in server.asked) == [
        "/v2/audio/check",
        "/v5/image/base64Check",
    ]
    with pytest.raises(SupplierRefused, match="410"):
        await check(replace(SPEC, secret_key="another-key"))
    with pytest.raises(SupplierRefused, match="401"):
        await check(replace(SPEC, image_type="another"))


def test_kinds_are_those_with_a_business() -> None:
    assert YidunSupplier(replace(SPEC, audio_type=""), ModerationSettings()).kinds == {Kind.VIDEO}
    assert YidunSupplier(replace(SPEC, image_type=""), ModerationSettings()).kinds == {Kind.AUDIO}


@pytest.mark.parametrize(
    ("spec", "settings", "field"),
    [
        (replace(SPEC, secret_id=""), {}, r"supplier\.secret_id"),
        (replace(SPEC, secret_key=""), {}, r"supplier\.secret_key: got ''"),
        (replace(SPEC, audio_type="", image_type=""), {}, r"supplier\.image_type"),
        (SPEC, {"yidun_endpoint": "as.dun.163.com"}, r"moderation\.yidun_endpoint"),
        (SPEC, {"yidun_signature": "SHA1"}, r"yidun_signature: got 'SHA1'; allowed: MD5 or SM3"),
    ],
)
def test_what_is_wrong_is_named(spec: SupplierSpec, settings: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput, match=field):
        YidunSupplier(spec, replace(ModerationSettings(), **settings))  # type: ignore[arg-type]


def test_sm3_that_openssl_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "algorithms_available", {"md5"})
    with pytest.raises(BadInput, match="yidun_signature: got 'SM3'; allowed: MD5: OpenSSL has no"):
        YidunSupplier(SPEC, ModerationSettings(yidun_signature="sm3"))


@settings(max_examples=50)
@given(st.dictionaries(st.text("a%+=\u00e9", max_size=2), st.text('aZ9 %+/=&-_.~"\n\0\u00e9')))
def test_a_form_is_what_urlencode_gives(parameters: dict[str, str]) -> None:
    assert form(parameters) == urlencode(parameters).encode()
