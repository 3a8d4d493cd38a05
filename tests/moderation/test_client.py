"""One POST: what each status means, and answers that are none."""

import pytest
from starlette.responses import Response

from slicer.errors import ModerationError, SliceNotJudged, SupplierRefused, SupplierUnavailable
from slicer.moderation.client import MAX_ANSWER, SupplierClient
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


async def test_nobody_there() -> None:
    async with stand_in(lambda _: answer({})) as server:
        pass
    client = SupplierClient("acme", ModerationSettings())
    with pytest.raises(SupplierUnavailable, match="ConnectError"):
        await client.post(server.url, b"", {})
    await client.close()
