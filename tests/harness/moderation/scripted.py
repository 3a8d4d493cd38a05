"""A supplier that says what a test wants, and the table that names it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from slicer.errors import ModerationError
from slicer.media.slice import File, SliceInfo
from slicer.moderation import SUPPLIERS, Batch, Finding, Label, Suggest, SupplierSpec, Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind

PASS = Verdict(request="r")
BLOCK = Verdict.of((Finding(Label.PORN, Suggest.BLOCK, 97, "porn"),), request="r")
Answer = Callable[[File], Verdict | ModerationError]


@dataclass
class ScriptedSupplier:
    """Answers with what *answer* gives for a file, once *gate* is open; keeps what it was asked."""

    answer: Answer = lambda _file: PASS
    account: ModerationError | None = None
    kinds: frozenset[Kind] = frozenset(Kind)
    label: str = "scripted"
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0
    closed: int = 0
    batches: dict[Kind, Batch] = field(default_factory=dict)
    together: list[list[str]] = field(default_factory=list)
    """The keys of each request that had several."""
    whole: ModerationError | None = None
    """What a request of several is answered with."""

    def __post_init__(self) -> None:
        self.gate.set()

    async def check(self) -> None:
        if self.account is not None:
            raise self.account

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        self.asked.append(file.info.key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        answer = self.answer(file)
        if isinstance(answer, ModerationError):
            raise answer
        return answer

    async def judge_batch(self, files: Sequence[File]) -> Sequence[Verdict | ModerationError]:
        self.together.append([file.info.key for file in files])
        await self.gate.wait()
        if self.whole is not None:
            raise self.whole
        return [self.answer(file) for file in files]

    async def close(self) -> None:
        self.closed += 1


def install(
    monkeypatch: pytest.MonkeyPatch, supplier: ScriptedSupplier, name: str = "tianyu"
) -> None:
    """Have *name* be this supplier wherever it is opened."""
    monkeypatch.setitem(SUPPLIERS, name, f"{__name__}:opened")
    monkeypatch.setattr("slicer.moderation.SDKS", {})
    monkeypatch.setattr(f"{__name__}.opened", lambda _spec, _settings: supplier)


def opened(_spec: SupplierSpec, _settings: ModerationSettings) -> ScriptedSupplier:
    """What `install` replaces."""
    raise NotImplementedError
