"""The frame grabber: every M seconds of media time, one frame that can be decoded.

Theory of operation. It sleeps most of the time. When a frame is due it wakes, asks for a keyframe
until one comes, and takes the first intact one: then one frame is decoded for each picture. Some
sources never answer. Of those it keeps the current group of pictures, so that the frame due can be
decoded from its keyframe on; that costs memory and decoding, but needs nothing from the sender.

    ASLEEP ──due──▶ ASKING ──keyframe──▶ ASLEEP
                      │ unanswered for PATIENCE
                      ▼
                   KEEPING ──a request is answered after all──▶ ASLEEP

A request counts as answered when a keyframe begins, whole or not: over a lossy path many keyframes
are lost, and a source that answers must not be taken for one that does not. In KEEPING a source is
asked once each PROBE seconds, and a keyframe within ANSWER of that leads back to ASKING.

*decodable* is the track's knowledge that nothing a frame depends on was lost. Without it no frame
but a keyframe is kept, so a picture is never painted over a hole.
"""

from collections import Counter
from enum import Enum, auto

from slicer.rtp.codecs.frame import Frame
from slicer.rtp.stream import Ordered
from slicer.slicing.outputs import PictureCut, TrackKey
from slicer.slicing.spec import VideoSpec

# Browsers drop a request that comes less than some 300 ms after a keyframe: ask again.
ASK_AGAIN = 0.5
PATIENCE = 4.0
# While keeping groups, how often a source is asked whether it answers by now.
PROBE = 60.0
ANSWER = 1.0
# After so long without a packet, the wait for an answer begins anew.
SILENT = 1.0
MAX_GOP_FRAMES = 1_800
MAX_GOP_BYTES = 16 << 20


class Mode(Enum):
    """What the grabber does with packets."""

    ASLEEP = auto()
    ASKING = auto()
    KEEPING = auto()


class FrameGrabber:
    """Takes the pictures of one track. *can_ask*: the source may be asked for keyframes."""

    def __init__(
        self, track: TrackKey, spec: VideoSpec, can_ask: bool, counters: Counter[str]
    ) -> None:
        self.track = track
        self.spec = spec
        self.counters = counters
        self.mode = Mode.ASKING if can_ask else Mode.KEEPING
        self._can_ask = can_ask
        self._epoch = -1
        self._due: int | None = None
        self._asking_since: float | None = None
        self._asked: float | None = None
        self._seen = float("-inf")
        self._gop: list[bytes] = []
        self._gop_bytes = 0

    @property
    def wakes_at(self) -> int | None:
        """The media time until which packets are of no use; None while they are."""
        return self._due if self.mode is Mode.ASLEEP else None

    def observe(self, timestamp: int, epoch: int, now: float) -> None:
        """A packet of this media time came; it may have been passed over unread."""
        if epoch != self._epoch:
            self._begin_epoch(epoch, timestamp)
        assert self._due is not None
        if self.mode is Mode.ASLEEP and timestamp >= self._due:
            self.mode = Mode.ASKING
        back = now - self._seen > SILENT
        self._seen = max(now, self._seen)
        if self.mode is Mode.ASKING and (self._asking_since is None or back):
            self._asking_since = now

    def keyframe_began(self, now: float) -> None:
        """The first packet of a keyframe came: the source answers, even if the rest is lost."""
        if self.mode is Mode.ASKING:
            self._asking_since = now
        elif self.mode is Mode.KEEPING and self._asked is not None and now - self._asked < ANSWER:
            self.mode, self._asking_since = Mode.ASKING, now

    def receive(self, frame: Frame, decodable: bool, last: Ordered) -> list[PictureCut]:
        """Take a whole frame and its last packet. *decodable*: none it depends on was lost."""
        if self._due is None or self.mode is Mode.ASLEEP:
            return []
        if frame.keyframe:
            self._drop_gop()
        if not frame.keyframe and (self.mode is Mode.ASKING or not decodable or not self._gop):
            self._drop_gop()
            return []
        self._keep(frame)
        if frame.timestamp < self._due or not self._gop:
            return []
        return [self._grab(frame, last)]

    def wants_keyframe(self, now: float) -> bool:
        """Whether to ask now; asking is noted."""
        when = self.deadline()
        if when is None or when > now:
            return False
        self._asked = now
        if self.mode is Mode.ASKING and self._waited(now) >= PATIENCE:
            self.mode = Mode.KEEPING
            self.counters["unanswered"] += 1
        return True

    def deadline(self) -> float | None:
        """When to ask (again) for a keyframe."""
        if not self._can_ask or self._due is None or self.mode is Mode.ASLEEP:
            return None
        if self._asked is None:
            return self._asking_since
        if self._seen <= self._asked:  # the source is silent: there is nobody to ask
            return None
        return self._asked + (ASK_AGAIN if self.mode is Mode.ASKING else PROBE)

    def _begin_epoch(self, epoch: int, timestamp: int) -> None:
        self._epoch, self._due = epoch, timestamp
        self._ask_anew()

    def _ask_anew(self) -> None:
        self._asking_since = self._asked = None
        self._drop_gop()
        self.mode = Mode.ASKING if self._can_ask else Mode.KEEPING

    def _waited(self, now: float) -> float:
        return now - self._asking_since if self._asking_since is not None else 0.0

    def _keep(self, frame: Frame) -> None:
        self._gop.append(frame.data)
        self._gop_bytes += len(frame.data)
        if len(self._gop) > MAX_GOP_FRAMES or self._gop_bytes > MAX_GOP_BYTES:
            self.counters["gop_too_long"] += 1
            self._ask_anew()

    def _drop_gop(self) -> None:
        self._gop, self._gop_bytes = [], 0

    def _grab(self, frame: Frame, last: Ordered) -> PictureCut:
        assert self._due is not None
        due, step = self._due, self.spec.seconds * last.codec.clock_rate
        self._due += (1 + (frame.timestamp - due) // step) * step
        frames = tuple(self._gop)
        if self.mode is Mode.ASKING:
            self.mode, self._asking_since, self._asked = Mode.ASLEEP, None, None
            self._drop_gop()
        began = last.mapper.at(frame.timestamp)
        return PictureCut(self.track, last.codec, frame.timestamp, due, frames, began, self._epoch)
