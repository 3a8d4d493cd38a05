"""Rooms, where packets come from: one file or folder for each kind, one line in the table below.

Other packages add to it by entry point.

A room turns what happens outside into facts (who is there, what they publish) and cuts. It keeps no
lists and makes no choice: a task decides which tracks it subscribes to.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import SplitResult, urlsplit

from slicer.clock import Clock
from slicer.entry_points import Group, added, extensions
from slicer.errors import BadInput
from slicer.http import HttpSettings
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.livekit.settings import LiveKitSettings
from slicer.rooms.redaction import shown
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.trtc.settings import TrtcSettings
from slicer.rooms.whep.settings import WhepSettings
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.settings import WhipSettings
from slicer.slicing.facts import Fact
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput

# Called with every fact and every cut, on the loop's thread, in order; it never blocks.
Listener = Callable[[Fact | TrackOutput], None]


class Room(Protocol):
    """One robot's presence in one room.

    `enter` reports RoomEntered, then AnchorJoined and TrackPublished for everyone who is there,
    then what changes. `subscribe` and `unsubscribe` act at once and never raise for an anchor that
    is gone. `unsubscribe` delivers the track's last cut before it returns.

    A room that loses its connection reports RoomLost with the reason, and connects again by itself,
    with a backoff. The task unsubscribes from every track while it takes RoomLost, so the room must
    still have the last cuts. Back in, the room reports RoomEntered and everyone anew, as after
    `enter`. It tries until `leave`: how long to wait is the task's decision (`max_idle`). A room
    that is known to be over reports Stopped(ROOM_GONE) instead.
    """

    async def enter(self) -> None:
        """Join. Raises RoomError where that cannot be done."""
        ...

    def subscribe(self, subscribe: Subscribe) -> None: ...

    def unsubscribe(self, track: TrackKey) -> None: ...

    async def leave(self) -> None:
        """Leave; no fact or cut follows. May be called twice."""
        ...


class Connector(Protocol):
    """Opens rooms of one kind, and holds what they share, such as a server. One for each engine."""

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a room; nothing is started."""
        ...

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> Room:
        """Prepare a room for the robot of this user id. Raises RoomError."""
        ...

    @property
    def connections(self) -> int:
        """Connections that carry media now."""
        ...

    @property
    def counters(self) -> Counter[str]:
        """What connections and receivers refused, lost or found odd, by reason: all since the
        start, those of connections that have ended too. Asked for now and then. `packets_` with one
        of FATES (webrtc/counts.py) behind it says what became of packets."""
        ...

    async def close(self) -> None: ...


Authorize = Callable[[RoomAddress, str, str | None], str | None]
"""Takes a room of ours, a user and its bearer token. Gives the URL that the user has to publish at
instead, where another process has the room. Raises Unauthorized unless user and token fit, and
RoomError where the room is on its way to another process."""
Pace = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """No pacing: every cut is taken at once."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an engine gives its connectors.

    *authorize*: who may publish into our own rooms; None: as the WHIP settings say. A room that
    makes its own time (a replay) awaits *pace* before it gives more cuts.
    """

    clock: Clock
    whip: WhipSettings = field(default_factory=WhipSettings)
    authorize: Authorize | None = None
    pace: Pace = at_once
    http: HttpSettings = field(default_factory=HttpSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    rtp: RtpSettings = field(default_factory=RtpSettings)
    trtc: TrtcSettings = field(default_factory=TrtcSettings)
    whep: WhepSettings = field(default_factory=WhepSettings)
    livekit: LiveKitSettings = field(default_factory=LiveKitSettings)
    janus: JanusSettings = field(default_factory=JanusSettings)


CONNECTORS: Mapping[str, str] = {
    "whip": "slicer.rooms.whip.room:WhipConnector",
    "livekit": "slicer.rooms.livekit.room:LiveKitConnector",
    "livekits": "slicer.rooms.livekit.room:LiveKitConnector",
    "whep": "slicer.rooms.whep.room:WhepConnector",
    "wheps": "slicer.rooms.whep.room:WhepConnector",
    "janus": "slicer.rooms.janus.room:JanusConnector",
    "januss": "slicer.rooms.janus.room:JanusConnector",
    "replay": "slicer.rooms.replay.room:ReplayConnector",
    "trtc": "slicer.rooms.trtc.room:TrtcConnector",
    "rtp": "slicer.rooms.rtp.room:RtpConnector",
    **dict.fromkeys(
        ("rtmp", "rtmps", "rtsp", "rtsps", "hls", "hlss", "flv", "flvs"),
        "slicer.rooms.stream.room:StreamConnector",
    ),
}
EXTRAS: Mapping[str, str] = dict.fromkeys(("livekit", "livekits"), "livekit") | dict.fromkeys(
    ("janus", "januss"), "janus"
)
"""The extra of this package that brings what a scheme's connector needs."""


def parse_room(url: str) -> SplitResult:
    """Split a room URL whose scheme is known. Raises BadInput."""
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError as error:
        raise BadInput("room", shown(url), f"a URL ({error})") from None
    if split.scheme not in CONNECTORS and split.scheme not in extensions(Group.ROOMS, CONNECTORS):
        known = (*CONNECTORS, *added(Group.ROOMS, CONNECTORS))
        schemes = ", ".join(f"{scheme}://" for scheme in known)
        raise BadInput("room", shown(url), f"a URL that starts with one of {schemes}")
    return split


def connector(scheme: str, context: Context) -> Connector:
    """The connector for a scheme that `parse_room` knows; its module is imported now. Raises
    BadInput where what it needs is not installed, or another package's cannot be used."""
    if scheme not in CONNECTORS:
        extension = extensions(Group.ROOMS, CONNECTORS)[scheme]
        return cast(Connector, extension.open("room", Connector, context))
    module, name = CONNECTORS[scheme].split(":")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as missing:
        extra = EXTRAS.get(scheme)
        if extra is None:
            raise
        needs = f"{scheme}:// needs {missing.name}: pip install 'rtc-slicer[{extra}]'"
        raise BadInput("room", scheme, needs) from None
    opened: Connector = getattr(imported, name)(context)
    return opened
