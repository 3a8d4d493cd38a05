"""`/metrics` on a server of its own: read anew at each look, and nothing else is behind it."""

import httpx
import pytest

from slicer.engine.sample import Sample
from slicer.errors import BadInput
from slicer.metrics.endpoint import open_metrics

TEXTS = {"looks_total": "times that somebody looked"}


async def test_it_reads_at_each_look() -> None:
    looks = 0

    async def source() -> list[Sample]:
        nonlocal looks
        looks += 1
        return [Sample("looks_total", looks)]

    server = open_metrics("127.0.0.1:0", source, TEXTS)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", trust_env=False
    ) as client:
        for number in (1, 2):
            answer = await client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=")
            assert f"\nslicer_looks_total {number}.0\n" in answer.text
        beside = await client.get("/metrics/", headers={"Host": "evil.example"})
        assert (beside.status_code, beside.headers.get("location")) == (404, None)
        openmetrics = await client.get(
            "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert openmetrics.text.endswith("# EOF\n")
        assert (await client.post("/metrics")).status_code == 405
        assert (await client.get("/")).status_code == 404
    await server.close()


async def test_an_address_that_cannot_be() -> None:
    async def nothing() -> list[Sample]:
        return []

    other = open_metrics("127.0.0.1:0", nothing, TEXTS)
    with pytest.raises(BadInput, match=r"--metrics: got .*Address already in use"):
        open_metrics(f"127.0.0.1:{other.port}", nothing, TEXTS, "--metrics")
    await other.close()
