"""All the core can ask for or give: a small union of frozen types."""

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
    cut) and end after *end*; holes between them are for the file's maker to fill. *began* is the
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
    """Have the room give this track to us, and cut it so."""

    track: TrackKey
    spec: AudioSpec | VideoSpec


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Cut what there is and let this track go: why, in words."""

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
    """The task is full: this anchor is wanted, and waits until another one leaves."""

    anchor: str


@dataclass(frozen=True, slots=True)
class AnchorIgnored:
    """The room names more anchors than any room has; this one is not believed. The first one of
    many is told, the others are counted."""

    anchor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnchorGone:
    """An anchor that was in the room is no more: why, in words, where the room knows."""

    anchor: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrackIgnored:
    """An anchor's media of this kind cannot be taken: why, in words."""

    anchor: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The task is over; everything it will ever cut has been cut."""

    reason: EndReason


Notice = StateChanged | AnchorWaiting | AnchorIgnored | AnchorGone | TrackIgnored
"""What a task only tells."""

Output = Cut | Transmit | Subscribe | Unsubscribe | Notice | Finished
