"""A lost Opus packet from the copy in the next one: how it sounds, and what has no copy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import MediaError
from slicer.media import fec, libopus
from slicer.media.libopus import Setting
from slicer.rtp.codecs.opus import duration, is_stereo
from tests.harness.media.audio import make_speech
from tests.harness.media.opus import encode, encode_with_fec, snr

NARROW, MEDIUM, WIDE, SUPER_WIDE, FULL = range(1_101, 1_106)
STREAMS = {
    "silk narrow": (libopus.SILK_ONLY, NARROW, 20, 1),
    "silk medium": (libopus.SILK_ONLY, MEDIUM, 20, 1),
    "silk wide": (libopus.SILK_ONLY, WIDE, 20, 1),
    "silk wide 10 ms": (libopus.SILK_ONLY, WIDE, 10, 1),
    "silk wide 60 ms": (libopus.SILK_ONLY, WIDE, 60, 1),
    "silk wide stereo": (libopus.SILK_ONLY, WIDE, 20, 2),
    "hybrid super-wide": (libopus.HYBRID, SUPER_WIDE, 20, 1),
    "hybrid full": (libopus.HYBRID, FULL, 20, 1),
}


def heard(payloads: list[bytes], channels: int) -> np.ndarray:
    found = libopus.library()
    assert found is not None
    with libopus.Decoder(found, channels) as decoder:
        samples = np.concatenate([decoder.decode(payload) for payload in payloads])
    return samples.astype(np.float32)


@pytest.mark.parametrize("name", STREAMS)
def test_a_packet_is_coded_anew_as_the_lost_one_was(name: str) -> None:
    mode, bandwidth, frame_ms, channels = STREAMS[name]
    audio = np.repeat(make_speech(2).reshape(-1, 1), channels, axis=1)
    settings = {
        Setting.BIT_RATE: 28_000 * channels,
        Setting.MODE: mode,
        Setting.BANDWIDTH: bandwidth,
    }
    packets = [p.payload for p in encode_with_fec(audio, settings, frame_ms)]
    ticks = 48 * frame_ms
    lost = [n for n in range(8, len(packets) - 3) if fec.carries(packets[n + 1])]
    assert len(lost) > len(packets) // 4
    noise = {"concealed": 0.0, "repaired": 0.0}
    for n in lost[:20]:
        before, after = packets[n - 8 : n], packets[n + 1 : n + 3]
        repaired = fec.recover(before, after[0])
        assert repaired[0] == packets[n][0], "mode, bandwidth, frame size and channels"
        assert duration(repaired) == ticks == fec.carries(after[0])
        assert is_stereo(repaired[0]) == (channels == 2)
        reference = heard([*before, packets[n], *after], channels)
        for way, payload in (("concealed", packets[n][:1]), ("repaired", repaired)):
            difference = heard([*before, payload, *after], channels) - reference
            assert not difference[: 8 * ticks].any(), "what came before is as it was"
            noise[way] += float(np.sum(difference**2))
    assert noise["repaired"] < noise["concealed"] / 2, "3 dB at least"


def test_the_encoder_is_fed_ahead_by_its_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        Setting.BIT_RATE: 24_000,
        Setting.MODE: libopus.SILK_ONLY,
        Setting.BANDWIDTH: WIDE,
    }
    packets = [p.payload for p in encode_with_fec(make_speech(2), settings)]
    lost = [n for n in range(20, 90) if fec.carries(packets[n + 1])]

    def quality() -> float:
        """Mean decibels of the packets coded anew."""
        qualities = []
        for n in lost:
            again = fec.recover(packets[n - 8 : n], packets[n + 1])
            reference = heard(packets[n - 8 : n + 1], 1)[-960:]
            qualities.append(snr(reference, heard([*packets[n - 8 : n], again], 1)[-960:]))
        return float(np.mean(qualities))

    good = quality()
    monkeypatch.setattr(libopus.Encoder, "look_ahead", 0)
    late = quality()
    assert good > 8
    assert good > late + 3, (good, late)


def test_celt_and_nothing_carry_no_copy() -> None:
    assert [fec.carries(p.payload) for p in encode(make_speech(1))] == [0] * 51
    assert fec.carries(b"") == 0
    with pytest.raises(MediaError, match="no copy"):
        fec.recover([b"\xf8\xff\xfe"], b"\xf8\xff\xfe")


def test_without_libopus_nothing_carries_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {Setting.MODE: libopus.SILK_ONLY, Setting.BIT_RATE: 24_000}
    packets = encode_with_fec(make_speech(1), settings)
    assert any(fec.carries(packet.payload) for packet in packets)
    monkeypatch.setattr(libopus, "library", lambda: None)
    assert not any(fec.carries(packet.payload) for packet in packets)


@given(before=st.lists(st.binary(min_size=1, max_size=80), max_size=9), after=st.binary())
def test_any_bytes_give_a_packet_or_an_error(before: list[bytes], after: bytes) -> None:
    ticks = fec.carries(after)
    try:
        repaired = fec.recover(before, after)
    except MediaError:
        return
    assert duration(repaired) == ticks > 0


@given(
    toc=st.integers(0, 15),
    before=st.lists(st.integers(0, 31), min_size=1, max_size=3),
    noise=st.binary(min_size=20, max_size=80),
)
def test_noise_that_claims_to_have_a_copy_gives_a_packet_as_long(
    toc: int, before: list[int], noise: bytes
) -> None:
    # Both flags of a SILK frame are its first bits: voiced, and a copy of the one before.
    after = bytes([toc << 3, 0xFF]) + noise
    assert fec.carries(after)
    repaired = fec.recover([bytes([each << 3]) + noise for each in before], after)
    assert duration(repaired) == fec.carries(after)
