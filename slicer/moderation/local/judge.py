"""What a worker process runs: its models, loaded once, and one slice at a time."""

from dataclasses import dataclass

from slicer.moderation import Verdict
from slicer.moderation.local import pictures, speech
from slicer.moderation.local.word_lists import WordLists
from slicer.moderation.settings import ModerationSettings


@dataclass(frozen=True, slots=True)
class Models:
    """All that a process has loaded; *listen* is None where the settings name no Whisper."""

    settings: ModerationSettings
    words: WordLists
    pictures: pictures.PictureModels
    listen: speech.Listen | None


loaded: list[Models] = []
"""Those of this process, once they are loaded."""


def load(settings: ModerationSettings) -> None:
    """Load the models, before the first slice."""
    words = WordLists.load(settings.local_words)
    listen = speech.load(settings) if settings.local_whisper else None
    loaded[:] = [Models(settings, words, pictures.load(settings), listen)]


def judge_picture(data: bytes, read: bool) -> Verdict:
    """Look at a picture; *read*: also for text. Raises MediaError."""
    (models,) = loaded
    return pictures.judge(data, read, models.pictures, models.words, models.settings)


def judge_audio(data: bytes) -> Verdict:
    """Listen to an audio slice. Raises MediaError."""
    (models,) = loaded
    assert models.listen is not None
    return speech.judge(data, models.listen, models.words, models.settings)
