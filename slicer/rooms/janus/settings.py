"""The settings of Janus rooms: what they ask a robot for, and how its connections behave."""

from dataclasses import dataclass

from slicer.config import ADDRESS, DAY, bounded, secret, spelled


@dataclass(frozen=True, slots=True)
class JanusSettings:
    """Secrets for every Janus room; those in a room's URL come before these."""

    api_secret: str = secret("SLICER_JANUS_API_SECRET")
    """Janus' own `api_secret`, where it has one."""
    token: str = secret("SLICER_JANUS_TOKEN")
    """A token of Janus' stored or signed ones, where it asks for them."""
    pin: str = secret("SLICER_JANUS_PIN")
    """The PIN of the rooms, where they have one."""
    pause: bool = True
    """Whether video is paused at Janus between pictures."""
    silence: float = bounded(15.0, 1, DAY)
    """Seconds without any datagram after which an anchor's connection is made anew; an anchor that
    sends no media for as long is told."""
    advertise: tuple[str, ...] = spelled((), ADDRESS)
    """Addresses to offer as ICE candidates; empty: all of this host."""
