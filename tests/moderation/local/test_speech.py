"""Audio: what is listened to, what words mean and where they were said; and Whisper itself."""

import io
import json
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slicer.errors import BadInput, MediaError
from slicer.moderation import Label, Segment, Suggest
from slicer.moderation.local import speech
from slicer.moderation.local.speech import RATE, Samples, Word
from slicer.moderation.local.word_lists import Rule, WordLists
from slicer.moderation.settings import ModerationSettings
from tests.harness.moderation.models import two_cities, whisper

SETTINGS = ModerationSettings()
ABUSE = Rule(Label.ABUSE, Suggest.BLOCK)
WORDS = WordLists(
    [(ABUSE, ["worst of times", "go away"]), (Rule(Label.AD, Suggest.REVIEW), ["buy"])]
)
HEARD = [
    Word(1.0, 1.2, " Go", 0.9),
    Word(1.2, 1.5, " away,", 0.8),
    Word(2.0, 2.5, " BUY", 0.7),
    Word(3.0, 3.1, " and", 0.9),
    Word(3.1, 3.2, " go", 0.6),
    Word(3.2, 3.3, " away.", 0.95),
]


def wav(samples: Samples) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return made.getvalue()


def tone(level: float, seconds: float = 0.5) -> Samples:
    """A sine of this level in dB, −3 at the most, after a second of silence."""
    moments = np.arange(round(seconds * RATE)) / RATE
    loud = np.sqrt(2) * 10 ** (level / 20) * np.sin(2 * np.pi * 440 * moments)
    return np.concatenate([np.zeros(RATE), loud]).astype(np.float32)


def test_words_and_their_places() -> None:
    verdict = speech.judge(wav(tone(-20)), lambda _samples: HEARD, WORDS, SETTINGS)
    abuse, ad = verdict.findings
    assert (abuse.label, abuse.suggest, abuse.score) == (Label.ABUSE, Suggest.BLOCK, 80)
    assert abuse.keywords == ("go away",)
    assert abuse.segments == (Segment(1.0, 1.5, "go away"), Segment(3.1, 3.3, "go away"))
    assert (ad.label, ad.score, ad.keywords) == (Label.AD, 70, ("buy",))
    assert (verdict.suggest, verdict.label) == (Suggest.BLOCK, Label.ABUSE)
    assert verdict.text == "Go away, BUY and go away."
    assert verdict.transcript[1] == Segment(1.2, 1.5, "away,")
    assert json.loads(verdict.raw)["words"][0] == [1.0, 1.2, " Go"]


def test_letters_that_change_their_number() -> None:
    words = WordLists([(ABUSE, ["straße"])])
    heard = [Word(0.0, 1.0, " ﬁne", 0.5), Word(1.0, 2.0, " Straße", 0.5), Word(2.0, 3.0, "!", 0.5)]
    (finding,) = speech.of_words(heard, words)
    assert finding.segments == (Segment(1.0, 2.0, "strasse"),)


@pytest.mark.parametrize(("level", "listened"), [(-51, False), (-49, True)])
def test_silence_is_not_listened_to(level: float, listened: bool) -> None:
    asked: list[Samples] = []

    def listen(samples: Samples) -> Sequence[Word]:
        asked.append(samples)
        return []

    verdict = speech.judge(wav(tone(level)), listen, WORDS, SETTINGS)
    assert bool(asked) is listened
    assert not verdict.hit
    assert json.loads(verdict.raw)["level"] == pytest.approx(level, abs=0.1)
    lower = replace(SETTINGS, local_silence=-60.0)
    speech.judge(wav(tone(level)), listen, WORDS, lower)
    assert asked


def test_levels() -> None:
    assert speech.loudest(np.zeros(0, np.float32)) == -np.inf
    assert speech.loudest(np.zeros(RATE, np.float32)) == -np.inf
    assert speech.loudest(np.ones(RATE, np.float32)) == pytest.approx(0)
    half = np.concatenate([np.zeros(RATE), np.ones(speech.WINDOW // 2)]).astype(np.float32)
    assert speech.loudest(half) == pytest.approx(-3.01, abs=0.01)


def test_silence_has_a_level_in_json() -> None:
    verdict = speech.judge(wav(np.zeros(RATE, np.float32)), lambda _: HEARD, WORDS, SETTINGS)
    assert json.loads(verdict.raw, parse_constant=pytest.fail) == {"level": None}


@pytest.mark.parametrize("data", [b"", b"no audio"])
def test_what_is_no_audio(data: bytes) -> None:
    with pytest.raises(MediaError, match="no audio"):
        speech.decode(data)


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"moderation.local_whisper: got .*tokenizer.json is not"):
        speech.check_folder(str(tmp_path))
    (tmp_path / "tokenizer.json").touch()
    speech.check_folder(str(tmp_path))


def test_whisper_hears_what_is_said_and_when() -> None:
    listen = speech.load(replace(SETTINGS, local_whisper=str(whisper())))
    samples = speech.decode(two_cities())[: 8 * RATE]
    verdict = speech.judge(wav(samples), listen, WORDS, SETTINGS)
    assert "worst of times" in verdict.text.lower()
    (finding,) = verdict.findings
    (place,) = finding.segments
    assert finding.keywords == ("worst of times",)
    assert 2 < place.begin < place.end < 6
    noise = np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32)
    assert speech.judge(wav(noise), listen, WORDS, SETTINGS).text == ""


def test_a_sentence_that_is_said_again_and_again_is_not_heard_for_ever() -> None:
    """Six words, six times; by itself Whisper gives 192."""
    listen = speech.load(replace(SETTINGS, local_whisper=str(whisper())))
    once = speech.decode(two_cities())[int(0.75 * RATE) : 3 * RATE]
    heard = listen(np.tile(np.concatenate([once, np.zeros(RATE // 4, np.float32)]), 6))
    assert 20 <= len(heard) <= 50
    assert "".join(one.text for one in heard).lower().count("best of times") in range(3, 9)
