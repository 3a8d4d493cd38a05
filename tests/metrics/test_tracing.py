"""Spans through the real exporter, to a receiver that decodes OTLP."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from slicer.engine.sample import Sample
from slicer.engine.stages import Stage
from slicer.errors import BadInput
from slicer.http import Server, resource
from slicer.metrics import tracing
from slicer.metrics.settings import TracingSettings
from slicer.metrics.tracing import MAX_TEXT, SliceTracer
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import info_of


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Its URL, and what it was sent."""
    taken = list[ExportTraceServiceRequest]()

    async def traces(request: Request) -> Response:
        assert request.headers["content-type"] == "application/x-protobuf"
        taken.append(ExportTraceServiceRequest.FromString(await request.body()))
        return Response(b"", headers={"content-type": "application/x-protobuf"})

    server = Server("127.0.0.1", 0, Starlette(routes=[resource("/v1/traces", {"POST": traces})]))
    yield f"http://127.0.0.1:{server.port}/v1/traces", taken
    await server.close()


def walk(tracer: SliceTracer, key: str, *stages: Stage) -> None:
    """A slice that comes to a stage each second."""
    for number, stage in enumerate(stages):
        tracer.observe(info_of(key), stage, EPOCH + timedelta(seconds=number))


def spans_of(taken: list[ExportTraceServiceRequest]) -> dict[str, Span]:
    """By the key of their slices."""
    found = [
        span
        for request in taken
        for resource_spans in request.resource_spans
        for scope in resource_spans.scope_spans
        for span in scope.spans
    ]
    return {str(attributes(span)["slicer.key"]): span for span in found}


def attributes(span: Span) -> dict[str, object]:
    values = {one.key: one.value for one in span.attributes}
    return {key: getattr(value, value.WhichOneof("value") or "") for key, value in values.items()}


async def test_a_span_from_the_cut_until_it_is_told() -> None:
    async with collector() as (url, taken):
        tracer = SliceTracer(TracingSettings(url), "1.2")
        walk(tracer, "ada/1.ogg", Stage.CUT, Stage.MADE, Stage.JUDGED, Stage.STORED, Stage.TOLD)
        walk(tracer, "bo/2.ogg", Stage.CUT, Stage.LOST)
        walk(tracer, "still/3.ogg", Stage.CUT, Stage.MADE)
        walk(tracer, "earlier/4.ogg", Stage.STORED, Stage.TOLD)
        await asyncio.to_thread(tracer.close)
    spans = spans_of(taken)
    assert spans.keys() == {"ada/1.ogg", "bo/2.ogg"}
    told, second = spans["ada/1.ogg"], 1_000_000_000
    began = int(EPOCH.timestamp()) * second
    assert (told.name, told.start_time_unix_nano) == ("slice", began)
    assert told.end_time_unix_nano == began + 4 * second
    assert [(one.name, (one.time_unix_nano - began) // second) for one in told.events] == [
        ("made", 1),
        ("judged", 2),
        ("stored", 3),
        ("told", 4),
    ]
    assert attributes(told) == {
        "slicer.task": "task",
        "slicer.anchor": "ada",
        "slicer.kind": "audio",
        "slicer.key": "ada/1.ogg",
        "slicer.began": EPOCH.isoformat(),
        "slicer.seconds": 15.0,
        "slicer.outcome": "told",
    }
    lost = spans["bo/2.ogg"]
    assert lost.status.code == lost.status.STATUS_CODE_ERROR
    (service,) = [
        one.value.string_value
        for one in taken[0].resource_spans[0].resource.attributes
        if one.key == "service.name"
    ]
    assert service == "rtc-slicer"


async def test_what_comes_from_outside_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MAX_OPEN", 2)
    async with collector() as (url, taken):
        tracer = SliceTracer(TracingSettings(url), "1.2")
        long = "x" * 1000 + "/1.ogg"
        for key in (long, "bo/1", "eve/1"):
            walk(tracer, key, Stage.CUT)
        assert list(tracer.samples()) == [Sample("slices_untraced_total", 1)]
        for key in (long, "bo/1", "eve/1"):
            tracer.observe(info_of(key), Stage.KEPT, EPOCH)
        await asyncio.to_thread(tracer.close)
    assert spans_of(taken).keys() == {long[:MAX_TEXT], "bo/1"}


async def test_a_part_of_the_slices() -> None:
    async with collector() as (url, taken):
        tracer = SliceTracer(TracingSettings(url, ratio=0.0), "1.2")
        walk(tracer, "ada/1.ogg", Stage.CUT, Stage.STORED, Stage.TOLD)
        await asyncio.to_thread(tracer.close)
    assert taken == []


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadInput, match=r"tracing\.endpoint: .*pip install 'rtc-slicer\[otel\]'"):
        SliceTracer(TracingSettings("http://127.0.0.1:1/v1/traces"), "1.2")
