"""The settings of moderation: how suppliers are asked, and what is kept of their answers."""

from dataclasses import dataclass

from slicer.config import DAY, bounded


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
