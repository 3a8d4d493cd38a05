"""The settings of webhooks."""

from dataclasses import dataclass

from slicer.config import DAY, bounded


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How webhooks are sent."""

    allow_private: bool = False
    """Whether a subscriber may have a private, loopback or otherwise local address."""
    max_age: float = bounded(float(DAY), 1, 365 * DAY)
    """Seconds after which a webhook that was not taken is given up."""
    bound: int = 100_000
    """Webhooks that may wait; one more is lost, logged and counted."""
