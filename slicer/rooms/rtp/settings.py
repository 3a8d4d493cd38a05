"""The settings of RTP that is sent to us."""

from dataclasses import dataclass

from slicer.config import DAY, bounded


@dataclass(frozen=True, slots=True)
class RtpSettings:
    """When a sender of plain RTP is gone."""

    silence: float = bounded(10.0, 1, DAY)
    """Seconds without a packet after which the sender is gone; another one may come then."""
