"""Heartbeats as they are sent."""

import json

import pytest

from slicer.errors import BadInput
from slicer.fleet.beat import Beat, from_json, to_json

BEAT = Beat("w1", "a", "z1", 100, 0.25, True, {"t": 7}, {"t": 3}, "http://10.0.0.1:8080", "0.1.0")


def test_a_beat_comes_back() -> None:
    assert from_json(to_json(BEAT)) == BEAT


def test_what_a_later_version_adds_is_left_alone() -> None:
    later = json.dumps(json.loads(to_json(BEAT)) | {"mood": "good"}).encode()
    assert from_json(later) == BEAT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"worker": 1}',
        b'{"worker": "w", "tasks": {"t": "x"}}',
        b'{"worker": "w", "load": "x"}',
        b'{"worker": "w", "tasks": 3}',
        b'{"worker": "w", "zone": 3}',
        b'{"worker": "w", "rooms": ["https://w1.example"]}',
        b'{"worker": "w", "rooms": "https://w1.example@evil.example"}',
        b'{"worker": "w", "rooms": "javascript:alert(1)"}',
    ],
)
def test_what_is_no_beat_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match="another heartbeat"):
        from_json(data)
