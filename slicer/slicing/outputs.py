"""The outputs of the core: cuts, RTCP, subscriptions, notices. One union of frozen types."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple

from slicer.rtp.parameters import Codec, Kind, Role, Slot
from slicer.slicing.spec import AudioSpec, VideoSpec


class TrackKey(NamedTuple):
    """Names a track: what one task takes from one anchor, of one kind and role."""

    task: str
    anchor: str
    kind: Kind
    role: Role = Role.MAIN

    @property
    def slot(self) -> Slot:
        """Its place among the anchor's."""
        return self.kind, self.role


def whose(anchor: str, role: Role) -> str:
    """For people to read: "ada", and "ada (aux)" of an auxiliary track."""
    return anchor if role is Role.MAIN else f"{anchor} ({role})"


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
    *provisional*: a report may yet correct it, and `Settled` then tells. *level*: that of the
    loudest packet, as in `Packet`; None unless all of them tell theirs.
    """

    track: TrackKey
    codec: Codec
    start: int
    end: int
    packets: tuple[AudioPacket, ...]
    began: float
    epoch: int = 0
    provisional: bool = False
    level: int | None = None


@dataclass(frozen=True, slots=True)
class PictureCut:
    """The decision that one frame is a picture.

    *frames* are whole access units (Annex B for H.264, temporal units with sizes for AV1); the last
    one is the picture. They belong to the group of pictures that began with the keyframe of media
    time *keyframe*, and *first* is the place of the first of them in it: with 0 that is the
    keyframe, else what comes before them was in earlier cuts. *continues*: later cuts may go on
    with the group, so whoever decodes it keeps the decoder. *due* and *timestamp* are media time;
    *began* is the *now* at which the picture was captured, *provisional* as in AudioCut.
    *orientation*: how to turn it, as 3GPP TS 26.114 7.4.5 has the bits F R1 R0.
    """

    track: TrackKey
    codec: Codec
    timestamp: int
    due: int
    frames: tuple[bytes, ...]
    began: float
    epoch: int = 0
    keyframe: int = 0
    first: int = 0
    continues: bool = False
    orientation: int = 0
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class GroupFrames:
    """Frames of a group on which a later picture depends, given ahead because they have become
    many. The fields are those of PictureCut. *timestamp* is the last frame's; none is a picture."""

    track: TrackKey
    codec: Codec
    timestamp: int
    frames: tuple[bytes, ...]
    epoch: int
    keyframe: int
    first: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A report has told more of a cut that was provisional: it began at *began*. *track*, *epoch*
    and *start* (of a picture its timestamp) are the cut's."""

    track: TrackKey
    epoch: int
    start: int
    began: float


Cut = AudioCut | PictureCut
"""What becomes a slice."""


class Missing(StrEnum):
    """Why a picture that is due cannot be had; the value is for people to read."""

    KEYFRAME = "no keyframe comes"
    WHOLE_KEYFRAME = "no keyframe comes whole"
    PARAMETER_SETS = "its keyframes come without parameter sets"
    PACKETIZATION = "its packets are of a type that is not read"


@dataclass(frozen=True, slots=True)
class PictureMissing:
    """Packets have come for a while since a picture was due, and it cannot be had. Given once until
    there is a picture again."""

    track: TrackKey
    reason: Missing


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
class AnchorWaits:
    """This anchor is wanted, but the task is full: it waits until another one leaves."""

    anchor: str


@dataclass(frozen=True, slots=True)
class AnchorDropped:
    """The room names more anchors than a task keeps; this one is left out. Only the first is
    reported, the others are counted."""

    anchor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnchorLeft:
    """An anchor left, with all its tracks. *reason*: in words, where the room knows one. A fact of
    the room; the task gives it too, of those it knew, behind the last cuts."""

    anchor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrackRefused:
    """An anchor offers media of this kind that cannot be taken: why, in words. A fact of the room,
    which goes through the task as it is."""

    anchor: str
    kind: Kind
    reason: str
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class AnchorTrouble:
    """Something of an anchor's media is given up: what, in words, and how many lately. A fact of
    the room, which goes through the task as it is."""

    anchor: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The task is over, and has given its last cut."""

    reason: EndReason


Notice = StateChanged | AnchorWaits | AnchorDropped | AnchorLeft | TrackRefused | AnchorTrouble
"""Outputs that ask for nothing: they become events."""

TrackOutput = Cut | GroupFrames | PictureMissing | Settled
"""What media gives to the task of its track."""

Output = Subscribe | Unsubscribe | Notice | Finished
"""What a task gives; a bundle gives `TrackOutput | Transmit`."""
