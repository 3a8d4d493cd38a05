"""The settings of moderation: how suppliers are asked, and what is kept of their answers."""

from dataclasses import dataclass

from slicer.config import DAY, bounded, secret


@dataclass(frozen=True, slots=True)
class ModerationSettings:
    """How suppliers are asked. One account of one supplier is asked by all tasks that name it."""

    concurrency: int = bounded(8, 1, 256)
    """Requests to one account side by side."""
    rate: float = bounded(0.0, 0, 10_000)
    """Requests a second to one account; 0: as many as are needed."""
    timeout: float = bounded(10.0, 0.1, 600)
    """Seconds that a request may take."""
    max_age: float = bounded(3_600.0, 1, DAY)
    """Seconds that a slice may wait for its verdict; then it is told as unjudged."""
    raw: bool = False
    """Whether callbacks carry the supplier's own answer, too."""
    check: bool = True
    """Whether an account is tried when its first task begins."""
    repeat_distance: int = bounded(0, 0, 64)
    """Grey levels, of 256, by which the blocks of a picture may differ from those of the anchor's
    last judged one, whose verdict is then repeated; 0: never."""
    repeat_seconds: float = bounded(60.0, 1, DAY)
    """Seconds for which a verdict may be repeated."""
    sample_every: int = bounded(1, 1, 1_000)
    """One of so many pictures of an anchor is judged; 1: all."""
    sample_after_hit: int = bounded(1, 1, 1_000)
    """One of so many, where that is more often, of an anchor that had a hit lately."""
    sample_hit_seconds: float = bounded(600.0, 1, DAY)
    """Seconds after which a hit is no longer lately."""
    webhook_url: str = ""
    """The service that supplier `webhook` asks."""
    webhook_secret: str = secret("SLICER_MODERATION_WEBHOOK_SECRET")
    """What its requests are signed with; empty: not at all."""
    tencent_region: str = "ap-guangzhou"
    """Where Tencent's suppliers are asked (`tianyu`, `ace`)."""
    tencent_endpoint: str = ""
    """A URL to be asked instead of Tencent's own, such as a proxy's."""
