"""What is said in an audio slice: Whisper on this machine, then the word lists.

No speech, no cost: a slice whose loudest tenth of a second is below `local_silence` is not looked
at any further. Of the others Whisper gets only what a voice detector takes for speech (Silero's,
which comes with faster-whisper). Whisper invents words in silence and noise; both are against that,
too. And it loses itself in a sentence that is said again and again: then it goes on with it far
more often than it was said. That shows in words faster than anybody speaks, and is heard once more
by rules that are worse for all other speech (docs/moderation.md).

For a worker process: the model is loaded once and has one thread.
"""

import io
import json
import math
import os
import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slicer.errors import BadInput, MediaError
from slicer.media.wav import mono_wav
from slicer.moderation import Finding, Segment, Verdict
from slicer.moderation.local.word_lists import WordLists, normalized
from slicer.moderation.settings import ModerationSettings

RATE = 16_000
"""Hz: what Whisper and the voice detector were trained on."""
WINDOW = RATE // 10
"""Samples over which loudness is measured."""
THREADS = 1
FULL_SCALE = 32_768.0
FASTEST = 10.0
"""Words a second of voice; people speak 2 to 5, and who hurries 7."""
REPEATED = 1.1
"""By what a word that came before becomes less likely, where a sentence was heard for ever
(`repetition_penalty`)."""
NEEDED = ("model.bin", "config.json", "tokenizer.json")
"""Files of a model's folder. faster-whisper would fetch a tokenizer that is not there."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was heard, in seconds from the first sample, and how sure that is, 0 to 1."""

    begin: float
    end: float
    text: str
    score: float


Listen = Callable[[Samples], Sequence[Word]]


def check_folder(folder: str) -> None:
    """Raise BadInput for a folder that holds no model of faster-whisper."""
    lacking = [name for name in NEEDED if not (Path(folder) / name).is_file()]
    if lacking:
        allowed = f"a folder with {', '.join(NEEDED)} (faster-whisper); {lacking[0]} is not there"
        raise BadInput("moderation.local_whisper", folder, allowed)


def load(settings: ModerationSettings) -> Listen:
    """Load the model, which takes seconds. It fetches nothing."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from faster_whisper import WhisperModel  # noqa: PLC0415 (the extra)

    model = WhisperModel(
        settings.local_whisper, device="cpu", compute_type="int8", cpu_threads=THREADS
    )

    def listen(samples: Samples) -> list[Word]:
        heard, voiced = transcribe(samples, 1.0)
        return transcribe(samples, REPEATED)[0] if len(heard) > FASTEST * voiced else heard

    def transcribe(samples: Samples, penalty: float) -> tuple[list[Word], float]:
        """The words, and the seconds in which there is a voice."""
        # One temperature, so that what is not understood costs no more than what is; and no text
        # before this one, since a slice begins anywhere.
        segments, about = model.transcribe(
            samples,
            repetition_penalty=penalty,
            language=settings.local_language or None,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=True,
            word_timestamps=True,
        )
        words = [
            Word(float(word.start), float(word.end), word.word, float(word.probability))
            for segment in segments
            for word in segment.words or ()
        ]
        return words, float(about.duration_after_vad)

    return listen


def judge(data: bytes, listen: Listen, words: WordLists, settings: ModerationSettings) -> Verdict:
    """The verdict of an Ogg or WAV file. Raises MediaError."""
    samples = decode(data)
    level = loudest(samples)
    raw: dict[str, object] = {"level": round(level, 1) if math.isfinite(level) else None}
    heard: Sequence[Word] = []
    if level >= settings.local_silence:
        heard = listen(samples)
        raw["words"] = [[round(one.begin, 2), round(one.end, 2), one.text] for one in heard]
    verdict = Verdict.of(of_words(heard, words), "".join(one.text for one in heard).strip())
    transcript = tuple(Segment(one.begin, one.end, one.text.strip()) for one in heard)
    return replace(verdict, transcript=transcript, raw=json.dumps(raw, ensure_ascii=False))


def decode(data: bytes) -> Samples:
    """The audio of a file, −1 to 1, mono, at RATE. Raises MediaError."""
    try:
        wav = mono_wav(data, RATE)
    except ValueError as error:
        raise MediaError(str(error)) from error
    with wave.open(io.BytesIO(wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def loudest(samples: Samples) -> float:
    """The level of the loudest window, in dB of full scale (a square wave has 0); of silence −inf.

    Windows do not overlap; one that is not full counts as if it was.
    """
    if not len(samples):
        return -math.inf
    whole = np.zeros(math.ceil(len(samples) / WINDOW) * WINDOW, np.float32)
    whole[: len(samples)] = samples
    power = float((whole.reshape(-1, WINDOW) ** 2).mean(axis=1).max())
    return 10 * math.log10(power) if power else -math.inf


def of_words(heard: Iterable[Word], words: WordLists) -> tuple[Finding, ...]:
    """Phrases of the lists that were heard: a finding for each rule, with a segment for each place.

    A word of Whisper's may become another length when it is normalized, so that its characters are
    counted after that.
    """
    text, owners = "", list[Word]()
    for one in heard:
        plain = normalized(one.text)
        text += plain
        owners += [one] * len(plain)
    found = words.find(text)
    findings = []
    for rule in dict.fromkeys(match.rule for match in found):
        places = [match for match in found if match.rule == rule]
        spans = [owners[match.begin : match.end] for match in places]
        findings.append(
            Finding(
                rule.label,
                rule.suggest,
                round(100 * max(min(word.score for word in span) for span in spans)),
                "speech",
                tuple(sorted({match.phrase for match in places})),
                segments=tuple(
                    Segment(span[0].begin, span[-1].end, match.phrase)
                    for span, match in zip(spans, places, strict=True)
                ),
            )
        )
    return tuple(findings)
