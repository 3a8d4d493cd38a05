"""Who publishes in a room of Janus: what its plugin says becomes facts. Without I/O and clock.

Theory of operation. `joined` is a snapshot of all publishers; events tell what changes after it. A
snapshot replaces what was known, and an event about a publisher replaces what was known of that
one: so it does not matter that Janus says some things twice (`unpublished`), or tells a publisher
that is in the snapshot again. Who is in the room without publishing is no anchor.
"""

from slicer.rooms.janus.messages import Feed, Id, Message, feeds, identity
from slicer.rtp.parameters import Slot
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import EndReason, TrackRefused

_LEAVINGS = {"unpublished": "unpublished", "leaving": "left the room", "kicked": "kicked"}
"""The events by which a publisher goes, and the words for each."""


class Participants:
    """The publishers of one room, but for ourselves. *private_id*: proves to Janus that a
    subscription is ours; None before `joined`."""

    def __init__(self) -> None:
        self.feeds: dict[str, Feed] = {}
        self.private_id: int | None = None
        self._muted: set[tuple[str, str]] = set()  # anchors and MIDs that moderators muted
        self._own: Id | None = None

    def muted(self, anchor: str) -> set[Slot]:
        """What of an anchor a moderator muted: it sends none of it, and goes on later."""
        feed = self.feeds.get(anchor)
        streams = {} if feed is None else feed.streams
        return {slot for slot, one in streams.items() if (anchor, one.mid) in self._muted}

    def receive(self, data: Message) -> list[Fact]:
        """Take the plugin's data of a message to the control handle. Raises RoomError where it
        cannot be read."""
        match data.get("videoroom"):
            case "joined":
                return self._joined(data)
            case "destroyed":
                return [Stopped(EndReason.ROOM_GONE)]
            case "event":
                return self._changed(data)
        return []

    def _joined(self, data: Message) -> list[Fact]:
        self.feeds.clear()
        self._muted.clear()
        self._own = identity("id", data.get("id"))
        private_id = data.get("private_id")
        self.private_id = private_id if isinstance(private_id, int) else None
        return [RoomEntered(), *self._published(data)]

    def _changed(self, data: Message) -> list[Fact]:
        if self._is_us(data.get("leaving")):
            # Only a kick says why; our own leaving is nobody's news.
            kicked = data.get("reason") == "kicked"
            return [Stopped(EndReason.KICKED)] if kicked else []
        if "moderation" in data:
            self._moderated(data)
        facts = self._published(data)
        for name, words in _LEAVINGS.items():
            if name in data:
                facts += self._left(str(identity(name, data[name])), words)
        return facts

    def _moderated(self, data: Message) -> None:
        anchor, mid = str(identity("id", data.get("id"))), str(data.get("mid"))
        if data["moderation"] == "muted" and anchor in self.feeds:
            self._muted.add((anchor, mid))
        else:
            self._muted.discard((anchor, mid))

    def _is_us(self, leaving: object) -> bool:
        """Janus says "ok" in place of our own id; a publisher may have that id too."""
        return leaving == "ok" and "ok" not in self.feeds

    def _published(self, data: Message) -> list[Fact]:
        return [
            fact
            for feed in feeds(data, self.feeds)
            if feed.id != self._own
            for fact in self._replace(feed)
        ]

    def _replace(self, feed: Feed) -> list[Fact]:
        """Note what a publisher sends; gives what is new of it."""
        anchor, before = feed.anchor, self.feeds.get(feed.anchor)
        self.feeds[anchor] = feed
        self._muted = {one for one in self._muted if one[0] != anchor}
        self._muted |= {(anchor, mid) for mid in feed.muted}
        facts: list[Fact] = [] if before else [AnchorJoined(anchor)]
        known = before.streams if before else {}
        for (kind, role), stream in known.items():
            if feed.streams.get((kind, role)) != stream:
                facts.append(TrackUnpublished(anchor, kind, "the publisher changed it", role))
        facts += [
            TrackPublished(anchor, *slot)
            for slot, stream in feed.streams.items()
            if known.get(slot) != stream
        ]
        refused = before.refused if before else ()
        return facts + [TrackRefused(anchor, *one) for one in feed.refused if one not in refused]

    def _left(self, anchor: str, reason: str) -> list[Fact]:
        feed = self.feeds.pop(anchor, None)
        self._muted = {one for one in self._muted if one[0] != anchor}
        if feed is None:
            return []
        gone = [TrackUnpublished(anchor, kind, reason, role) for kind, role in feed.streams]
        return [*gone, AnchorLeft(anchor, reason)]
