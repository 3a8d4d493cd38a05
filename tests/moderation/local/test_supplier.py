"""The supplier: real workers with real models, and what becomes of what goes wrong in them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slicer.errors import BadInput, MediaError, SliceNotJudged, SupplierUnavailable
from slicer.media.decoder import MAX_PIXELS
from slicer.media.slice import File
from slicer.moderation import Label, Supplier, SupplierSpec, Verdict, open_supplier
from slicer.moderation.local import judge, supplier
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import file_of, info_of
from tests.harness.moderation import work
from tests.harness.moderation.models import two_cities, whisper
from tests.moderation.local.test_pictures import URL, picture, png


def picture_file(data: bytes, key: str = "anna/1") -> File:
    return replace(file_of(key, kind=Kind.VIDEO), data=data)


def opened(settings: ModerationSettings, name: str = "local", policy: str = "") -> Supplier:
    return open_supplier(SupplierSpec(name, image_type=policy), settings)


@pytest.fixture
async def local() -> AsyncIterator[Supplier]:
    made = opened(ModerationSettings(webhook_secret="s"))
    yield made
    await made.close()


async def test_pictures_in_a_worker(local: Supplier) -> None:
    assert local.label == "local"
    assert local.kinds == {Kind.VIDEO}
    await local.check()
    plain, code = await asyncio.gather(
        local.judge(picture_file(picture())), local.judge(picture_file(picture(code=URL)))
    )
    assert not plain.hit
    assert code.label is Label.QR_CODE
    with pytest.raises(SliceNotJudged, match="no picture"):
        await local.judge(picture_file(b"none"))


async def test_hostile_pictures_cost_themselves_alone(local: Supplier) -> None:
    """Bombs of their true size, what is cut off, and lists of other files."""
    good = picture(code=URL)
    hostile = [png(6_500, 6_500), good[:2_000], b"ffconcat version 1.0\nfile x.png\n", b""]
    outcomes = await asyncio.gather(
        *(local.judge(picture_file(data)) for data in hostile), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [SliceNotJudged] * len(hostile)
    assert f"more than {MAX_PIXELS} pixels" in str(outcomes[0])
    for data in (png(1, 65_535), png(65_535, 1), good + b"<script>"):
        await local.judge(picture_file(data))
    assert (await local.judge(picture_file(good))).label is Label.QR_CODE


async def test_speech_in_a_worker(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("[Abuse block]\nage of wisdom\n")
    made = opened(
        ModerationSettings(local_whisper=str(whisper()), local_words=str(own), local_qr=False)
    )
    assert made.kinds == {Kind.AUDIO, Kind.VIDEO}
    verdict = await made.judge(replace(file_of("anna/2"), data=two_cities()[: 96_000 * 10]))
    await made.close()
    assert verdict.label is Label.ABUSE
    assert verdict.findings[0].keywords == ("age of wisdom",)


@pytest.mark.parametrize(
    ("trust", "level", "listened"),
    [
        (True, 51, False),
        (True, 127, False),
        (True, 50, True),
        (True, None, True),
        (False, 127, True),
    ],
)
async def test_audio_whose_packets_say_that_it_is_silent(
    monkeypatch: pytest.MonkeyPatch, trust: bool, level: int | None, listened: bool
) -> None:
    monkeypatch.setattr(supplier, "Workers", Workers)
    made = opened(ModerationSettings(local_trust_levels=trust))
    file = replace(file_of("anna/1"), level=level)
    if listened:
        with pytest.raises(SliceNotJudged):
            await made.judge(file)
    else:
        verdict = await made.judge(file)
        assert (verdict.hit, json.loads(verdict.raw)) == (False, {"told_level": -(level or 0)})
        with pytest.raises(SliceNotJudged):  # a picture has no level
            await made.judge(replace(file_of("anna/1", kind=Kind.VIDEO), level=level))
    await made.close()


async def test_accounts_with_the_same_settings_share_their_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge, "load", work.load)
    monkeypatch.setattr(judge, "judge_picture", work.process)
    settings = ModerationSettings()
    first, second = opened(settings), opened(settings, "trtc", "policy")
    other = opened(replace(settings, local_qr=False))
    processes = [await one.judge(picture_file(b"")) for one in (first, second, other)]
    assert processes[0] == processes[1] != processes[2]
    await first.close()
    assert await second.judge(picture_file(b"")) == processes[0]
    await second.close()
    await other.close()
    third = opened(settings)
    assert await third.judge(picture_file(b"")) != processes[0]
    await third.close()


class Workers:
    """Workers that fail as a test says."""

    error: Exception = MediaError("no picture")

    def __init__(self, count: int, load: Callable[[], object]) -> None:
        assert count == 1
        assert isinstance(load, partial)
        assert not load.args[0].webhook_secret  # what it has no use for

    async def start(self) -> None:
        raise ChildProcessError("no worker process: no memory")

    async def run(self, _work: Callable[[], Any], seconds: float) -> Verdict:
        assert seconds == 60
        raise self.error

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (TimeoutError(), SliceNotJudged, "within 60 s"),
        (EOFError("gone"), SliceNotJudged, "process ended"),
        (MediaError("no picture"), SliceNotJudged, "no picture"),
        (RuntimeError("a model's own"), SliceNotJudged, "RuntimeError: a model's own"),
        (ChildProcessError("no memory"), SupplierUnavailable, "no memory"),
    ],
)
async def test_what_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception], said: str
) -> None:
    monkeypatch.setattr(supplier, "Workers", Workers)
    monkeypatch.setattr(Workers, "error", error)
    made = opened(ModerationSettings(webhook_secret="s", local_silence=-49))
    with pytest.raises(SupplierUnavailable, match="no memory"):
        await made.check()
    for kind in Kind:
        with pytest.raises(raised, match=said):
            await made.judge(file_of("anna/1", kind=kind))
    await made.close()


async def test_a_slice_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "load", work.load)
    monkeypatch.setattr(judge, "judge_picture", work.hang)
    made = opened(ModerationSettings(local_timeout=1))
    with pytest.raises(SliceNotJudged, match="within 1 s"):
        await made.judge(picture_file(b""))
    await made.close()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (ModerationSettings(local_whisper="/nowhere"), "moderation.local_whisper"),
        (ModerationSettings(local_words="/nowhere"), "moderation.local_words"),
        (ModerationSettings(local_ocr_every=2), "moderation.local_ocr_every"),
    ],
)
def test_settings_that_cannot_work(
    monkeypatch: pytest.MonkeyPatch, settings: ModerationSettings, field: str
) -> None:
    monkeypatch.setattr(supplier, "find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=field):
        opened(settings)


def test_which_pictures_are_read() -> None:
    infos = [info_of(f"anna/{number}") for number in range(1000)]
    assert not any(supplier.is_read(info, 0) for info in infos)
    assert all(supplier.is_read(info, 1) for info in infos)
    read = [supplier.is_read(info, 4) for info in infos]
    assert 200 < sum(read) < 300
    assert read == [supplier.is_read(info, 4) for info in infos]
