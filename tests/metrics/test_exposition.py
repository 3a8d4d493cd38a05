"""Samples as Prometheus reads them: its own parser gives back what went in."""

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from slicer.engine.sample import Histogram, Sample
from slicer.metrics.exposition import exposition, family_of

TEXTS = {
    "tasks": "tasks that have not ended; state",
    "slices_lost_total": "slices that will never be stored",
    "late_seconds": "how late",
}


def samples() -> list[Sample]:
    late = Histogram((1.0,))
    late.observe(2.0)
    return [
        Sample("tasks", 2, (("state", "running"),)),
        Sample("slices_lost_total", 3),
        Sample("tasks", 1, (("state", 'a "b"\n'),)),
        *late.samples("late_seconds"),
    ]


def test_the_text_format() -> None:
    content, kind = exposition(samples(), TEXTS)
    assert kind.startswith("text/plain; version=")
    found = {family.name: family for family in parse(content.decode())}
    tasks = found["slicer_tasks"]
    assert (tasks.type, tasks.documentation) == ("gauge", TEXTS["tasks"])
    states = {one.labels["state"]: one.value for one in tasks.samples}
    assert states == {"running": 2, 'a "b"\n': 1}
    lost = found["slicer_slices_lost"]
    assert lost.type == "counter"
    assert [(one.name, one.value) for one in lost.samples] == [("slicer_slices_lost_total", 3)]
    late = found["slicer_late_seconds"]
    assert late.type == "histogram"
    told = {(one.name, one.labels.get("le")): one.value for one in late.samples}
    assert told == {
        ("slicer_late_seconds_bucket", "1"): 0,
        ("slicer_late_seconds_bucket", "+Inf"): 1,
        ("slicer_late_seconds_sum", None): 2,
        ("slicer_late_seconds_count", None): 1,
    }


def test_the_process_is_told_under_the_names_that_all_have() -> None:
    content, _ = exposition([], TEXTS)
    names = {family.name for family in parse(content.decode())}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= names


def test_openmetrics_where_it_is_asked_for() -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1"
    content, kind = exposition(samples(), TEXTS, accept)
    assert kind.startswith("application/openmetrics-text")
    found = {family.name: family.type for family in parse_openmetrics(content.decode())}  # type: ignore[no-untyped-call]
    assert found["slicer_slices_lost"] == "counter"
    assert found["slicer_late_seconds"] == "histogram"


def test_a_name_that_nothing_explains() -> None:
    assert family_of("late_seconds_sum", TEXTS) == "late_seconds"
    with pytest.raises(ValueError, match="sample other_sum: nothing says"):
        family_of("other_sum", TEXTS)
