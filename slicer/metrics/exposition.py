"""Samples in Prometheus' text format, or in OpenMetrics', as the reader asks."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from slicer.engine.sample import Sample

PREFIX = "slicer_"
HISTOGRAM = ("_bucket", "_sum", "_count")
"""How the names of a histogram's samples end."""


def exposition(
    samples: Iterable[Sample], texts: Mapping[str, str], accept: str = ""
) -> tuple[bytes, str]:
    """The content and its type. *texts*: what each name means; *accept*: the request's header.

    Names get PREFIX. What the process takes of CPU, memory and descriptors is added under the names
    that every exporter has for it (`process_…`; on Linux alone). Raises ValueError for a sample
    without a text.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(samples, texts))
    ProcessCollector(registry=registry)
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


def family_of(name: str, texts: Mapping[str, str]) -> str:
    """The name that *texts* has for a sample. Raises ValueError where it has none."""
    for family in (name, *(name.removesuffix(end) for end in HISTOGRAM if name.endswith(end))):
        if family in texts:
            return family
    raise ValueError(f"sample {name}: nothing says what it means")


class _Collected(Collector):
    """Samples that were read already: the reading may have to wait, `collect` must not."""

    def __init__(self, samples: Iterable[Sample], texts: Mapping[str, str]) -> None:
        self._samples, self._texts = samples, texts

    def collect(self) -> Iterator[Metric]:
        """One metric a family, in the order of their first samples."""
        found: dict[str, Metric] = {}
        for sample in self._samples:
            family = family_of(sample.name, self._texts)
            if family not in found:
                found[family] = _metric(family, sample.name, self._texts[family])
            found[family].add_sample(PREFIX + sample.name, dict(sample.labels), sample.value)
        yield from found.values()


def _metric(family: str, sample: str, text: str) -> Metric:
    if sample != family:
        return Metric(PREFIX + family, text, "histogram")
    # OpenMetrics: a counter's own name has no `_total`, its samples' names have.
    kind = "counter" if family.endswith("_total") else "gauge"
    return Metric(PREFIX + family.removesuffix("_total"), text, kind)
