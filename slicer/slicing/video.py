"""The frame grabber: every M seconds of media time, one frame that can be decoded.

Theory of operation. It sleeps most of the time. When a frame is due it wakes, asks for a keyframe
until one comes, and takes the first intact one: then one frame is decoded for each picture. Some
sources never answer. Of those it keeps the frames from each keyframe on, so that the frame due
itself can be decoded; that costs memory and decoding, but needs nothing from the sender.

    TRYING ──a request is answered──▶ ASLEEP ──due──▶ ASKING ──keyframe──▶ ASLEEP
       │ none                                           │ no answer
       ▼                                                ▼
    KEEPING ◀───────────────────────────────────────────┘
       └──ANSWERS probes in a row are answered──▶ ASKING

*Trying.* At first it is not known whether a source answers, and it may be minutes to the next
keyframe of one that does not. So the frames are kept from the very first keyframe on, as in
KEEPING, and another is asked for ASK_AGAIN after it. Usually that comes, and what was kept is
dropped: it costs one keyframe and the frames of half a second, once a source.

*Frames kept.* A cut takes the frames along that came since the last cut of their group,
and whoever decodes them holds the decoder until the next: each frame is handed over once, however
long the group. A keyframe drops what was not handed over, so nobody decodes it. Where the picture
is far, MAX_PENDING_FRAMES or MAX_PENDING_BYTES are handed over ahead of it (GroupFrames). While
TRYING, a picture that is the keyframe itself leaves it in its group, and needs no such decoder.

*What is an answer.* A keyframe that follows a request may be one of the source's own. While ASKING,
one that begins more than ANSWER after the first request, with no packet missing since, is no
answer. One for which a second request was needed is a miss, and MISSES more of them than of prompt
ones are no answer either. Where packets are missing, so may be the requests and the keyframes'
beginnings: only PATIENCE without any keyframe counts then. A request counts as answered when a
keyframe begins, whole or not: over a lossy path many keyframes are lost, and a source that answers
must not be taken for one that does not.

In KEEPING a source is probed every PROBE seconds. The keyframes that come by themselves show how
long its groups are. So a probe goes out soon after such a keyframe, and an answer must begin within
ANSWER and well before the next of them is to be expected, or long after that.

*decodable* is the track's knowledge that nothing a frame depends on was lost. Without it no frame
but a keyframe is kept, so a picture is never painted over a hole.
"""

from collections import Counter
from enum import Enum, auto

from slicer.rtp.codecs.frame import Frame
from slicer.rtp.stream import Ordered
from slicer.slicing.outputs import GroupFrames, Missing, PictureCut, PictureMissing, TrackKey
from slicer.slicing.spec import VideoSpec

# Browsers drop a request that comes less than some 300 ms after a keyframe: ask again.
ASK_AGAIN = 0.5
PATIENCE = 4.0
ANSWER = 1.0
MISSES = 2
# While keeping frames, how often a source is asked whether it answers by now; and how often where
# it has just done so, or where there is no keyframe to keep frames from.
PROBE = 60.0
PROBE_SOON = 5.0
ANSWERS = 2
# After so long without a packet, the wait for an answer begins anew.
SILENT = 1.0
# Seconds from the first packet of the time due to the picture's, as they come or by their media
# time, from which it counts as late: an answer to the second request comes within it.
LATE = 0.75
# Seconds that packets come without the picture due until that is told.
MISSING_AFTER = 10.0
# Frames kept for a picture: half a second of decoding at 720p, and 5 s at 26 Mbit/s.
MAX_PENDING_FRAMES = 300
MAX_PENDING_BYTES = 16 << 20


class Mode(Enum):
    """What the grabber does with packets."""

    TRYING = auto()
    ASLEEP = auto()
    ASKING = auto()
    KEEPING = auto()


