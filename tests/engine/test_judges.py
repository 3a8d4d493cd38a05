"""Accounts of suppliers: opened once, shared, closed when nobody uses them; and a whole engine."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from slicer import (
    AudioSpec,
    BadInput,
    Engine,
    Keep,
    Kind,
    Moderation,
    Settings,
    SliceJudged,
    SliceParams,
    SliceSpooled,
    SliceUnjudged,
    SupplierSpec,
    SupplierTrouble,
    TaskSpec,
    Verdict,
    VideoSpec,
)
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.settings import SpoolSettings
from slicer.engine.judges import Judges
from slicer.errors import ModerationError, SliceNotJudged, SupplierRefused
from slicer.media.slice import File
from slicer.moderation import Segment, Suggest
from slicer.moderation.settings import ModerationSettings
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.spooling import delivery_of, file_of
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.picture import Painter
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier, install
from tests.harness.rooms.replay import show, talk

ACME = SupplierSpec("acme", secret_key="one")
OTHER = SupplierSpec("acme", secret_key="other")
AUDIO = SliceParams(AudioSpec(2), None)


class Office:
    """Judges whose suppliers are scripted."""

    def __init__(self, settings: ModerationSettings | None = None) -> None:
        self.opened: list[SupplierSpec] = []
        self.supplier = ScriptedSupplier(kinds=frozenset({Kind.AUDIO}))
        self.used: list[Moderation] = []
        self.told: list[tuple[str, str]] = []
        self.judges = Judges(
            ManualClock(),
            settings or ModerationSettings(),
            lambda task, error: self.told.append((task, str(error))),
            lambda task, supplier: self.told.append((task, supplier)),
            lambda: self.used,
            self.open,
        )

    def open(self, spec: SupplierSpec, _settings: ModerationSettings) -> ScriptedSupplier:
        self.opened.append(spec)
        return self.supplier


async def test_an_account_is_opened_once_and_closed_after_its_last_task() -> None:
    office = Office()
    first = office.judges.get(Moderation(ACME))
    assert office.judges.get(Moderation(ACME, Keep.ALL)).judging is first.judging
    assert office.judges.get(Moderation(OTHER)).judging is not first.judging
    assert office.opened == [ACME, OTHER]
    office.used = [Moderation(ACME)]
    office.judges.sweep()
    assert office.judges.open_now == 1
    office.used = []
    office.judges.sweep()
    assert office.judges.open_now == 0
    await office.judges.close()
    assert office.supplier.closed == 2


async def test_applications_share_what_a_supplier_allows_and_no_circuit() -> None:
    """Here one request at a time: the one that fails, and then waits, leaves it to the other."""
    office = Office(ModerationSettings(concurrency=1))
    refused = SupplierRefused("acme", "no such policy")
    office.supplier.answer = lambda file: refused if "ada" in file.info.key else PASS
    first, second = (office.judges.get(Moderation(ACME, app=app)).judging for app in (1, 2))
    assert first is not second
    done: list[object] = []
    for judging, key in ((first, "ada/0"), (second, "bo/0"), (first, "ada2/0"), (second, "cy/0")):

        async def load(key: str = key) -> File:
            return file_of(key)

        judging.add(delivery_of(key), load, done.append)
    await settle(200)
    assert done == [PASS, PASS]
    assert office.supplier.most_at_once == 1
    assert office.judges.open_now == 2
    assert office.judges.waiting == 2
    office.used = [Moderation(ACME, app=1)]
    office.judges.sweep()
    assert office.judges.open_now == 1
    await office.judges.close()


async def test_a_key_that_is_wrong_takes_no_place_of_the_account() -> None:
    office = Office(ModerationSettings(concurrency=1))
    office.supplier.gate.clear()
    done: list[object] = []

    async def load() -> File:
        return file_of("ada/0")

    for spec in (ACME, OTHER):
        office.judges.get(Moderation(spec)).judging.add(delivery_of("ada/0"), load, done.append)
    await settle()
    assert office.supplier.most_at_once == 2
    await office.judges.close()


async def test_an_account_that_slices_wait_for_stays_and_its_counts_stay_for_good() -> None:
    office = Office()
    office.supplier.gate.clear()
    judge = office.judges.get(Moderation(ACME))
    done: list[object] = []

    async def load() -> object:
        return file_of("ada/0")

    judge.judging.add(delivery_of("ada/0"), load, done.append)  # type: ignore[arg-type]
    office.judges.sweep()
    assert (office.judges.open_now, office.judges.waiting, office.judges.failing) == (1, 1, 0)
    office.supplier.gate.set()
    office.judges.hurry()
    await settle(50)
    assert done == [PASS]
    office.judges.sweep()
    await settle(50)
    assert office.judges.open_now == 0
    assert office.judges.counters["judged"] == 1
    await office.judges.close()


async def test_a_supplier_that_cannot_judge_a_kind_is_refused() -> None:
    office = Office()
    office.judges.check(Moderation(ACME), AUDIO)
    with pytest.raises(BadInput, match=r"supplier: got 'acme'; .*video; this one judges audio"):
        office.judges.check(Moderation(ACME), SliceParams(AudioSpec(), VideoSpec()))
    await office.judges.close()


def task_of(tmp_path: Path, keep: Keep, seconds: float = 5.0) -> TaskSpec:
    room = talk(tmp_path / "ada.rtpdump", seconds)
    return TaskSpec(
        room, (tmp_path / "out").as_uri(), AUDIO, task="t", moderation=Moderation(ACME, keep)
    )


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("keep", Keep)
async def test_a_task_that_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Keep, spooled: bool
) -> None:
    verdicts: list[Verdict | ModerationError] = [BLOCK, PASS, SliceNotJudged("acme", "too short")]
    supplier = ScriptedSupplier(lambda _file: verdicts.pop(0))
    install(monkeypatch, supplier, "acme")
    folder = str(tmp_path / "spool") if spooled else ""
    settings = Settings(spool=SpoolSettings(folder, reserve_bytes=0))
    confirmed: list[SliceJudged | SliceUnjudged] = []

    async def confirm(event: SliceJudged | SliceUnjudged) -> None:
        confirmed.append(event)

    async with Engine(settings, confirm_verdict=confirm) as engine, engine.events() as events:
        task = await engine.create(task_of(tmp_path, keep))
        finished = await engine.finished(task)
        samples = {sample.name: sample.value for sample in engine.metrics()}
    told = [event async for event in events if isinstance(event, SliceJudged | SliceUnjudged)]
    assert told == confirmed
    assert [isinstance(event, SliceJudged) for event in told] == [True, True, False]
    kept = {Keep.NONE: 0, Keep.HITS: 1, Keep.ALL: 3}[keep]
    assert (finished.stored, finished.judged, finished.unjudged) == (kept, 2, 1)
    assert (finished.lost, finished.kept) == (0, 0)
    assert len(list((tmp_path / "out").rglob("*.ogg"))) == kept
    assert (samples["slices_judged_total"], samples["slices_unjudged_total"]) == (2, 1)
    assert supplier.closed == 1


async def test_an_account_that_is_refused_is_told_before_the_first_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supplier = ScriptedSupplier(account=SupplierRefused("acme", "no such key"))
    supplier.gate.clear()
    install(monkeypatch, supplier, "acme")
    async with Engine() as engine, engine.events("t") as events:
        await engine.create(task_of(tmp_path, Keep.NONE))
        async for event in events:
            if isinstance(event, SupplierTrouble):
                assert event.reason == "acme: no such key"
                break
        supplier.gate.set()
        assert (await engine.finished("t")).judged == 3


async def test_what_an_earlier_process_left_is_judged_by_whom_the_task_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task runs no more; the event of each verdict comes all the same."""
    supplier = ScriptedSupplier(lambda _file: SupplierRefused("acme", "no"))
    install(monkeypatch, supplier, "acme")
    settings = Settings(spool=SpoolSettings(str(tmp_path / "spool"), reserve_bytes=0))
    moderation = Moderation(ACME, Keep.HITS)
    brief = replace(settings, outbox=OutboxSettings(drain=0.0))
    async with Engine(brief) as engine, engine.events("t") as events:
        await engine.create(task_of(tmp_path, Keep.HITS))
        spooled = 0
        async for event in events:
            spooled += isinstance(event, SliceSpooled)
            if spooled == 3:
                break
    assert len(list((tmp_path / "spool").rglob("*.judging"))) == 3
    told: list[SliceJudged | SliceUnjudged] = []

    async def confirm(event: SliceJudged | SliceUnjudged) -> None:
        told.append(event)

    supplier.answer = lambda _file: BLOCK
    known = Engine(settings, moderation=lambda _task: moderation, confirm_verdict=confirm)
    async with known as engine:
        assert await engine.settled("t")
    assert [isinstance(event, SliceJudged) and event.kept for event in told] == [True] * 3
    assert len(list((tmp_path / "out").rglob("*.ogg"))) == 3


