"""What every remote supplier must do, held against each one before its stand-in."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.responses import Response, StreamingResponse

from slicer.errors import ModerationError, SliceNotJudged, SupplierRefused, SupplierUnavailable
from slicer.media.slice import File
from slicer.moderation import SUPPLIERS, Suggest, Verdict, installed
from slicer.moderation import aliyun as aliyun_module
from slicer.moderation import openai as openai_module
from slicer.moderation import rekognition as rekognition_module
from slicer.moderation import shumei as shumei_module
from slicer.moderation import tencent as tencent_module
from slicer.moderation import webhook as webhook_module
from slicer.moderation import yidun as yidun_module
from slicer.moderation.client import NO_VERDICT
from slicer.rtp.parameters import Kind
from slicer.service.results import payload
from tests.harness.delivery.spooling import info_of
from tests.harness.moderation import aliyun, openai, rekognition, shumei, tencent, webhook, yidun
from tests.harness.moderation.accounts import CASES, PICTURE_FILE, WRONG, Case, audio_file
from tests.harness.moderation.stand_in import Asked, answer, stand_in

REMOTE = sorted(CASES)


def file_for(kind: Kind) -> File:
    return PICTURE_FILE if kind is Kind.VIDEO else audio_file()


@pytest.fixture(params=REMOTE)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_cases_are_of_the_table() -> None:
    assert CASES.keys() <= SUPPLIERS.keys()
    assert all(installed(name) for name in CASES)


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in REMOTE for kind in CASES[name].hits]
)
async def test_verdicts(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliyun_module, "POLL_SECONDS", 0.0)
    case = CASES[name]
    told = [case.passes]
    async with stand_in(lambda asked: case.admitted(asked, told[-1])) as server:
        supplier = case.open(server.url, case.key)
        assert supplier.kinds == case.hits.keys()
        passed = await supplier.judge(file_for(kind))
        told.append(case.hits[kind])
        hit = await supplier.judge(file_for(kind))
        await supplier.close()
    assert not passed.hit
    assert hit.suggest is Suggest.BLOCK
    assert hit.findings
    assert passed.request
    assert hit.request
    assert passed.raw
    assert case.key not in supplier.label


async def test_a_wrong_key_is_refused(case: Case) -> None:
    async with stand_in(lambda asked: case.admitted(asked, case.passes)) as server:
        supplier = case.open(server.url, WRONG)
        with pytest.raises(SupplierRefused) as caught:
            await supplier.judge(file_for(Kind.VIDEO))
        await supplier.close()
    assert WRONG not in str(caught.value)


@pytest.mark.parametrize("name", sorted({*REMOTE} - {"webhook"}))
async def test_a_wrong_key_is_refused_before_the_first_slice(name: str) -> None:
    """The operator's own service may have no answer without one."""
    case = CASES[name]
    async with stand_in(lambda asked: case.admitted(asked, case.passes)) as server:
        supplier = case.open(server.url, WRONG)
        with pytest.raises(SupplierRefused):
            await supplier.check()
        await supplier.close()
        supplier = case.open(server.url, case.key)
        await supplier.check()
        await supplier.close()


