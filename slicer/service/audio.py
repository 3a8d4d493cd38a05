"""An audio file that a customer sends to be judged, as if it was a slice."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slicer.delivery.judging import Outcome
from slicer.engine.engine import Engine
from slicer.errors import BadInput
from slicer.media import wav
from slicer.media.slice import File, SliceInfo
from slicer.moderation import SupplierSpec
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey

MAX_SECONDS = 60.0
FORMATS = {"wav": "wav", "mp3": "mp3", "m4a": "mov"}
"""FileFormat, and FFmpeg's name of it: nothing else is read, whatever a file says it is."""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A file, and its format: one of FORMATS."""

    data: bytes = field(repr=False)
    format: str


@dataclass(frozen=True, slots=True)
class JudgedAudio:
    """What came of it, and how long it is in seconds."""

    task: str
    outcome: Outcome
    seconds: float


def as_slice(audio: AudioFile, task: str, began: datetime) -> File:
    """The file as Ogg/Opus, which is what suppliers take. For any thread. Raises BadInput for
    `audio`."""
    try:
        data = wav.to_ogg(audio.data, FORMATS[audio.format], MAX_SECONDS)
        seconds = wav.seconds_of(data)
    except ValueError as error:
        allowed = f"a {audio.format} file of at most {MAX_SECONDS:g} s ({error})"
        raise BadInput("audio", f"{len(audio.data)} bytes", allowed) from None
    track = TrackKey(task, "audio", Kind.AUDIO)
    info = SliceInfo(f"{task}.ogg", track, began.astimezone(UTC), seconds, len(data))
    return File(info, data, "audio/ogg")


async def judge_audio(
    engine: Engine, audio: AudioFile, supplier: str, began: datetime
) -> JudgedAudio:
    """Have a file judged, in this process; nothing of it is kept. Raises BadInput."""
    task, files = secrets.token_urlsafe(24), list[File]()

    def make() -> File:
        files.append(as_slice(audio, task, began))
        return files[0]

    outcome = await engine.judge(make, SupplierSpec(supplier))
    assert isinstance(files[0].info, SliceInfo)
    return JudgedAudio(task, outcome, files[0].info.seconds)
