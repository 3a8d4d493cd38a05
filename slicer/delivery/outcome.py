"""What can become of a slice in an outbox: the listener's calls, and the counters."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from slicer.delivery.delivery import Delivery
from slicer.delivery.judging import Outcome
from slicer.errors import SlicerError
from slicer.media.slice import File, Info
from slicer.storage import Receipt


@dataclass(slots=True)
class OutboxCounters:
    """What became of every slice:
    offered + adopted = overflowed + stored + unkept + dropped + abandoned + kept + held."""

    offered: int = 0
    adopted: int = 0
    """Found in the spool at the start."""
    overflowed: int = 0
    """Refused because a bound was reached, or because the outbox was closed."""
    stored: int = 0
    stored_bytes: int = 0
    unkept: int = 0
    """Judged, and not to be stored."""
    dropped: int = 0
    """Given up: no file could be made, the store failed for too long, or the spool is full."""
    abandoned: int = 0
    """Still in memory when the outbox was closed."""
    kept: int = 0
    """Still in the spool when the outbox was closed."""
    failures: int = 0
    """Tries that failed and are repeated."""
    spooled: int = 0
    late: int = 0
    """Made after they were due; not lost for that."""
    recovered_packets: int = 0
    """Lost packets of Opus had by in-band FEC, in the files that were made."""
    concealed_holes: int = 0
    """Holes in Opus that a decoder conceals, or that are silence, in the files that were made."""


class OutboxListener(Protocol):
    """Hears what becomes of slices, on the loop's thread. Must not block or raise."""

    def on_adopted(self, info: Info) -> None:
        """The slice was found in the spool at the start, and is on its way again."""
        ...

    def on_spooled(self, file: File) -> None: ...

    def on_made(self, info: Info) -> None:
        """The file of this slice is there for the first time."""
        ...

    def on_late(self, info: Info) -> None:
        """The file of this slice was made after it was due. It is delivered all the same."""
        ...

    def on_stored(self, file: File, receipt: Receipt, destination: str) -> Awaitable[None] | None:
        """*destination*: the label of the store that has it. An awaitable that is returned is the
        confirmation: the record stays in the spool until it is done. Where it fails, the slice is
        sent again at the next start."""
        ...

    def on_judged(self, info: Info, outcome: Outcome, keep: bool) -> Awaitable[None] | None:
        """A slice was judged, or nobody could; *keep*: it is stored now, else it is done with. An
        awaitable that is returned is the confirmation, as of `on_stored`: until it is done the
        slice goes nowhere, and where it fails the next start has it judged again."""
        ...

    def on_failed(self, info: Info, error: SlicerError, final: bool) -> None:
        """*final*: this slice is lost. Otherwise it is tried again, and this kind of failure
        (refused, unavailable) is not reported again for this task until the first store has
        taken something."""
        ...

    def on_recovered(self, task: str, destination: str) -> None:
        """The first store, whose failures this task was told of, takes slices again."""
        ...

    def on_kept(self, info: Info) -> None:
        """The outbox closed; the slice is in the spool, and is sent at the next start."""
        ...

    def on_overflow(self, count: int) -> None:
        """*count* slices were refused since the last call, a second ago or longer."""
        ...


def tell_made(
    counters: OutboxCounters, listener: OutboxListener, delivery: Delivery, file: File, now: float
) -> None:
    """A slice's file is there for the first time: count what it is like, and tell of it."""
    counters.recovered_packets += file.recovered
    counters.concealed_holes += file.concealed
    listener.on_made(delivery.info)
    if now > delivery.due:
        counters.late += 1
        listener.on_late(delivery.info)
