"""The settings of rooms on LiveKit servers."""

from dataclasses import dataclass
from enum import StrEnum

from slicer.config import ADDRESS, DAY, bounded, secret, spelled


class Quality(StrEnum):
    """The layer of a video that is sent in several (simulcast, SVC)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    """How to enter LiveKit's rooms, and what it may take."""

    key: str = secret("SLICER_LIVEKIT_KEY")
    """The name of an API key. With its secret, a token is made for each robot."""
    secret: str = secret("SLICER_LIVEKIT_SECRET")
    """The API key's secret."""
    quality: Quality = Quality.HIGH
    """The layer that pictures are taken of."""
    pause: bool = True
    """Whether video is paused at the server between pictures."""
    timeout: float = bounded(10.0, 0.1, 600)
    """Seconds the server may take to let us in, or back in."""
    connect_timeout: float = bounded(20.0, 0.1, 600)
    """Seconds that ICE and DTLS may take together."""
    max_message: int = 1024 * 1024
    """Largest message taken, in bytes."""
    silence: float = bounded(15.0, 1, DAY)
    """Seconds without an authenticated datagram (SRTP, STUN) after which the connection is lost."""
    advertise: tuple[str, ...] = spelled((), ADDRESS)
    """Addresses to offer as ICE candidates; empty: this host's own."""
