"""One slice on its way from its cut to a store: its phases, as data, and what it holds.

Theory of operation. The way has four stages: make its file, judge it, store it, tell. A slice is in
one phase at a time, and `Delivery.enter` is the one place where a phase changes: it refuses what
TRANSITIONS does not hold. All of it happens on the loop's thread; threads make, write and read
files, and say so when they are done. Only the outbox that holds a slice moves it.

    MAKING     Its file is made and, with a spool, a thread writes it there. On the disk
               is nothing, or a `.part` that counts for nothing. A crash costs the slice. Where
               several processes share tasks, it may wait here for its permission (sharing.py),
               on the disk; the next start asks again.
    WAITING    Its cut waits in memory for an upload to be free: there is no spool, or its disk
               fails. The file is made then, and anew for each try: a keyframe is a tenth of its
               picture, so many more cuts fit into the same memory. A crash costs the slice.
    JUDGING    The file waits for a supplier's verdict (judging.py): in the spool, as a record of
               its own kind, or in memory. A crash has it judged anew, or costs the slice. A task
               without moderation never enters it. The verdict is confirmed before it is left: to be
               stored, or, where it is not to be kept, to be gone. A picture that no supplier is
               to see and no store is to have (unmade.py) enters it without a file, and leaves it at
               once; only where that is not confirmed is its file made, for the next start.
    READY      The file is there: a record in the spool (`SliceSpooled`), or (on its way from
               WAITING) in memory for a moment. A crash costs nothing that is in the spool.
    UPLOADING  A store has been asked, and has not answered. A crash sends it again from the spool,
               under the same key with the same bytes.
    BACKOFF    A try failed; a timer puts it back into its place in its track. A crash as in READY
               or WAITING: the next start tries at once.
    GONE       A store has it, or it is lost, or the outbox closed and its record is left to the
               next start. `SliceStored` is emitted before its record is removed; a crash between
               the two sends it, and emits the event, once more.

A slice begins in MAKING, which it leaves at once for WAITING where there is no spool, and for READY
where an earlier process left its record. Whatever a phase needs to survive a crash is on the disk
before it is entered: the rename of the record comes before READY, and the confirmation of
`SliceStored` or `SliceJudged` before the unlink.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.clock import Timer
from slicer.delivery.sharing import Permission
from slicer.media.extent import extent
from slicer.media.slice import File, Info, ManifestInfo, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import AudioCut, Cut

if TYPE_CHECKING:
    from slicer.delivery.judging import Judge

OBJECT_BYTES = 160
"""What Python adds to each packet or frame held: the tuple, two integers, the bytes' header."""


Unless = Callable[[bytes], bool]
"""Says of a picture's thumbnail, in any thread, that its file is for nobody."""
MakeUnless = Callable[[Unless], File | bytes]
"""Gives, in a thread, the file of a picture, or its thumbnail where that is so. Raises
MediaError."""


class Phase(Enum):
    """Where a slice is on its way."""

    MAKING = auto()
    WAITING = auto()
    JUDGING = auto()
    READY = auto()
    UPLOADING = auto()
    BACKOFF = auto()
    GONE = auto()

    # Enum's own is a function in Python, and phases are looked up a dozen times for each slice.
    __hash__ = object.__hash__


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.MAKING: frozenset({Phase.WAITING, Phase.JUDGING, Phase.READY, Phase.GONE}),
    Phase.WAITING: frozenset({Phase.MAKING, Phase.GONE}),
    Phase.JUDGING: frozenset({Phase.MAKING, Phase.WAITING, Phase.READY, Phase.GONE}),
    Phase.READY: frozenset({Phase.UPLOADING, Phase.GONE}),
    Phase.UPLOADING: frozenset({Phase.BACKOFF, Phase.GONE}),
    Phase.BACKOFF: frozenset({Phase.WAITING, Phase.READY, Phase.GONE}),
    Phase.GONE: frozenset(),
}
SENDABLE = frozenset({Phase.WAITING, Phase.READY})
"""An upload may begin with it."""
DROPPABLE = SENDABLE | {Phase.JUDGING, Phase.BACKOFF}
"""It waits, and no thread and no store has it: it may be given up by hand."""
NOT_PERMITTED = "another worker has its task"
"""Why a slice that has no permission is lost."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One slice on its way, compared by identity.

    *size*: bytes of memory that its cut holds, from the spool on bytes of its file. *make* gives
    the file, in a thread, perhaps several times; it raises MediaError where there is nothing that
    can be decoded. Of a picture in the midst of its group it gives what `decoding.py` has made. It
    is None once the file is in the spool, at *path*. *make_unless* is there for a picture that may
    be decoded and not encoded (`unmade.py`). *due*: the *now* after which the file comes late;
    *deadline*: after which the slice is given up; *sendable_since*: since which it could be sent.
    *file* is set while it need not be made or read once more. *timer* runs in BACKOFF alone.
    *judge*: who judges it before it is stored; *thumbnail*: of a picture, where the judge wants it
    and this process has made the file. *permission*: whether it may be delivered, which is known
    later; None: it may.
    """

    info: Info
    size: int
    make: Callable[[], File] | None = None
    due: float = inf
    phase: Phase = Phase.MAKING
    number: int = 0
    """The order of cutting."""
    deadline: float = inf
    path: Path | None = None
    sendable_since: float = 0.0
    file: File | None = None
    failures: int = 0
    trouble: str = ""
    """Why its last try failed."""
    timer: Timer | None = None
    judge: "Judge | None" = None
    thumbnail: bytes = b""
    permission: Permission | None = None
    make_unless: MakeUnless | None = None
    light: bool = False
    """Its file is made as `media.slice.is_light` says."""
    refused: str = ""
    """Why the outbox has not taken it."""
    queue: tuple[str, ...] = field(init=False)
    """What is of one queue is stored in the order of cutting: a track, or a manifest alone."""
    kind: Kind = field(init=False)
    """Whose turn it takes. A manifest is small and goes with the audio."""
    holder: tuple[str, ...] = field(init=False)
    """Whose share it takes: its task and its anchor."""

    def __post_init__(self) -> None:
        match self.info:
            case SliceInfo(track=track):
                self.queue, self.kind = track, track.kind
                self.holder = track.task, track.anchor
            case ManifestInfo(task=task):
                self.queue, self.kind = (task,), Kind.AUDIO
                self.holder = (task,)

    def maker(self, unless: Unless | None = None) -> Callable[[], File | bytes]:
        """What makes its file, in a thread; or, where it can ask *unless*, perhaps its thumbnail
        alone."""
        # It holds the cut, and is asked once: afterwards the file is made, or the slice is gone.
        make_unless, self.make_unless = self.make_unless, None
        if unless is not None and make_unless is not None:
            return partial(make_unless, unless)
        assert self.make is not None
        return self.make

    @property
    def gone(self) -> bool:
        """It is done with, one way or another."""
        return self.phase is Phase.GONE

    def enter(self, phase: Phase) -> None:
        """Go into another phase. Raises ValueError where the table has no such step."""
        if phase not in TRANSITIONS[self.phase]:
            raise ValueError(f"{self.info.key}: no step from {self.phase.name} to {phase.name}")
        self.phase = phase
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def memory_of(cut: Cut) -> int:
    """Bytes of memory a cut holds."""
    if isinstance(cut, AudioCut):
        return extent(cut.packets)[0] + OBJECT_BYTES * len(cut.packets)
    return sum(map(len, cut.frames)) + OBJECT_BYTES * len(cut.frames)