async def test_no_log_has_a_key(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at its most talkative, of verdicts, refusals and answers that repeat it."""
    caplog.set_level(logging.DEBUG)
    said: list[Callable[[Asked], Response]] = [
        lambda asked: case.admitted(asked, case.passes),
        lambda asked: answer({"message": f"{asked.headers} {asked.body.decode()}"}, 500),
    ]
    for key in (case.key, WRONG):
        for say in said:
            async with stand_in(say) as server:
                supplier = case.open(server.url, key)
                with contextlib.suppress(ModerationError):
                    await supplier.judge(file_for(Kind.VIDEO))
                await supplier.close()
    told = "".join(f"{one.getMessage()} {one.__dict__}" for one in caplog.records)
    assert "httpcore" in told
    hidden = (case.key, WRONG, aliyun.SECRET, aliyun.TOKEN, quote(aliyun.TOKEN, safe=""))
    assert not [one for one in (*hidden, "x-oss-signature=") if one in told]


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_no_key_is_repeated(case: Case, status: int) -> None:
    """Whoever answers repeats the request, as a proxy that explains itself would."""

    def repeat(asked: Asked) -> Response:
        said = f"{asked.headers} {asked.body.decode()}"
        return answer({"code": 1, "message": said, "msg": said, "error": {"message": said}}, status)

    async with stand_in(repeat) as server:
        supplier = case.open(server.url, WRONG)
        with pytest.raises(ModerationError) as caught:
            await supplier.judge(file_for(Kind.VIDEO))
        await supplier.close()
    assert WRONG not in f"{caught.value}{caught.value!r}{supplier!r}{supplier.label}"
    assert len(str(caught.value)) < 500


async def test_a_pause_is_asked_for(case: Case) -> None:
    async with stand_in(lambda _: answer({}, 429, "5")) as server:
        supplier = case.open(server.url, case.key)
        with pytest.raises(SupplierUnavailable) as caught:
            await supplier.judge(file_for(Kind.VIDEO))
        await supplier.close()
    assert caught.value.retry_after == 5.0


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"Response": 1, "findings": 1, "code": 1100}']
)
async def test_nonsense(case: Case, body: bytes) -> None:
    async with stand_in(lambda _: Response(body)) as server:
        supplier = case.open(server.url, case.key)
        with pytest.raises(SupplierUnavailable):
            await supplier.judge(file_for(Kind.VIDEO))
        await supplier.close()


async def test_an_answer_that_drips_ends_with_the_request(case: Case) -> None:
    """Each part comes in time, and the whole never would."""

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async with stand_in(lambda _: StreamingResponse(drip())) as server:
        supplier = case.open(server.url, case.key, timeout=0.3)
        with pytest.raises(SupplierUnavailable, match="in time"):
            await supplier.judge(file_for(Kind.VIDEO))
        await supplier.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_followed_to_another_address(case: Case, status: int) -> None:
    """Such as that of a cloud's metadata, or a service of the house."""
    async with stand_in(lambda _: answer({})) as house:
        away = Response(status_code=status, headers={"Location": f"{house.url}/latest/meta-data"})
        async with stand_in(lambda _: away) as server:
            supplier = case.open(server.url, case.key)
            with pytest.raises(SupplierUnavailable):
                await supplier.judge(file_for(Kind.VIDEO))
            await supplier.close()
        assert house.asked == []


async def test_an_odd_picture_is_not_judged(case: Case) -> None:
    async with stand_in(lambda _: case.odd) as server:
        supplier = case.open(server.url, case.key)
        with pytest.raises(SliceNotJudged):
            await supplier.judge(file_for(Kind.VIDEO))
        await supplier.close()


ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    "\ud800",
    -1,
    10**400,
    -1e300,
    True,
    [],
    [None],
    {},
    {"x": 1},
    [[1] * 4],
)


def bent(value: object) -> Iterator[object]:
    """Copies of *value*, each with one of its parts odd."""
    yield from ODD
    if isinstance(value, dict):
        for name, part in value.items():
            yield from ({**value, name: odd} for odd in bent(part))
            yield {other: value[other] for other in value if other != name}
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from ([*value[:index], odd, *value[index + 1 :]] for odd in bent(part))


READ: list[tuple[Callable[[Any], Verdict], object]] = [
    (tencent_module.verdict_of, tencent.PICTURE),
    (tencent_module.verdict_of, tencent.AUDIO),
    (shumei_module.picture_verdict, shumei.PICTURE),
    (shumei_module.audio_verdict, shumei.AUDIO),
    (lambda body: yidun_module.verdict_of(body, (100, 50)), yidun.PICTURE),
    (yidun_module.verdict_of, yidun.AUDIO),
    (aliyun_module.verdict_of, {"RequestId": "1", "Data": aliyun.PICTURE}),
    (aliyun_module.audio_verdict_of, {"RequestId": "1", "Data": aliyun.AUDIO}),
    (lambda body: rekognition_module.verdict_of(body, 80), rekognition.PICTURE),
    (lambda body: openai_module.verdict_of(body, 0.8), {"id": "1", "results": [openai.PICTURE]}),
    (webhook_module.verdict_of, webhook.BLOCK),
]


@pytest.mark.parametrize(("read", "told"), READ)
def test_an_answer_that_is_bent_is_a_verdict_that_can_be_told_or_none(
    read: Callable[[Any], Verdict], told: object
) -> None:
    verdicts = 0
    for body in bent(told):
        try:
            verdict = read(body)
        except NO_VERDICT:
            continue
        verdicts += 1
        assert 0 <= verdict.score <= 100
        json.dumps(payload(info_of("anna/1"), verdict, 1, True, False), allow_nan=False)
    assert verdicts


async def test_nobody_there(case: Case) -> None:
    async with stand_in(lambda _: answer({})) as server:
        pass
    supplier = case.open(server.url, case.key)
    with pytest.raises(SupplierUnavailable):
        await supplier.judge(file_for(Kind.VIDEO))
    await supplier.close()
