"""Which pictures a supplier need not see: an anchor's last one again, and those that sampling
leaves out. Both are off unless the operator sets them, and audio is always judged.

A picture whose thumbnail is within `repeat_distance` of the anchor's last judged one has that one's
verdict, for `repeat_seconds` at most. It is compared with what a supplier has seen, not with what
was repeated last, so that a picture that changes slowly is judged again.

Of the others, one in `sample_every` is judged, beginning with an anchor's first; one in
`sample_after_hit` for `sample_hit_seconds` after anything of that anchor was a hit, audio included.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from math import inf

from slicer.delivery.delivery import Delivery
from slicer.media import thumbnail
from slicer.media.slice import SliceInfo
from slicer.moderation import Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind, Role

MAX_ANCHORS = 10_000
"""Of one account, that are remembered; of more, those not heard of for longest are forgotten, and
are then looked at as if they were new."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of an anchor's next picture. *verdict*: the last one's, and this one's too, if
    its thumbnail is within *distance* of *thumbnail*; None: it is not compared. *left_out*: any
    other is passed over by sampling. It changes with no one, so that any thread may ask."""

    verdict: Verdict | None = None
    thumbnail: bytes = b""
    distance: int = 0
    left_out: bool = False

    def repeated(self, small: bytes) -> Verdict | None:
        """The verdict of the last picture, if one with this thumbnail is that one again."""
        if self.verdict is None or thumbnail.distance(self.thumbnail, small) > self.distance:
            return None
        return replace(self.verdict, repeated=True)


@dataclass(slots=True)
class _Anchor:
    """*thumbnail* and *verdict*: of its last picture that a supplier has judged, at *judged_at*;
    *left_out*: pictures since the last that was not left out by sampling."""

    thumbnail: bytes = b""
    verdict: Verdict | None = None
    judged_at: float = -inf
    hit_at: float = -inf
    left_out: int | None = None


class Selection:
    """What is remembered of one account's anchors. *now* is the caller's."""

    def __init__(self, settings: ModerationSettings) -> None:
        self._settings = settings
        self._anchors: OrderedDict[tuple[str, str, Role], _Anchor] = OrderedDict()

    @property
    def repeats(self) -> bool:
        """Whether pictures need thumbnails."""
        return self._settings.repeat_distance > 0

    def __len__(self) -> int:
        """Anchors that are remembered."""
        return len(self._anchors)

    def repeated(self, delivery: Delivery, now: float) -> Verdict | None:
        """The verdict of an earlier, equal picture."""
        if self.repeats and delivery.kind is Kind.VIDEO:
            self._anchor(delivery)  # it is heard of
        return self.outlook(delivery, now).repeated(delivery.thumbnail)

    def leaves_out(self, delivery: Delivery, now: float) -> bool:
        """Whether sampling passes over this picture. Asked once of each that is not repeated."""
        if self._settings.sample_every == 1 or delivery.kind is not Kind.VIDEO:
            return False
        anchor = self._anchor(delivery)
        if not self._passes_over(anchor, now):
            anchor.left_out = 0
            return False
        assert anchor.left_out is not None
        anchor.left_out += 1
        return True

    def outlook(self, delivery: Delivery, now: float) -> Outlook:
        """What `repeated` and `leaves_out` will say. Changes nothing, and may be asked at any
        time."""
        anchor = self._anchors.get(_key(delivery)) if delivery.kind is Kind.VIDEO else None
        if anchor is None:
            return Outlook()
        fresh = self.repeats and self._is_fresh(anchor, now)
        return Outlook(
            anchor.verdict if fresh else None,
            anchor.thumbnail,
            self._settings.repeat_distance,
            self._passes_over(anchor, now),
        )

    def note(self, delivery: Delivery, verdict: Verdict, now: float) -> None:
        """A slice has a verdict, of its own or a repeated one."""
        if not self.repeats and self._settings.sample_every == 1:
            return
        anchor = self._anchor(delivery)
        if verdict.hit:
            anchor.hit_at = now
        if delivery.kind is Kind.VIDEO and not verdict.repeated:
            anchor.thumbnail, anchor.verdict = delivery.thumbnail, verdict
            anchor.judged_at = now

    def _is_fresh(self, anchor: _Anchor, now: float) -> bool:
        return now - anchor.judged_at <= self._settings.repeat_seconds

    def _passes_over(self, anchor: _Anchor, now: float) -> bool:
        every = self._settings.sample_every
        if now - anchor.hit_at <= self._settings.sample_hit_seconds:
            every = min(every, self._settings.sample_after_hit)
        return anchor.left_out is not None and anchor.left_out + 1 < every

    def _anchor(self, delivery: Delivery) -> _Anchor:
        key = _key(delivery)
        anchor = self._anchors.get(key)
        if anchor is None:
            anchor = self._anchors[key] = _Anchor()
            if len(self._anchors) > MAX_ANCHORS:
                self._anchors.popitem(last=False)
        self._anchors.move_to_end(key)
        return anchor


def _key(delivery: Delivery) -> tuple[str, str, Role]:
    assert isinstance(delivery.info, SliceInfo), "nobody judges a manifest"
    info = delivery.info
    return info.task, info.anchor, info.role  # a screen is not compared with a face
