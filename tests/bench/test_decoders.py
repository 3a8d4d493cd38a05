"""The measurement of kept decoders: a group of its length, and figures that are figures."""

import pytest

from bench import decoders


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_decoders_of_one_group_cost_memory_and_cpu(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(decoders.SIZES, "small", (320, 180, 300_000))
    frames = decoders.encode(codec, "small", 6)
    assert len(frames) == 6 * decoders.FPS
    cost = decoders.measure_apart(codec, frames)
    assert 0 < cost.cpu < 60
    assert cost.memory > 320 * 180
