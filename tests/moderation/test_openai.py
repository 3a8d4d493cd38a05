"""OpenAI: verdicts of pictures, documented errors, what is refused before sending."""

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
from slicer.moderation import openai as module
from slicer.moderation.openai import OpenAiSupplier
from slicer.moderation.settings import ModerationSettings
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation.accounts import PICTURE_FILE, checked, judged
from tests.harness.moderation.openai import KEY, PASS, PICTURE, admitted, error, result
from tests.harness.moderation.stand_in import Answering, answer

SPEC = SupplierSpec("openai", secret_key=KEY)


async def judge(
    answering: Answering, file: File = PICTURE_FILE, model: str = "omni-moderation-latest"
) -> Verdict:
    verdict, _ = await judged(
        answering,
        SPEC,
        lambda url: ModerationSettings(openai_endpoint=f"{url}/v1/", openai_model=model),
        file,
    )
    return verdict


async def check(key: str) -> None:
    await checked(
        lambda asked: admitted(asked, PASS),
        replace(SPEC, secret_key=key),
        lambda url: ModerationSettings(openai_endpoint=f"{url}/v1"),
    )


async def test_a_picture_passes() -> None:
    verdict = await judge(lambda asked: admitted(asked, PASS))
    assert replace(verdict, raw="") == Verdict(request="modr-1")


async def test_a_picture_is_hit() -> None:
    verdict = await judge(lambda asked: admitted(asked, PICTURE))
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 93)
    found = {one.scene: (one.label, one.suggest, one.score) for one in verdict.findings}
    assert found["self-harm"] == (Label.CUSTOM, Suggest.REVIEW, 40)


async def test_what_contradicts_itself_is_no_verdict() -> None:
    told = result({}) | {"flagged": True}
    with pytest.raises(SupplierUnavailable, match="no verdict"):
        await judge(lambda asked: admitted(asked, told))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (error(400, "invalid_image_format"), SliceNotJudged),
        (error(401, "invalid_api_key"), SupplierRefused),
        (error(403, "unsupported_country_region_territory"), SupplierRefused),
        (error(429, "rate_limit_exceeded", "2"), SupplierUnavailable),
        (error(429, "insufficient_quota"), SupplierRefused),
        (answer([], 429), SupplierUnavailable),
        (error(500, "server_error"), SupplierUnavailable),
    ],
)
async def test_errors(response: Response, expected: type[ModerationError]) -> None:
    with pytest.raises(expected):
        await judge(lambda _: response)


async def test_a_model_that_is_none_waits_for_the_operator() -> None:
    with pytest.raises(SupplierRefused, match="model_not_found"):
        await judge(lambda asked: admitted(asked, PASS), model="other")


async def test_what_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SliceNotJudged, match="audio"):
        await judge(lambda asked: admitted(asked, PASS), file_of("anna/2"))
    monkeypatch.setattr(module, "MAX_PICTURE", 999)
    with pytest.raises(SliceNotJudged, match="1000 bytes; at most 999"):
        await judge(lambda asked: admitted(asked, PASS))


async def test_check() -> None:
    await check(KEY)
    with pytest.raises(SupplierRefused) as caught:
        await check("sk-another-key")
    assert "another" not in str(caught.value)
    assert "Incorrect API key provided: ***" in str(caught.value)


@pytest.mark.parametrize("key", ["", "sk-1\n", "sk 1", "sk-ключ"])
def test_a_key_that_is_none_is_not_shown(key: str) -> None:
    with pytest.raises(BadInput, match=r"supplier\.secret_key: .*visible ASCII") as caught:
        OpenAiSupplier(replace(SPEC, secret_key=key), ModerationSettings())
    assert not key or key not in str(caught.value)


def test_an_endpoint_that_is_none() -> None:
    with pytest.raises(BadInput, match=r"moderation\.openai_endpoint"):
        OpenAiSupplier(SPEC, ModerationSettings(openai_endpoint="api.openai.com"))
