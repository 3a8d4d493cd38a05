"""The settings of TRTC's own rooms."""

from dataclasses import dataclass

from slicer.config import bounded, secret


@dataclass(frozen=True, slots=True)
class TrtcSettings:
    """Which application the robots belong to, and how long they wait to be let in."""

    sdk_app_id: int = bounded(0, 0, 2**32 - 1)
    """The application of the rooms; 0: none, and `trtc://` is refused."""
    usersig_key: str = secret("SLICER_TRTC_USERSIG_KEY")
    """The application's key, by which robots sign their UserSig."""
    enter_timeout: float = bounded(10.0, 1, 120)
    """Seconds after which a room that has not let the robot in is given up."""
