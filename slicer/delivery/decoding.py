"""Pictures out of groups that go on: a decoder kept for each track, fed in order.

Theory of operation. A picture that is one keyframe can be made by any thread at any time, and again
for another try. One in the midst of a group cannot: its cut has the frames since the last cut of
that group, and only the decoder that was fed all before them can go on. So these pictures are made
before they are offered to the outbox, which is then given the file; until then a crash costs them,
as it costs what is in MAKING. Each track that has such cuts has a *lane*: its work is done in the
order of cutting, one at a time. While there is a lane, the track's other pictures go through it as
well, so that all of them stay in order.

What is given up, each as a slice lost with its reason, and counted in `given_up`, once a group:

    broken     a frame does not decode, or is missing: nothing behind it in its group can be had
    behind     frames come faster than they are decoded: MAX_LANE_BYTES wait, or MAX_BYTES of all
    crowded    MAX_DECODERS are kept: the group's pictures after its first cannot be had

A lane's decoder goes with its group: at the next one, at a fault, and when the track ends.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from slicer.background import Background
from slicer.delivery.encoding import EncodingPool
from slicer.errors import MediaError
from slicer.media.decoder import GroupDecoder
from slicer.media.slice import File
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import GroupFrames, PictureCut, TrackKey

MAX_DECODERS = 64
"""Each takes 5 to 6 MB at 720p, and twice that at 1080p (`python -m bench.decoders`)."""
MAX_LANE_BYTES = 32 << 20
"""Of frames that wait to be decoded: twice what a cut may bring."""
MAX_BYTES = 256 << 20
"""The same, over all lanes."""

CLOSE_SECONDS = 5.0

Encode = Callable[[GroupDecoder | None], File]
"""Makes the file of a picture, in a thread; raises MediaError."""
Done = Callable[[Callable[[], File], int], None]
"""Told, on the loop's thread, what gives the file or raises why there is none, and its bytes."""

REASONS = ("broken", "behind", "crowded")


@dataclass(slots=True)
class _Work:
    """A cut in its turn. *run* does it in a thread; it holds the frames."""

    cut: PictureCut | GroupFrames | None
    group: tuple[int, int]
    first: int
    count: int
    size: int
    run: Callable[[GroupDecoder | None], File | None]
    done: Done | None = None

    @property
    def behind(self) -> bool:
        """There was no room for its frames."""
        return self.cut is None


@dataclass(slots=True)
class _Lane:
    """One track's work. *place*: of the frame of *group* that *decoder* takes next; *refused*: why
    this group is given up."""

    waiting: deque[_Work] = field(default_factory=deque)
    size: int = 0
    decoder: GroupDecoder | None = None
    group: tuple[int, int] | None = None
    place: int = 0
    refused: str = ""
    ended: bool = False


