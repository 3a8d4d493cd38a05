"""Whom we tell: messages of TRTC's form, kept on disk until their receiver has taken them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """How messages are sent."""

    allow_private: bool = False
    """Whether a receiver may have a private, loopback or otherwise local address."""
    trtc_minute: bool = False
    """Give a message up when it is a minute old, as TRTC does; otherwise after 24 h."""
    bound: int = 100_000
    """Messages that may wait; one more is refused and counted."""
