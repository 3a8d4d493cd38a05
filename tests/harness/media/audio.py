"""Test audio with a beep on every full second, and the finder of the beeps; knows no codec."""

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
BEEP_HZ = 1_000
BEEP_SAMPLES = SAMPLE_RATE // 20
BEEP_AMPLITUDE = 0.5
BED_LEVEL = 0.02
"""Mean power (RMS) of the bed under the beeps: speech-like, so that Opus sees no silence (DTX)."""

OPUS_DELAY = 312 / SAMPLE_RATE
"""Seconds by which libopus' output lags its input (RFC 7845 section 4.2's pre-skip of 312 samples).

Files say so and players trim it; in RTP nobody does. Whoever reads beeps from packets finds them
this much late against the first packet's timestamp, whoever reads them from a file does not.
"""

# Level, Hz, width in Hz, glides a second.
_FORMANTS = ((1, 550, 120, 1.9), (0.6, 1_500, 200, 1.3), (0.3, 2_600, 300, 2.9))

_AFTER = SAMPLE_RATE // 40
_BEFORE = SAMPLE_RATE // 200

Pcm = npt.NDArray[np.int16] | npt.NDArray[np.float32] | npt.NDArray[np.float64]


def make_audio(seconds: int, seed: int = 1) -> npt.NDArray[np.int16]:
    """Mono 48 kHz audio of whole *seconds*, ready to be looped; the same seed, the same samples."""
    samples = seconds * SAMPLE_RATE
    audio = _bed(samples, seed)
    time = np.arange(BEEP_SAMPLES) / SAMPLE_RATE
    beep = BEEP_AMPLITUDE * np.sin(2 * np.pi * BEEP_HZ * time)
    for second in range(seconds):
        audio[second * SAMPLE_RATE :][:BEEP_SAMPLES] += beep
    return np.asarray(np.round(audio * 32_767), np.int16)


def _bed(samples: int, seed: int) -> npt.NDArray[np.float64]:
    """Pink noise of 120 to 4000 Hz without the beep's band, swelling four times a second."""
    random = np.random.Generator(np.random.PCG64(seed))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    heard = (frequency > 120) & (frequency < 4_000) & (abs(frequency - BEEP_HZ) > 200)
    weight = np.where(heard, 1 / np.sqrt(np.maximum(frequency, 1)), 0)
    phase = random.uniform(0, 2 * np.pi, frequency.size)
    # Made in the frequency domain, so the end joins the start without a click.
    noise = np.fft.irfft(weight * np.exp(1j * phase), samples)
    time = np.arange(samples) / SAMPLE_RATE
    noise *= 0.65 + 0.35 * np.sin(2 * np.pi * 4 * time)
    return np.asarray(noise * (BED_LEVEL / np.sqrt(np.mean(noise**2))), np.float64)


def make_speech(seconds: int) -> npt.NDArray[np.int16]:
    """Mono 48 kHz audio of whole *seconds* that is voiced as speech is: gliding harmonics under
    three moving formants, in three syllables a second. It has no beeps; always the same samples."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 2.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    audio = 0.05 * np.random.Generator(np.random.PCG64(3)).standard_normal(time.size)
    for harmonic in range(1, 30):
        for level, hz, width, glide in _FORMANTS:
            centre = hz * (1 + 0.25 * np.sin(2 * np.pi * glide * time))
            gain = level / (1 + ((harmonic * pitch - centre) / width) ** 2)
            audio += gain * np.sin(harmonic * phase)
    audio *= (0.35 + 0.65 * np.clip(np.sin(2 * np.pi * 3.1 * time), -0.3, 1)) ** 2
    return np.asarray(np.round(audio * (12_000 / abs(audio).max())), np.int16)


def find_beeps(pcm: Pcm) -> list[float]:
    """Onsets of the beeps in mono 48 kHz audio, in seconds from its first sample.

    *pcm* is int16, or float with full scale 1. An onset is found where 5 ms of audio lie before it
    and 25 ms behind it, so a beep cut off by the edge is never reported at a wrong place.
    """
    scale = 32_768 if pcm.dtype == np.int16 else 1
    audio = np.asarray(pcm, np.float64) / scale
    if audio.size < _BEFORE + _AFTER:
        return []
    turn = np.exp(-2j * np.pi * BEEP_HZ * np.arange(audio.size) / SAMPLE_RATE)
    total = np.concatenate(([0], np.cumsum(audio * turn)))
    onset = np.arange(_BEFORE, audio.size - _AFTER + 1)
    after = 2 * abs(total[onset + _AFTER] - total[onset]) / _AFTER
    before = 2 * abs(total[onset] - total[onset - _BEFORE]) / _BEFORE
    step = after - before
    found: list[float] = []
    candidates = np.flatnonzero(step > 0.6 * BEEP_AMPLITUDE)
    while candidates.size:
        near = candidates[candidates < candidates[0] + BEEP_SAMPLES]
        best = int(near[np.argmax(step[near])])
        found.append(int(onset[best]) / SAMPLE_RATE)
        candidates = candidates[candidates >= best + BEEP_SAMPLES]
    return found