@pytest.mark.parametrize("transcripts", [False, True])
async def test_a_transcript_is_stored_beside_its_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transcripts: bool
) -> None:
    heard = replace(BLOCK, text="go away", transcript=(Segment(0.5, 1.0, "go away"),))
    answers = iter([heard, PASS, replace(heard, suggest=Suggest.PASS)])
    install(monkeypatch, ScriptedSupplier(lambda _file: next(answers)), "acme")
    settings = Settings(
        moderation=ModerationSettings(transcripts=transcripts),
        spool=SpoolSettings(folder=str(tmp_path / "spool")),
    )
    async with Engine(settings) as engine:
        await engine.create(task_of(tmp_path, Keep.HITS))
        finished = await engine.finished("t")
    assert (finished.stored, finished.judged, finished.kept, finished.lost) == (1, 3, 0, 0)
    (audio,) = (tmp_path / "out").rglob("*.ogg")
    found = list((tmp_path / "out").rglob("*.json"))
    assert found == ([audio.with_suffix(".json")] if transcripts else [])
    for path in found:
        transcript = json.loads(path.read_bytes())
        assert transcript["slice"] == audio.relative_to(tmp_path / "out").as_posix()
        assert transcript["words"] == [{"begin": 0.5, "end": 1.0, "text": "go away"}]


