"""The inputs of a task: facts of the room and commands of its owner."""

from dataclasses import dataclass

from slicer.rtp.parameters import Kind, Role
from slicer.slicing import outputs
from slicer.slicing.outputs import AnchorTrouble, EndReason, TrackRefused
from slicer.slicing.subscription import Subscription

AnchorLeft = outputs.AnchorLeft
"""A fact first, and an output of the task behind that anchor's last cuts."""


@dataclass(frozen=True, slots=True)
class RoomEntered:
    """The robot is in the room. Facts about who is there follow."""


@dataclass(frozen=True, slots=True)
class RoomLost:
    """The connection to the room broke, for this reason (in words). The room connects again."""

    reason: str


@dataclass(frozen=True, slots=True)
class AnchorJoined:
    """An anchor is in the room."""

    anchor: str


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """An anchor offers media of this kind."""

    anchor: str
    kind: Kind
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    """An anchor took its media of this kind away. *reason* as in AnchorLeft."""

    anchor: str
    kind: Kind
    reason: str = ""
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class Modified:
    """The owner replaced the lists."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Stopped:
    """The task has to end: the owner, the room or the process says so."""

    reason: EndReason


Fact = (
    RoomEntered
    | RoomLost
    | AnchorJoined
    | AnchorLeft
    | TrackPublished
    | TrackUnpublished
    | TrackRefused
    | AnchorTrouble
    | Modified
    | Stopped
)