class Decoding:
    """The lanes of all tracks. For the loop's thread."""

    def __init__(self, encoding: EncodingPool, max_decoders: int = MAX_DECODERS) -> None:
        self.given_up = Counter(dict.fromkeys(REASONS, 0))
        """Groups, by reason."""
        self.decoders = 0
        """That are kept."""
        self.waiting_bytes = 0
        """Of frames that wait to be decoded, or are being decoded."""
        self._encoding, self._max_decoders = encoding, max_decoders
        self._lanes: dict[TrackKey, _Lane] = {}
        self._working = Background()

    @property
    def busy(self) -> bool:
        """Some lane has work."""
        return bool(self._working)

    @property
    def crowded(self) -> bool:
        """Half of a bound is reached: who can wait should."""
        most = max((lane.size for lane in self._lanes.values()), default=0)
        return most > MAX_LANE_BYTES // 2 or self.waiting_bytes > MAX_BYTES // 2

    def takes(self, cut: PictureCut) -> bool:
        """Whether this picture has to be made here."""
        return cut.continues or cut.first > 0 or cut.track in self._lanes

    def make(self, cut: PictureCut, encode: Encode, done: Done) -> None:
        """Make a picture in its turn. *done* is called once, never from within."""
        self._add(cut, encode, done)

    def feed(self, cut: GroupFrames) -> None:
        """Take frames that a later picture depends on."""
        self._add(cut, partial(_advance, cut.frames))

    def pass_over(self, cut: PictureCut) -> None:
        """Decode a picture's frames where later ones build on them; it is not wanted itself."""
        if cut.continues:
            self._add(cut, partial(_advance, cut.frames))

    def end(self, track: TrackKey) -> None:
        """No cut of this track follows: its decoder goes once its work is done."""
        if track in self._lanes:
            self._lanes[track].ended = True
            self._let_go(track)

    async def close(self) -> None:
        """Do what waits, for CLOSE_SECONDS at most; the rest is given up."""
        await self._working.finish(CLOSE_SECONDS)

    def _add(
        self,
        cut: PictureCut | GroupFrames,
        run: Callable[[GroupDecoder | None], File | None],
        done: Done | None = None,
    ) -> None:
        lane = self._lanes.setdefault(cut.track, _Lane())
        lane.ended = False
        size = sum(map(len, cut.frames))
        work = _Work(cut, (cut.epoch, cut.keyframe), cut.first, len(cut.frames), size, run, done)
        if lane.size + size > MAX_LANE_BYTES or self.waiting_bytes + size > MAX_BYTES:
            work.cut, work.size, work.run = None, 0, _nothing  # lets go of the frames
        lane.waiting.append(work)
        lane.size += work.size
        self.waiting_bytes += work.size
        if len(lane.waiting) == 1:
            self._working.start(self._work(cut.track, lane))

    async def _work(self, track: TrackKey, lane: _Lane) -> None:
        try:
            while lane.waiting:
                await self._do(lane, lane.waiting[0])
                self._take(lane)
        finally:
            while lane.waiting:  # closed meanwhile
                _tell_failed(self._take(lane), "not made before the end")
            self._let_go(track)

    async def _do(self, lane: _Lane, work: _Work) -> None:
        self._enter(lane, work)
        # A picture at the head of its group needs no decoder that is kept.
        if lane.refused and (work.first > 0 or work.behind or work.done is None):
            _tell_failed(work, lane.refused)
            return
        try:
            file = await self._encoding.make(Kind.VIDEO, partial(work.run, lane.decoder))
        except Exception as error:  # whatever a codec raises, it costs one group alone
            known = isinstance(error, MediaError)
            text = str(error) if known else f"{type(error).__name__}: {error}"
            self._give_up(lane, "broken", text)
            _tell_failed(work, text)
            return
        if work.done is not None and file is not None:
            work.done(partial(_give, file), file.info.size)

    def _enter(self, lane: _Lane, work: _Work) -> None:
        """Have the lane be in the group of this work, at its place."""
        if work.first == 0:
            self._keep(lane, None)
            lane.group, lane.refused = work.group, ""
            if work.cut is not None and (isinstance(work.cut, GroupFrames) or work.cut.continues):
                if self.decoders < self._max_decoders:
                    self._keep(lane, GroupDecoder(work.cut.codec.name))
                else:
                    self._give_up(lane, "crowded", f"{self._max_decoders} decoders are kept")
        elif work.group != lane.group or (work.first != lane.place and not lane.refused):
            lane.group, lane.refused = work.group, ""
            self._give_up(lane, "broken", "frames of its group are missing")
        if work.behind:
            self._give_up(lane, "behind", "frames come faster than they are decoded")
        lane.place = work.first + work.count

    def _give_up(self, lane: _Lane, reason: str, text: str) -> None:
        self._keep(lane, None)
        if not lane.refused:
            lane.refused = text
            self.given_up[reason] += 1

    def _keep(self, lane: _Lane, decoder: GroupDecoder | None) -> None:
        self.decoders += (decoder is not None) - (lane.decoder is not None)
        lane.decoder = decoder

    def _take(self, lane: _Lane) -> _Work:
        work = lane.waiting.popleft()
        lane.size -= work.size
        self.waiting_bytes -= work.size
        return work

    def _let_go(self, track: TrackKey) -> None:
        lane = self._lanes[track]
        idle = lane.decoder is None and not lane.refused
        if not lane.waiting and (lane.ended or idle):
            self._keep(lane, None)
            del self._lanes[track]


def _advance(frames: Sequence[bytes], decoder: GroupDecoder | None) -> None:
    assert decoder is not None
    decoder.add(frames)
    decoder.advance()


def _nothing(_decoder: GroupDecoder | None) -> None:
    """What is left of work whose frames had no room."""


def _give(file: File) -> File:
    return file


def _fail(text: str) -> File:
    raise MediaError(text)


def _tell_failed(work: _Work, text: str) -> None:
    if work.done is not None:
        work.done(partial(_fail, text), 0)
