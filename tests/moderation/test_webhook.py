"""The operator's own service: the verdict that it gives, its URL and its secret."""

from dataclasses import replace

import pytest

from slicer.errors import BadInput, SliceNotJudged, SupplierRefused, SupplierUnavailable
from slicer.moderation import Box, Label, Segment, Suggest, SupplierSpec, Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.moderation.webhook import MAX_FILE, WebhookSupplier, sign, signing_key
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import file_of
from tests.harness.moderation.stand_in import StandIn, stand_in
from tests.harness.moderation.webhook import BLOCK, PASS, SECRET, admitted

SPEC = SupplierSpec("webhook", audio_type="loud", image_type="bright")


async def judge(
    told: dict[str, object], kind: Kind = Kind.VIDEO, secret: str = SECRET, size: int = 1000
) -> tuple[Verdict, StandIn]:
    async with stand_in(lambda asked: admitted(asked, told)) as server:
        settings = ModerationSettings(webhook_url=f"{server.url}/judge", webhook_secret=secret)
        supplier = WebhookSupplier(SPEC, settings)
        await supplier.check()
        try:
            return await supplier.judge(file_of("anna/1", size, kind)), server
        finally:
            await supplier.close()


@pytest.mark.parametrize(("kind", "policy"), [(Kind.AUDIO, "loud"), (Kind.VIDEO, "bright")])
async def test_a_slice_passes(kind: Kind, policy: str) -> None:
    verdict, server = await judge(PASS, kind)
    assert replace(verdict, raw="") == Verdict(text="hello", request="r1")
    assert verdict.raw.startswith('{"findings"')
    assert server.asked[0].path == "/judge"
    assert server.asked[0].fields["policy"] == policy


async def test_a_finding() -> None:
    verdict, _ = await judge(BLOCK)
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.AD, 92)
    first = verdict.findings[0]
    assert (first.scene, first.keywords) == ("contact", ("call me",))
    assert first.segments == (Segment(1.5, 2.0, "call me"),)
    assert first.boxes == (Box(1, 2, 30, 40),)


async def test_a_wrong_secret_is_refused() -> None:
    with pytest.raises(SupplierRefused, match="401") as caught:
        await judge(PASS, secret="wrong")
    assert "wrong" not in str(caught.value)


async def test_a_large_slice_is_not_sent() -> None:
    with pytest.raises(SliceNotJudged, match="at most"):
        await judge(PASS, size=MAX_FILE + 1)


@pytest.mark.parametrize(
    "told",
    [
        {"findings": None},
        {"other": 1},
        {"findings": [{"label": "Odd", "suggest": "block"}]},
        {"findings": [{"label": "Ad", "suggest": "kill"}]},
        {"findings": [{"label": "Ad", "suggest": 1}]},
        {"findings": [{"label": "Ad", "suggest": "block", "score": 101}]},
        {"findings": [{"label": "Ad", "suggest": "block", "keywords": [1]}]},
        {"findings": [{"label": "Ad", "suggest": "block", "segments": [{"begin": 1e999}]}]},
        {"findings": [{"label": "Ad", "suggest": "block", "segments": [{"begin": -1, "end": 2}]}]},
        {"findings": [{"label": "Ad", "suggest": "block", "boxes": [{"x": 1}]}]},
        {"findings": [1]},
        {"findings": [], "text": 1},
    ],
)
async def test_what_is_no_verdict(told: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonschema.validate", lambda *_: None)
    with pytest.raises(SupplierUnavailable, match=r"no verdict|200"):
        await judge(told)


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "http://", "http://user:key@host/", "http://a\nb"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(BadInput, match=r"moderation\.webhook_url") as caught:
        WebhookSupplier(SPEC, ModerationSettings(webhook_url=url))
    assert "key" not in str(caught.value)


def test_a_secret() -> None:
    with pytest.raises(BadInput, match=r"moderation\.webhook_secret"):
        signing_key("whsec_§")
    assert signing_key("plain") == b"plain"


def test_the_known_answer() -> None:
    """Standard Webhooks' own: the libraries' tests have it."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
