"""What a worker process runs, here in this one."""

from dataclasses import replace
from pathlib import Path

import pytest

from slicer.moderation import Label, Verdict
from slicer.moderation.local import judge, pictures, speech
from slicer.moderation.settings import ModerationSettings
from tests.moderation.local.test_pictures import BOX, models, picture
from tests.moderation.local.test_speech import HEARD, tone, wav


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModerationSettings:
    """Models that see a line and hear words, and a list of one's own that has them."""
    own = tmp_path / "own.txt"
    own.write_text("[Custom review]\ngo away\nsecret sign\n")
    seen = models(text=[pictures.Part("Secret sign", 0.9, BOX)])
    monkeypatch.setattr(pictures, "load", lambda _settings: seen)
    monkeypatch.setattr(speech, "load", lambda _settings: lambda _samples: HEARD)
    monkeypatch.setattr(judge, "loaded", [])
    return ModerationSettings(local_words=str(own), local_whisper="a model")


def test_pictures_and_audio(settings: ModerationSettings) -> None:
    judge.load(settings)
    assert judge.judge_picture(picture(), True).label is Label.CUSTOM
    assert judge.judge_picture(picture(), False) == replace(Verdict(), raw='{"nsfw": 0.0}')
    assert judge.judge_audio(wav(tone(-20))).label is Label.CUSTOM


def test_without_whisper_nothing_is_loaded(settings: ModerationSettings) -> None:
    judge.load(replace(settings, local_whisper=""))
    with pytest.raises(AssertionError):
        judge.judge_audio(wav(tone(-20)))
