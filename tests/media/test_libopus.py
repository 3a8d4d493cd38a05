"""libopus by its own functions: found beside PyAV, or told to be missing; errors have a name."""

import ctypes

import numpy as np
import pytest

from slicer.errors import MediaError
from slicer.media import libopus
from slicer.media.libopus import Decoder, Encoder, Setting
from tests.harness.media.audio import make_speech
from tests.harness.media.opus import encode, encode_with_fec

SILK = {Setting.BIT_RATE: 24_000, Setting.MODE: libopus.SILK_ONLY, Setting.BANDWIDTH: 1_103}
WIDE_BAND_SILK_20 = 9


@pytest.fixture
def found() -> ctypes.CDLL:
    library = libopus.library()
    assert library is not None
    return library


def test_an_encoder_obeys_mode_and_bandwidth(found: ctypes.CDLL) -> None:
    packets = encode_with_fec(make_speech(1), SILK)
    assert {packet.payload[0] >> 3 for packet in packets} == {WIDE_BAND_SILK_20}
    assert any(libopus.has_fec(found, packet.payload) for packet in packets)


def test_packets_without_a_copy_are_told(found: ctypes.CDLL) -> None:
    packets = encode(make_speech(1))
    assert not any(libopus.has_fec(found, packet.payload) for packet in packets)
    assert not libopus.has_fec(found, b"")


@pytest.mark.parametrize("channels", [1, 2])
def test_a_packet_is_decoded_to_its_length(found: ctypes.CDLL, channels: int) -> None:
    audio = np.repeat(make_speech(1).reshape(-1, 1), channels, axis=1)
    payload = encode_with_fec(audio, SILK)[20].payload
    with Decoder(found, channels) as decoder:
        assert decoder.decode(payload).shape == (960, channels)
        assert decoder.decode(payload[:1]).shape == (960, channels), "a lost frame is concealed"
        assert decoder.decode(payload, 960, fec=True).shape == (960, channels)


def test_what_libopus_does_not_take_is_an_error(found: ctypes.CDLL) -> None:
    with Decoder(found, 1) as decoder, pytest.raises(MediaError, match="3 bytes"):
        decoder.decode(b"\xff\xff\xff")
    with pytest.raises(MediaError, match="BANDWIDTH 7"):
        Encoder(found, 1, {Setting.BANDWIDTH: 7})
    with pytest.raises(MediaError, match="no memory"):
        Decoder(found, 3)
    with Encoder(found, 1, {}) as encoder, pytest.raises(MediaError, match="7 samples"):
        encoder.encode(np.zeros((7, 1), np.int16))


def test_an_encoder_lags_by_6_5_ms(found: ctypes.CDLL) -> None:
    with Encoder(found, 1, {}) as encoder:
        assert encoder.look_ahead == 312


def test_a_library_that_is_not_there_or_too_old_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert libopus.library.__wrapped__() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert libopus.library.__wrapped__() is None
