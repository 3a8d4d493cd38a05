"""The settings of rooms on WHEP servers."""

from dataclasses import dataclass

from slicer.config import ADDRESS, DAY, bounded, secret, spelled


@dataclass(frozen=True, slots=True)
class WhepSettings:
    """How to play from WHEP servers, and what it may take."""

    bearer: str = secret("SLICER_WHEP_BEARER")
    """The token that is sent as `Authorization: Bearer`, unless the room's URL has one."""
    poll: float = bounded(2.0, 0.2, 3_600)
    """Seconds between two looks at who is there."""
    timeout: float = bounded(10.0, 0.1, 600)
    """Seconds a server may take for an answer."""
    connect_timeout: float = bounded(20.0, 0.1, 600)
    """Seconds that ICE and DTLS may take together."""
    max_body: int = 256 * 1024
    """Largest answer or list taken, in bytes."""
    max_anchors: int = 100
    """Anchors of a room that are played at once; more are told and left out."""
    silence: float = bounded(15.0, 1, DAY)
    """Seconds without an authenticated datagram (SRTP, STUN) after which an anchor is gone."""
    advertise: tuple[str, ...] = spelled((), ADDRESS)
    """Addresses to offer as ICE candidates; empty: this host's own."""
