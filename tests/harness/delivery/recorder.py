"""Records what an outbox tells of its slices."""

import asyncio
from dataclasses import dataclass, field

from slicer.delivery.judging import Outcome
from slicer.errors import SlicerError
from slicer.media.slice import File, Info
from slicer.storage import Receipt


@dataclass
class Recorder:
    """All that an outbox has told, by key. *failed*: with whether that was the end of the slice;
    *overflow*: how many slices each telling was of; *confirms*: what a stored slice's record waits
    for."""

    adopted: list[str] = field(default_factory=list)
    spooled: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    failed: list[tuple[str, SlicerError, bool]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    overflow: list[int] = field(default_factory=list)
    recovered: list[tuple[str, str]] = field(default_factory=list)
    judged: list[tuple[str, Outcome, bool]] = field(default_factory=list)
    confirms: asyncio.Future[None] | None = None

    @property
    def trouble(self) -> list[tuple[str, SlicerError]]:
        """The failures that were not the end."""
        return [(key, error) for key, error, final in self.failed if not final]

    @property
    def lost(self) -> list[tuple[str, SlicerError]]:
        return [(key, error) for key, error, final in self.failed if final]

    def on_adopted(self, info: Info) -> None:
        self.adopted.append(info.key)

    def on_spooled(self, file: File) -> None:
        self.spooled.append(file.info.key)

    def on_stored(
        self, file: File, receipt: Receipt, destination: str
    ) -> asyncio.Future[None] | None:
        key = file.info.key
        assert receipt == Receipt(key, len(file.data), f"etag of {key}")
        self.stored.append(key)
        self.destinations.append(destination)
        return self.confirms

    def on_judged(self, info: Info, outcome: Outcome, keep: bool) -> asyncio.Future[None] | None:
        self.judged.append((info.key, outcome, keep))
        return self.confirms

    def on_recovered(self, task: str, destination: str) -> None:
        self.recovered.append((task, destination))

    def on_failed(self, info: Info, error: SlicerError, final: bool) -> None:
        self.failed.append((info.key, error, final))

    def on_kept(self, info: Info) -> None:
        self.kept.append(info.key)

    def on_made(self, info: Info) -> None:
        self.made.append(info.key)

    def on_late(self, info: Info) -> None:
        self.late.append(info.key)

    def on_overflow(self, count: int) -> None:
        self.overflow.append(count)
