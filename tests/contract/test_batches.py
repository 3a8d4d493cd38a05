"""Suppliers that take several pictures in one request: what waits goes together, within what their
pages allow, and each picture has its own verdict."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import Response

from slicer.delivery.delivery import Delivery
from slicer.delivery.judging import Judging, Unjudged
from slicer.errors import (
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
)
from slicer.media.slice import File
from slicer.moderation import BatchSupplier, Suggest, Verdict
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import delivery_of, file_of
from tests.harness.moderation.accounts import CASES, WRONG, Case, Several
from tests.harness.moderation.stage import Stage
from tests.harness.moderation.stand_in import Asked, answer, stand_in

SEVERAL = sorted(name for name, case in CASES.items() if case.several)
LARGE = 900_000
"""Bytes of a picture: of a dozen, Base64 has more than one request may."""


@pytest.fixture(params=SEVERAL)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def several(case: Case) -> Several:
    assert case.several is not None
    return case.several


def pictures(count: int, size: int = 1000) -> list[File]:
    """One of each of so many anchors."""
    files = [file_of(f"{number}/0", size, Kind.VIDEO) for number in range(count)]
    return [replace(file, width=100, height=50) for file in files]


def batch_of(case: Case, url: str, key: str) -> BatchSupplier:
    supplier = case.open(url, key)
    assert isinstance(supplier, BatchSupplier)
    return supplier


def size_of(asked: Asked) -> int:
    """Bytes of what a request is about."""
    if asked.headers["content-type"] == "application/json":
        return len(asked.body)
    return len(asked.body) - 2 * asked.body.count(b"%")  # each stands for two characters more


def test_who_takes_several_is_who_says_so() -> None:
    assert SEVERAL == ["shumei", "yidun"], "docs/moderation.md has the others, and why"
    for name, one in CASES.items():
        opened = one.open("http://127.0.0.1:9", one.key)
        takes = isinstance(opened, BatchSupplier) and bool(opened.batches)
        assert takes is (name in SEVERAL), name


async def test_each_picture_has_its_own_verdict_or_its_own_reason(case: Case) -> None:
    """The answer lists them in another order, calls one odd, and one not at all."""
    known = several(case)
    files = pictures(6)
    hit, odd, missing = files[1], files[3], files[4]
    parts = {known.name(odd): known.odd, known.name(hit): _hit(case), known.name(missing): None}
    async with stand_in(lambda asked: known.admitted(asked, case.passes, parts)) as server:
        supplier = batch_of(case, server.url, case.key)
        said = await supplier.judge_batch(files)
        await supplier.close()
    assert len(server.asked) == 1
    for file, one in zip(files, said, strict=True):
        if file is odd:
            assert isinstance(one, SliceNotJudged)
        elif file is missing:
            assert isinstance(one, SupplierUnavailable), "it is asked for again"
        else:
            assert isinstance(one, Verdict)
            assert (one.suggest is Suggest.BLOCK) is (file is hit)
            assert one.raw.count("riskLabel1") < 9, "its own part of the answer, not all of it"


@pytest.mark.parametrize(
    ("key", "told", "error"),
    [
        (WRONG, None, SupplierRefused),
        ("", answer({}, 503), SupplierUnavailable),
        ("", answer({}, 429, "5"), SupplierUnavailable),
        ("", answer([]), SupplierUnavailable),
    ],
)
async def test_a_request_that_fails_fails_as_one(
    case: Case, key: str, told: Response | None, error: type[ModerationError]
) -> None:
    def answering(asked: Asked) -> Response:
        return told or several(case).admitted(asked, case.passes, {})

    async with stand_in(answering) as server:
        supplier = batch_of(case, server.url, key or case.key)
        with pytest.raises(error) as caught:
            await supplier.judge_batch(pictures(3))
        await supplier.close()
    assert type(caught.value) is error
    assert WRONG not in str(caught.value)


async def test_nonsense_of_several_is_no_verdict_of_any(case: Case) -> None:
    odd: list[Any] = [None, "x", 1, {}, [None, 1], [{}], [{"btId": 1, "antispam": []}]]
    for nonsense in odd:
        told = {"code": 1100 if case.several is several(CASES["shumei"]) else 200}
        told |= {"imgs": nonsense, "result": nonsense}
        async with stand_in(lambda _, told=told: answer(told)) as server:  # type: ignore[misc]
            supplier = batch_of(case, server.url, case.key)
            said = await supplier.judge_batch(pictures(3))
            await supplier.close()
        assert [type(one) for one in said] == [SupplierUnavailable] * 3


async def judged(
    case: Case,
    deliveries: Sequence[tuple[Delivery, File]],
    **changed: float,
) -> tuple[Stage, list[Asked]]:
    """Offer these at once to a supplier that takes a request a second."""

    def answering(asked: Asked) -> Response:
        return several(case).admitted(asked, case.passes, {})

    changed.setdefault("rate", 1.0)
    async with stand_in(answering) as server:
        stage = Stage(None, case.open(server.url, case.key), **changed)
        for delivery, file in deliveries:
            add(stage, delivery, file)
        await stage.advance(60.0)
        await stage.judging.close()
    return stage, server.asked


def add(stage: Stage, delivery: Delivery, file: File, judging: Judging | None = None) -> None:
    async def load() -> File:
        return file

    stage.add_delivery(delivery, load, judging)


def cut(file: File) -> tuple[Delivery, File]:
    return delivery_of(file.info.key, len(file.data), Kind.VIDEO), file


async def test_what_waits_for_the_rate_goes_together(case: Case) -> None:
    """Each once, none mixed up, in few requests; and the first does not wait for the others."""
    stage, asked = await judged(case, [cut(file) for file in pictures(30)])
    assert sorted(stage.keys) == sorted(f"{number}/0" for number in range(30))
    assert all(isinstance(outcome, Verdict) for _, outcome in stage.outcomes)
    assert stage.keys[0] == "0/0"
    assert len(asked) <= 4
    assert stage.judging.counters.together == 29
    assert stage.balanced()


async def test_a_request_has_no_more_than_the_pages_allow(case: Case) -> None:
    """The stand-in refuses more, as the service would; then each would go alone."""
    _, asked = await judged(case, [cut(file) for file in pictures(14, LARGE)])
    sizes = [size_of(one) for one in asked]
    assert max(sizes) <= 10_000_000
    assert max(sizes) > 6 * LARGE * 4 / 3, "several were together"
    assert len(asked) < 5


async def test_one_alone_may_be_larger_than_what_goes_together(case: Case) -> None:
    size = 7_300_000
    stage, asked = await judged(case, [cut(file) for file in pictures(2, size)])
    assert all(isinstance(outcome, Verdict) for _, outcome in stage.outcomes)
    assert len(asked) == 2


async def test_a_part_that_cannot_be_judged_is_told_and_a_part_that_fails_goes_alone(
    case: Case,
) -> None:
    known, files = several(case), pictures(6)
    parts = {known.name(files[2]): known.odd, known.name(files[4]): known.failing}
    before = list[Asked]()

    def answering(asked: Asked) -> Response:
        before.append(asked)  # the third is about the one that failed
        return known.admitted(asked, case.passes, parts if len(before) < 3 else {})

    async with stand_in(answering) as server:
        stage = Stage(remote=case.open(server.url, case.key), rate=1.0)
        for file in files:
            add(stage, *cut(file))
        await stage.advance(60.0)
        await stage.judging.close()
    outcomes = dict(stage.outcomes)
    assert sorted(outcomes) == [f"{number}/0" for number in range(6)]
    assert isinstance(outcomes.pop("2/0"), Unjudged)
    assert all(isinstance(outcome, Verdict) for outcome in outcomes.values())
    assert len(server.asked) == 3, "one alone, five together, and the one that failed again"
    assert stage.judging.counters.failures == 1
    assert stage.judging.counters.together == 3


async def test_two_applications_share_the_account_and_no_request(case: Case) -> None:
    files = pictures(20)

    def answering(asked: Asked) -> Response:
        return several(case).admitted(asked, case.passes, {})

    async with stand_in(answering) as server:
        stage = Stage(remote=case.open(server.url, case.key), rate=1.0)
        applications = stage.judging, stage.of_application()
        for number, file in enumerate(files):
            add(stage, *cut(file), applications[number % 2])
        await stage.advance(60.0)
        await stage.judging.close()
    names = [several(case).name(file) for file in files]
    for asked in server.asked:
        of = {number % 2 for number, name in enumerate(names) if name in asked.body.decode()}
        assert len(of) <= 1
    assert len(stage.outcomes) == 20
    assert 2 <= len(server.asked) <= 6


async def test_who_sets_one_has_each_go_alone(case: Case) -> None:
    stage, asked = await judged(case, [cut(file) for file in pictures(5)], batch=1)
    assert (len(stage.outcomes), len(asked)) == (5, 5)
    assert stage.judging.counters.together == 0


async def test_pictures_of_several_anchors_are_no_one_s_profile() -> None:
    """Shumei keeps a profile of each tokenId, of which a request has one."""
    case = CASES["shumei"]
    tokens = []
    one_anchor = [file_of(f"anna/{number}", 1000, Kind.VIDEO) for number in range(3)]
    async with stand_in(lambda asked: several(case).admitted(asked, case.passes, {})) as server:
        supplier = batch_of(case, server.url, case.key)
        await supplier.judge(one_anchor[0])
        await supplier.judge_batch(one_anchor)
        await supplier.judge_batch(pictures(2))
        await supplier.judge(pictures(2)[0])
        await supplier.close()
        tokens = [asked.fields["data"]["tokenId"] for asked in server.asked]
    assert tokens[0] == tokens[1]
    assert len({*tokens}) == 3


def test_of_an_address_of_another_shape_it_is_not_known_where_several_go() -> None:
    case = CASES["shumei"]
    settings = replace(case.settings("http://a", ""), shumei_image_url="http://a/proxy")
    opened = replace(case, settings=lambda _url, _key: settings).open("http://a", case.key)
    assert isinstance(opened, BatchSupplier)
    assert opened.batches == {}


def _hit(case: Case) -> dict[str, Any]:
    found = case.hits[Kind.VIDEO]
    return {"code": 1100, "requestId": "r", **found} if "riskLevel" in found else found


async def test_a_supplier_is_closed_in_the_middle(case: Case) -> None:
    """What is under way is told nothing; the spool has it for the next start."""
    entered = asyncio.Event()

    def answering(asked: Asked) -> Response:
        entered.set()
        return several(case).admitted(asked, case.passes, {})

    async with stand_in(answering) as server:
        stage = Stage(remote=case.open(server.url, case.key), rate=1.0)
        for file in pictures(4):
            add(stage, *cut(file))
        await entered.wait()
        await stage.judging.close()
    assert len(stage.outcomes) <= 1
    assert stage.judging.waiting >= 3
