"""The measurement of kept decoders: a group of its length, and figures that are figures."""

import pytest

from bench import decoders


def test_decoders_of_one_group_cost_memory_and_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decoders.SIZES, "small", (320, 180, 300_000))
    frames = decoders.encode("h264", "small", 6)
    assert len(frames) == 6 * decoders.FPS
    cost = decoders.measure_apart("h264", frames)
    assert 0 < cost.cpu < 60
    assert cost.memory > 320 * 180
