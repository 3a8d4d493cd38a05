"""One POST: what each status means, and answers that are none."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response, StreamingResponse

from slicer.errors import (
    BadInput,
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
)
from slicer.moderation import Box, Finding, Label, Segment, Suggest, Verdict
from slicer.moderation.client import (
    MAX_ANSWER,
    MAX_FINDINGS,
    MAX_REASON,
    MAX_TEXT,
    MAX_WORDS,
    SupplierClient,
    endpoint,
)
from slicer.moderation.settings import ModerationSettings
from tests.harness.moderation.stand_in import answer, stand_in


async def ask(response: Response) -> object:
    async with stand_in(lambda _: response) as server:
        client = SupplierClient("acme", ModerationSettings())
        try:
            return client.body_of(await client.post(server.url, b"{}", {}))
        finally:
            await client.close()


async def test_an_object_is_the_answer() -> None:
    assert await ask(answer({"a": 1})) == {"a": 1}


@pytest.mark.parametrize(
    ("response", "expected", "pause"),
    [
        (answer({}, 401), SupplierRefused, None),
        (answer({}, 404), SupplierRefused, None),
        (answer({}, 413), SliceNotJudged, None),
        (answer({}, 429, "7"), SupplierUnavailable, 7.0),
        (answer({}, 429, "soon"), SupplierUnavailable, None),
        (answer({}, 500), SupplierUnavailable, None),
        (Response("", 302, {"Location": "/other"}), SupplierUnavailable, None),
        (Response("nonsense"), SupplierUnavailable, None),
        (Response('{"a": NaN}'), SupplierUnavailable, None),
        (Response('{"a": 1e999}'), SupplierUnavailable, None),
        (Response("[1]"), SupplierUnavailable, None),
        (Response("[" * 100_000), SupplierUnavailable, None),
        (Response(b" " * (MAX_ANSWER + 1)), SupplierUnavailable, None),
    ],
)
async def test_what_a_status_means(
    response: Response, expected: type[ModerationError], pause: float | None
) -> None:
    with pytest.raises(expected) as caught:
        await ask(response)
    assert caught.value.supplier == "acme"
    assert caught.value.retry_after == pause


async def test_an_answer_that_drips_ends_with_the_request() -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async with stand_in(lambda _: StreamingResponse(drip())) as server:
        client = SupplierClient("acme", ModerationSettings(timeout=0.5))
        with pytest.raises(SupplierUnavailable, match="no answer in time"):
            await client.post(server.url, b"{}", {})
        await client.close()


async def test_an_answer_that_is_packed_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"a": "' + b" " * 50_000_000 + b'"}')
    async with stand_in(lambda _: Response(packed, headers={"Content-Encoding": "gzip"})) as server:
        client = SupplierClient("acme", ModerationSettings())
        found = await client.post(server.url, b"{}", {})
        assert server.asked[0].headers["accept-encoding"] == "identity"
        assert (found.body, len(found.raw) <= len(packed)) == ({}, True)
        await client.close()


async def test_nobody_there() -> None:
    async with stand_in(lambda _: answer({})) as server:
        pass
    client = SupplierClient("acme", ModerationSettings())
    with pytest.raises(SupplierUnavailable, match="ConnectError"):
        await client.post(server.url, b"", {})
    await client.close()


SECRET = 'a "secret" key'


async def test_a_secret_that_is_repeated_is_hidden() -> None:
    """As it is, and as JSON writes it."""
    told = answer({"said": f"wrong key: {SECRET}"})
    async with stand_in(lambda _: told) as server:
        client = SupplierClient("acme", ModerationSettings(), SECRET)
        found = await client.post(server.url, b"", {})
        await client.close()
    assert found.body == {"said": "wrong key: ***"}
    assert "secret" not in found.raw


async def test_a_secret_that_is_no_header_is_hidden() -> None:
    """HTTP libraries say which value they refuse."""
    headers = {"Authorization": "Bearer sample\nkey"}
    async with stand_in(lambda _: answer({})) as server:
        client = SupplierClient("acme", ModerationSettings(), "sample\nkey")
        with pytest.raises(SupplierUnavailable) as caught:
            await client.post(server.url, b"", headers)
        await client.close()
    assert "sample" not in str(caught.value)
    assert "***" in str(caught.value)


async def test_an_answer_that_is_no_verdict_is_not_told_whole() -> None:
    client = SupplierClient("acme", ModerationSettings())

    def read(_: object) -> Verdict:
        raise KeyError("x" * 100_000)

    with pytest.raises(SupplierUnavailable, match=r"no verdict: .KeyError") as caught:
        client.verdict(read, {}, "")
    await client.close()
    assert len(str(caught.value)) < 2 * MAX_REASON


async def test_a_verdict_has_bounds() -> None:
    """A short answer may list any number of things, each of which is told in many words."""
    client = SupplierClient("acme", ModerationSettings())
    mild = Finding(Label.AD, Suggest.REVIEW, 1)
    long = Finding(
        Label.PORN,
        Suggest.BLOCK,
        99,
        "s" * 10_000,
        ("k" * 10_000,) * 500,
        "d" * 10_000,
        (Segment(0.0, 1.0, "t" * 10_000),) * 500,
        (Box(0, 0, 1, 1),) * 500,
    )
    verdict = Verdict.of((*[mild] * 50_000, long), "x" * 100_000, "r" * 1_000)
    bounded = client.verdict(lambda _: verdict, {}, "raw")
    few = Verdict.of((mild, long))
    assert client.verdict(lambda _: few, {}, "").findings[0] == mild, "their order is the answer's"
    await client.close()
    assert len(bounded.findings) == MAX_FINDINGS
    worst = bounded.findings[0]
    assert (bounded.suggest, bounded.label, worst.score) == (Suggest.BLOCK, Label.PORN, 99)
    assert (len(worst.keywords), len(worst.segments), len(worst.boxes)) == (MAX_FINDINGS,) * 3
    assert len(bounded.text) == MAX_TEXT
    told = [worst.scene, worst.keywords[0], worst.description, worst.segments[0].text]
    assert {len(one) for one in told} == {MAX_WORDS}


@pytest.mark.parametrize("url", ["", "a", "ftp://a", "http://", "http://u:pass@a", "http://a:x"])
def test_a_setting_that_is_no_url(url: str) -> None:
    with pytest.raises(BadInput, match=r"moderation\.acme_url: .* an http or https URL") as caught:
        endpoint("acme_url", url)
    assert "pass" not in str(caught.value)


def test_a_setting_that_is_a_url() -> None:
    assert endpoint("acme_url", "https://a:8443/b") == "https://a:8443/b"
