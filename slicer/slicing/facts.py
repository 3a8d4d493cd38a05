"""All that a task can be told: facts of the room and commands of its owner."""

from dataclasses import dataclass

from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import LeaveCode
from slicer.slicing.subscription import Subscription


@dataclass(frozen=True, slots=True)
class RoomEntered:
    """The robot is in the room; what it finds there follows as facts."""


@dataclass(frozen=True, slots=True)
class RoomLost:
    """The connection to the room broke; the room tries to come back by itself."""


@dataclass(frozen=True, slots=True)
class AnchorJoined:
    """An anchor is in the room."""

    anchor: str


@dataclass(frozen=True, slots=True)
class AnchorLeft:
    """An anchor left, with all its tracks."""

    anchor: str


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """An anchor offers media of this kind."""

    anchor: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    """An anchor took its media of this kind away."""

    anchor: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class TrackRefused:
    """An anchor would send media of this kind, and we do not receive it: why."""

    anchor: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Modified:
    """The owner replaced the lists."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Stopped:
    """The task has to end: the owner, the room or the process says so."""

    code: LeaveCode


Fact = (
    RoomEntered
    | RoomLost
    | AnchorJoined
    | AnchorLeft
    | TrackPublished
    | TrackUnpublished
    | TrackRefused
    | Modified
    | Stopped
)
