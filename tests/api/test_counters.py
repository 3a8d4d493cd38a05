"""Answers by action and code; what callers make up is no label."""

from slicer.api.counters import METRICS, UNKNOWN, ApiCounters
from slicer.api.schema import ACTIONS


def test_answers_by_action_and_code() -> None:
    counters = ApiCounters()
    counters.add("CreateCloudSliceTask", "ok", 0.02)
    counters.add("CreateCloudSliceTask", "MissingParameter", 0.2)
    for number in range(100):
        counters.add(f"Action{number}", "InvalidAction", 0.001)
    told = {(one.name, *(text for _, text in one.labels)): one.value for one in counters.samples()}
    requests = {key[1:]: count for key, count in told.items() if key[0] == "api_requests_total"}
    assert requests == {(name, "ok"): 0 for name in (*ACTIONS, UNKNOWN)} | {
        ("CreateCloudSliceTask", "ok"): 1,
        ("CreateCloudSliceTask", "MissingParameter"): 1,
        (UNKNOWN, "InvalidAction"): 100,
    }
    assert told["api_request_seconds_bucket", "CreateCloudSliceTask", "0.025"] == 1
    assert told["api_request_seconds_count", "CreateCloudSliceTask"] == 2
    names = {one.name for one in counters.samples()}
    assert {name for name in METRICS if name.endswith("_total")} <= names
