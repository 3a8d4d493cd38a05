"""A span of each slice, sent by OTLP over HTTP (the extra `otel`).

The span `slice` runs from the cut until the slice is told of, lost, judged and not kept, or left in
the spool; each stage between is an event of it, with its time. So a slice costs one span.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from slicer.engine.sample import Sample
from slicer.engine.stages import Stage
from slicer.errors import BadInput
from slicer.media.slice import SliceInfo
from slicer.metrics.settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MAX_OPEN = 10_000
"""Spans at once that have not ended; the slices of more are not traced, and counted."""
MAX_TEXT = 256
"""Characters of an attribute: ids come from outside."""
ENDS = frozenset({Stage.TOLD, Stage.UNKEPT, Stage.KEPT, Stage.LOST})
"""Stages that end a slice's way."""

METRICS: Mapping[str, str] = {
    "slices_untraced_total": "slices without a span, for too many are open (MAX_OPEN)",
}


class SliceTracer:
    """Spans until it is closed; `observe` is what an Engine takes."""

    def __init__(self, settings: TracingSettings, version: str) -> None:
        """Raises BadInput where the extra is not installed. Nothing is connected to yet."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415
        except ImportError:
            allowed = "a URL where OpenTelemetry is installed: pip install 'rtc-slicer[otel]'"
            raise BadInput("tracing.endpoint", "a URL", allowed) from None
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "rtc-slicer", "service.version": version}),
            sampler=TraceIdRatioBased(settings.ratio),
            span_limits=SpanLimits(max_span_attribute_length=MAX_TEXT),
            shutdown_on_exit=False,
        )
        # It holds no more than 2048 spans that have ended, and drops what comes beyond.
        exporter = OTLPSpanExporter(endpoint=settings.endpoint)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("slicer")
        self._open: dict[tuple[str, str], Span] = {}
        self._untraced = 0

    def observe(self, slice: SliceInfo, stage: Stage, at: datetime) -> None:
        """A slice has reached a stage. One that an earlier process cut has no span."""
        key, nanoseconds = (slice.task, slice.key), round(at.timestamp() * 1e9)
        if stage is Stage.CUT:
            self._begin(slice, nanoseconds)
        elif (span := self._open.get(key)) is not None:
            span.add_event(stage.value, timestamp=nanoseconds)
            if stage in ENDS:
                del self._open[key]
                self._end(span, stage, nanoseconds)

    def samples(self) -> Iterator[Sample]:
        """What METRICS names."""
        yield Sample("slices_untraced_total", self._untraced)

    def close(self) -> None:
        """Send what has ended. Blocks for some seconds where nobody takes it: not for the loop's
        thread."""
        self._provider.shutdown()

    def _begin(self, slice: SliceInfo, nanoseconds: int) -> None:
        if len(self._open) >= MAX_OPEN:
            self._untraced += 1
            return
        about: dict[str, str | float] = {
            "slicer.task": slice.task,
            "slicer.anchor": slice.anchor,
            "slicer.kind": str(slice.kind),
            "slicer.key": slice.key,
            "slicer.began": slice.began.isoformat(),
            "slicer.seconds": slice.seconds,
        }
        span = self._tracer.start_span("slice", attributes=about, start_time=nanoseconds)
        self._open[slice.task, slice.key] = span

    def _end(self, span: "Span", stage: Stage, nanoseconds: int) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 (it is there by now)

        span.set_attribute("slicer.outcome", stage.value)
        if stage is Stage.LOST:
            span.set_status(StatusCode.ERROR, "the slice is lost")
        span.end(nanoseconds)
