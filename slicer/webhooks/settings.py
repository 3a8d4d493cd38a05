"""The settings of webhooks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How webhooks are sent."""

    allow_private: bool = False
    """Whether a subscriber may have a private, loopback or otherwise local address."""
    trtc_minute: bool = False
    """Give a webhook up when it is a minute old, as TRTC does; otherwise after 24 h."""
    bound: int = 100_000
    """Webhooks that may wait; one more is refused and counted."""
