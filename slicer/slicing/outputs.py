"""The outputs of the core: cuts, RTCP, subscriptions, notices. One union of frozen types."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple

from slicer.rtp.parameters import Codec, Kind
from slicer.slicing.spec import AudioSpec, VideoSpec


class TrackKey(NamedTuple):
    """Names a track: what one task takes from one anchor, of one kind."""

    task: str
    anchor: str
    kind: Kind


class AudioPacket(NamedTuple):
    """One payload as it came. *timestamp* (unwrapped) and *duration* in ticks of the codec."""

    timestamp: int
    duration: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class AudioCut:
    """The decision that [*start*, *end*) is one slice, and the packets that cover it.

    *start* and *end* are media time: ticks of the codec's RTP clock, unwrapped. *packets* are in
    order and do not overlap; they may begin before *start* (pre-roll, and a packet straddling the
    cut) and end after *end*; whoever makes the file fills the holes between them. *began* is the
    *now* at which the first sample was captured, as sender reports and arrivals map it.
    """

    track: TrackKey
    codec: Codec
    start: int
    end: int
    packets: tuple[AudioPacket, ...]
    began: float
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class PictureCut:
    """The decision that one frame is a picture.

    *frames* are whole access units from a keyframe on (Annex B for H.264, temporal units with
    sizes for AV1); the last one is the picture. Mostly there is only one. *due* and *timestamp*
    are media time; *began* is the *now* at which the picture was captured.
    """

    track: TrackKey
    codec: Codec
    timestamp: int
    due: int
    frames: tuple[bytes, ...]
    began: float
    epoch: int = 0


Cut = AudioCut | PictureCut


@dataclass(frozen=True, slots=True)
class Transmit:
    """An RTCP compound to send to the peer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to this track in the room, and cut it by *spec*."""

    track: TrackKey
    spec: AudioSpec | VideoSpec


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Give this track's last cut and release it. *reason*: in words."""

    track: TrackKey
    reason: str


class State(Enum):
    """The states of a task; the table is in `state.py`."""

    STARTING = "starting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a task ended; the value is for people to read."""

    STOPPED = "stopped"
    """Its owner said so, or its engine closed."""
    IDLE = "nobody published for too long"
    KICKED = "removed from the room"
    ROOM_GONE = "the room ended"
    ROOM_UNREACHABLE = "the room could not be entered, or not again"
    REPLACED = "the same robot entered again"


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The task went into *state*. *reason*: in words, where something went wrong."""

    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnchorWaiting:
    """This anchor is wanted, but the task is full: it waits until another one leaves."""

    anchor: str


@dataclass(frozen=True, slots=True)
class AnchorIgnored:
    """The room names more anchors than a task keeps; this one is left out. Only the first is
    reported, the others are counted."""

    anchor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnchorGone:
    """An anchor left the room. *reason*: in words, where the room knows one."""

    anchor: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrackRefused:
    """An anchor offers media of this kind that cannot be taken: why, in words. A fact of the room,
    which goes through the task as it is."""

    anchor: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The task is over, and has given its last cut."""

    reason: EndReason


Notice = StateChanged | AnchorWaiting | AnchorIgnored | AnchorGone | TrackRefused
"""Outputs that ask for nothing: they become events."""

Output = Subscribe | Unsubscribe | Notice | Finished
"""What a task gives; a bundle gives `Cut | Transmit`."""
