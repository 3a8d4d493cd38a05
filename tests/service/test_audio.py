"""A customer's file as if it was a slice."""

import io
import wave
from datetime import UTC, datetime

import pytest

from slicer.engine.engine import Engine
from slicer.errors import BadInput
from slicer.media import wav
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.service import audio
from slicer.service.audio import AudioFile, as_slice, judge_audio
from tests.harness.moderation.scripted import BLOCK, ScriptedSupplier, install

NOW = datetime(2025, 1, 6, tzinfo=UTC)


def silence(seconds: float) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(round(seconds * 16_000) * 2))
    return made.getvalue()


def test_a_file_becomes_what_suppliers_take() -> None:
    file = as_slice(AudioFile(silence(1.0), "wav"), "t", NOW)
    assert isinstance(file.info, SliceInfo)
    assert (file.info.task, file.info.kind, file.info.began) == ("t", Kind.AUDIO, NOW)
    assert (file.content_type, file.info.size) == ("audio/ogg", len(file.data))
    assert file.info.seconds == pytest.approx(1.0, abs=0.05)
    assert wav.seconds_of(file.data) == file.info.seconds


def test_what_is_none_is_too_long_or_another_format(monkeypatch: pytest.MonkeyPatch) -> None:
    for data, named in ((b"nonsense", "wav"), (silence(1.0), "m4a"), (b"", "mp3")):
        with pytest.raises(BadInput, match=f"audio: got .* allowed: a {named} file"):
            as_slice(AudioFile(data, named), "t", NOW)
    monkeypatch.setattr(audio, "MAX_SECONDS", 0.5)
    with pytest.raises(BadInput, match=r"longer than 0\.5 s"):
        as_slice(AudioFile(silence(1.0), "wav"), "t", NOW)


async def test_nobody_judges_what_no_supplier_is_named_for() -> None:
    async with Engine() as engine:
        with pytest.raises(BadInput, match="supplier"):
            await judge_audio(engine, AudioFile(silence(1.0), "wav"), "nobody", NOW)


async def test_a_file_is_judged_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    supplier = ScriptedSupplier(lambda _file: BLOCK)
    install(monkeypatch, supplier)
    async with Engine() as engine:
        judged = await judge_audio(engine, AudioFile(silence(1.0), "wav"), "tianyu", NOW)
    assert judged.outcome == BLOCK
    assert judged.seconds == pytest.approx(1.0, abs=0.05)
    assert len(supplier.asked) == 1
    assert judged.task in supplier.asked[0]