class Group:
    """The frames of a group of pictures that no cut has taken yet. *keyframe*: its media time."""

    def __init__(self, keyframe: int) -> None:
        self.keyframe, self.first, self.size = keyframe, 0, 0
        self.frames: list[bytes] = []

    @property
    def many(self) -> bool:
        return len(self.frames) >= MAX_PENDING_FRAMES or self.size >= MAX_PENDING_BYTES

    @property
    def begins(self) -> bool:
        """There is its keyframe alone."""
        return self.first == 0 and len(self.frames) == 1

    def add(self, data: bytes) -> None:
        self.frames.append(data)
        self.size += len(data)

    def take(self) -> tuple[int, tuple[bytes, ...]]:
        """The place of the first frame in the group, and the frames."""
        first, frames = self.first, tuple(self.frames)
        self.first, self.size = first + len(frames), 0
        self.frames = []
        return first, frames


class FrameGrabber:
    """Takes the pictures of one track. *can_ask*: the source may be asked for keyframes."""

    def __init__(
        self, track: TrackKey, spec: VideoSpec, can_ask: bool, counters: Counter[str]
    ) -> None:
        self.track = track
        self.spec = spec
        self.counters = counters
        self._answers = Answers(can_ask, counters)
        self._epoch = -1
        self._due: int | None = None
        self._overdue: tuple[float, int] | None = None  # since when, and since which media time
        self._told = False
        self._group: Group | None = None

    @property
    def mode(self) -> Mode:
        return self._answers.mode

    @property
    def wakes_at(self) -> int | None:
        """The media time until which packets are of no use; None while they are."""
        return self._due if self.mode is Mode.ASLEEP else None

    def observe(self, timestamp: int, epoch: int, contiguous: bool, now: float) -> None:
        """A packet of this media time came; it may have been passed over unread."""
        if epoch != self._epoch:
            self._epoch, self._due = epoch, timestamp
            self._overdue, self._told = None, False
            self._group = None
            self._answers.begin()
        assert self._due is not None
        back = self._answers.observe(timestamp >= self._due, contiguous, now)
        if timestamp >= self._due and (self._overdue is None or back):
            self._overdue = now, timestamp

    def keyframe_began(self, timestamp: int, now: float) -> None:
        """The first packet of a keyframe came: the source answers, even if the rest is lost."""
        self._answers.keyframe_began(timestamp, now)
        if self.mode is Mode.ASLEEP:
            self._group = None

    def receive(
        self, frame: Frame, decodable: bool, last: Ordered
    ) -> list[PictureCut | GroupFrames]:
        """Take a whole frame and its last packet. *decodable*: none it depends on was lost."""
        if self._due is None or self.mode is Mode.ASLEEP:
            return []
        if frame.keyframe:
            self._group = Group(frame.timestamp)
        elif self.mode is Mode.ASKING or not decodable:
            self._group = None
        if self._group is None:
            return []
        self._group.add(frame.data)
        if frame.timestamp >= self._due:
            return [self._grab(frame, last, self._group)]
        return [self._hand_over(frame.timestamp, last, self._group)] if self._group.many else []

    def missing(self, reason: Missing) -> list[PictureMissing]:
        """Say once that the picture due cannot be had, where it is overdue. *reason*: the track's
        knowledge."""
        if self._told or self._overdue is None:
            return []
        if self._answers.seen - self._overdue[0] < MISSING_AFTER:
            return []
        self._told = True
        self.counters["picture_missing"] += 1
        return [PictureMissing(self.track, reason)]

    def wants_keyframe(self, now: float) -> bool:
        """Whether to ask now; asking is noted."""
        when = self.deadline()
        if when is None or when > now:
            return False
        self._answers.ask(now)
        return True

    def borrow(self, request: float, now: float) -> None:
        """Another connection asked the source at *request*: where a keyframe was wanted by then,
        that is as good as our own. It may be in the future of a connection that is behind."""
        at, when = min(now, request), self.deadline()
        if when is not None and when <= at:
            self._answers.ask(at, request)

    def forsaken(self) -> bool:
        """Whether what was borrowed turned out to be no good; told once."""
        forsaken, self._answers.forsaken = self._answers.forsaken, False
        return forsaken

    def deadline(self) -> float | None:
        """When to ask (again) for a keyframe."""
        return None if self._due is None else self._answers.deadline(self._group is not None)

    def _hand_over(self, timestamp: int, last: Ordered, group: Group) -> GroupFrames:
        self.counters["frames_ahead"] += 1
        first, frames = group.take()
        return GroupFrames(
            self.track, last.codec, timestamp, frames, self._epoch, group.keyframe, first
        )

    def _grab(self, frame: Frame, last: Ordered, group: Group) -> PictureCut:
        assert self._due is not None
        due, step = self._due, self.spec.seconds * last.codec.clock_rate
        self._due += (1 + (frame.timestamp - due) // step) * step
        if self._is_late(frame.timestamp, last.codec.clock_rate):
            self.counters["picture_late"] += 1
        self._overdue, self._told = None, False
        stays = self.mode is Mode.TRYING and group.begins
        first, frames = (0, (frame.data,)) if stays else group.take()
        continues = self.mode is not Mode.ASKING and not stays
        if self.mode is Mode.ASKING:
            self._answers.satisfied()
            self._group = None
        began = last.mapper.at(frame.timestamp)
        return PictureCut(
            self.track,
            last.codec,
            frame.timestamp,
            due,
            frames,
            began,
            self._epoch,
            group.keyframe,
            first,
            continues,
            frame.orientation,
        )

    def _is_late(self, timestamp: int, clock_rate: int) -> bool:
        """Whether the picture of this media time waited too long: since the first packet that was
        due came, or, where a path that was held up gives all at once, was sent."""
        if self._overdue is None:
            return False
        now, due = self._overdue
        return self._answers.seen - now > LATE or timestamp - due > LATE * clock_rate


class Answers:
    """Whether a source answers requests for keyframes, and when to send the next one."""

    def __init__(self, can_ask: bool, counters: Counter[str]) -> None:
        self.mode = Mode.TRYING if can_ask else Mode.KEEPING
        self.seen = float("-inf")
        """When the last packet came."""
        self.forsaken = False
        """Another connection asked, and no keyframe began here within ANSWER; or we had to ask
        after it, MISSES times in a row."""
        self._borrowed: float | None = None  # its first request since a keyframe began
        self._in_vain, self._own = 0, False  # so often in a row; the last request was ours
        self._can_ask, self._counters = can_ask, counters
        self._asking_since: float | None = None
        self._asked: float | None = None
        self._due = False  # a picture, at the last packet
        self._intact = True  # no packet was missing since _asking_since
        self._misses = 0
        self._keyframe: int | None = None  # the media time of the last one
        self._keyframe_at = float("-inf")
        self._shortest = float("inf")  # between keyframes that came by themselves
        self._answered = 0  # probes in a row
        self._probing = False  # the last probe has no answer yet

    def begin(self) -> None:
        """Another epoch: nothing is known of its source."""
        self._asking_since = self._asked = self._keyframe = self._borrowed = None
        self._misses = 0
        self._keyframe_at = float("-inf")
        self.mode = Mode.TRYING if self._can_ask else Mode.KEEPING
        self._forget_probes()

    def observe(self, due: bool, contiguous: bool, now: float) -> bool:
        """A packet came; *due*: of a media time at which a picture is due. Gives whether packets
        come again after a silence."""
        if self.mode is Mode.ASLEEP and due:
            self.mode = Mode.ASKING
        self._due = due
        back = now - self.seen > SILENT
        if back:
            self._borrowed = None
        elif self._borrowed is not None and now >= self._borrowed + ANSWER:
            self._forsake(now)
        self.seen = max(now, self.seen)
        if self.mode in {Mode.TRYING, Mode.ASKING} and (self._asking_since is None or back):
            self._asking_since, self._intact = now, True
        elif not contiguous:
            self._intact = False
        return back

    def keyframe_began(self, timestamp: int, now: float) -> None:
        """Judge a keyframe by its first packet; H.264 has several that look like it."""
        if timestamp == self._keyframe or self.mode is Mode.ASLEEP:
            return
        if self._borrowed is not None and not self._own:
            self._in_vain = 0
        since, first = now - self._keyframe_at, self._keyframe is None
        self._keyframe, self._keyframe_at, self._borrowed = timestamp, now, None
        if self.mode is Mode.ASKING:
            self._judge_answer(now)
        elif self.mode is Mode.KEEPING:
            self._judge_probe(since, now)
        elif first:
            self._try_soon(now)  # a source begins with one in any case
        elif self._asked is not None:
            self._judge_try(now)

    def ask(self, now: float, borrowed: float | None = None) -> None:
        """A request is sent, or was by another connection, when *borrowed* says. The wait for its
        answer begins with it, though it was due before; with our own anew."""
        self._own = borrowed is None
        after_another = self._own and self._borrowed is not None
        if self._asked is None or after_another:
            self._asking_since = now
        self._in_vain += after_another
        if after_another and self._in_vain >= MISSES:
            self.forsaken, self._borrowed = True, None
        self._asked = now
        if self._borrowed is None:
            self._borrowed = borrowed
        if self.mode is Mode.KEEPING:
            self._answered = 0 if self._probing else self._answered
            self._probing = True
        elif self._waited(now) >= PATIENCE:
            self._give_up()

    def satisfied(self) -> None:
        """The keyframe asked for came, and no other is of use: sleep."""
        self.mode, self._asking_since, self._asked = Mode.ASLEEP, None, None

    def deadline(self, keeps: bool) -> float | None:
        """When to ask (again). *keeps*: there are frames to keep."""
        if not self._can_ask or self.mode is Mode.ASLEEP:
            return None
        if self._asked is None:
            return self._asking_since
        if self.seen <= self._asked:  # the source is silent: there is nobody to ask
            return None
        if self.mode is not Mode.KEEPING:
            return self._asked + ASK_AGAIN
        if not keeps:
            return self._asked + PROBE_SOON
        return self._probe_at(self._asked + (PROBE_SOON if self._answered else PROBE))

    def _probe_at(self, due: float) -> float:
        """Soon after the first keyframe from *due* on, where they come by themselves."""
        if self._keyframe_at >= due:
            return self._keyframe_at + ASK_AGAIN
        known = self._shortest < float("inf")
        return due + min(PROBE, 2 * self._shortest) if known else due

    def _try_soon(self, now: float) -> None:
        """Ask when a browser may answer again."""
        self._asking_since, self._asked, self._intact = now + ASK_AGAIN, None, True

    def _judge_try(self, now: float) -> None:
        """Where packets are missing, whether it answers is left to the next picture."""
        waited = self._waited(now)
        if waited <= ASK_AGAIN or not self._intact:
            self._misses = 0
            if self._due:
                self.mode, self._asking_since, self._intact = Mode.ASKING, now, True
            else:
                self.satisfied()
            return
        self._misses += 1
        if waited > ANSWER or self._misses >= MISSES:
            self._give_up()
        else:
            self._try_soon(now)

    def _judge_answer(self, now: float) -> None:
        waited = self._waited(now)
        self._asking_since = now
        if self._asked is None or not self._intact:
            self._intact = True
            return
        self._misses = max(self._misses + (1 if waited > ASK_AGAIN else -1), 0)
        if waited > ANSWER or self._misses >= MISSES:
            self._give_up()

    def _forsake(self, now: float) -> None:
        """It says nothing about the source. We ask at once."""
        self.forsaken, self._borrowed = True, None
        self._asking_since, self._asked, self._intact = now, None, True
        self._probing = False

    def _judge_probe(self, since: float, now: float) -> None:
        """*since*: seconds since the keyframe before."""
        asked = self._asked is not None and now - self._asked < ANSWER
        if not asked:
            self._shortest = min(self._shortest, since)
        elif self._probing and not self._shortest / 2 <= since <= 2 * self._shortest:
            self._probing = False
            self._answered += 1
            if self._answered >= ANSWERS:
                self.mode, self._asking_since, self._intact = Mode.ASKING, now, True
                self._misses = 0

    def _give_up(self) -> None:
        self.mode = Mode.KEEPING
        self._counters["unanswered"] += 1
        self._forget_probes()

    def _forget_probes(self) -> None:
        self._shortest = float("inf")
        self._answered, self._probing = 0, False

    def _waited(self, now: float) -> float:
        return now - self._asking_since if self._asking_since is not None else 0.0
