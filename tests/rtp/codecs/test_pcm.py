"""G.711 and G.722 durations against FFmpeg's encoders."""

import av
import numpy as np
import pytest

from tests.harness.rtp.parts import AUDIO


@pytest.mark.parametrize(
    ("name", "encoder", "rate"),
    [("pcmu", "pcm_mulaw", 8_000), ("pcma", "pcm_alaw", 8_000), ("g722", "g722", 16_000)],
)
def test_twenty_milliseconds_are_160_ticks(name: str, encoder: str, rate: int) -> None:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = rate, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(np.zeros((1, rate // 50), np.int16), "s16", "mono")
    frame.sample_rate = rate
    packets = context.encode(frame) + context.encode(None)
    assert sum(AUDIO[name].duration(bytes(packet)) for packet in packets) == 160


@pytest.mark.parametrize("name", ["pcmu", "pcma", "g722"])
def test_an_empty_packet_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        AUDIO[name].duration(b"")