async def pictures_of(tmp_path: Path, moderation: ModerationSettings) -> list[str]:
    """What becomes of eight pictures, of which the fourth to the sixth differ: in short."""
    frames = [
        encode_pictures("vp8", [Painter(colour=(level, 60, 40)).draw(1)])[0]
        for level in (200, 200, 200, 20, 80, 140, 200, 200)
    ]
    spec = TaskSpec(
        show(tmp_path / "ada.rtpdump", frames),
        (tmp_path / "out").as_uri(),
        SliceParams(None, VideoSpec(1)),
        task="t",
        moderation=Moderation(ACME, Keep.ALL),
    )
    settings = Settings(moderation=moderation)
    async with Engine(settings) as engine, engine.events("t") as events:
        finished = await engine.finished(await engine.create(spec))
    told = [event async for event in events if isinstance(event, SliceJudged | SliceUnjudged)]
    verdicts = [event.verdict for event in told if isinstance(event, SliceJudged)]
    assert (finished.judged, finished.unjudged) == (len(verdicts), 0)
    assert finished.stored == len(told), "all are kept"
    return [
        "left out" if isinstance(one, SliceUnjudged) else "again" if one.verdict.repeated else "new"
        for one in told
    ]


async def test_a_picture_that_is_the_last_one_again_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supplier = ScriptedSupplier()
    install(monkeypatch, supplier, "acme")
    told = await pictures_of(tmp_path, ModerationSettings(repeat_distance=4))
    assert told == ["new", "again", "again", "new", "new", "new", "new", "again"]
    assert len(supplier.asked) == 5


async def test_sampling_is_told_for_each_picture_that_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supplier = ScriptedSupplier()
    install(monkeypatch, supplier, "acme")
    told = await pictures_of(tmp_path, ModerationSettings(sample_every=3))
    assert told == ["new", "left out", "left out"] * 2 + ["new", "left out"]
    assert len(supplier.asked) == 3


async def test_a_file_of_no_task_is_judged_in_its_turn_and_its_account_stays() -> None:
    office = Office()
    assert await office.judges.judge(file_of("ada/0"), ACME) == PASS
    office.judges.sweep()
    assert office.judges.open_now == 1
    office.supplier.gate.clear()
    asking = asyncio.ensure_future(office.judges.judge(file_of("ada/1"), ACME))
    behind = asyncio.ensure_future(office.judges.judge(file_of("bo/1"), ACME))
    await settle()
    asking.cancel()
    await settle()
    office.supplier.gate.set()
    assert await behind == PASS
    await settle()
    counts = office.judges.counters
    assert (counts["taken"], counts["judged"], counts["gone"]) == (3, 2, 1)
    await office.judges.close()
