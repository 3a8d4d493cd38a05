"""What Janus says, read into values; what cannot be read is a RoomError that says which part.

Sources: https://janus.conf.meetecho.com/docs/rest.html for `janus`, …/videoroom.html for
`videoroom`. A room's and a feed's id is a number or, with `string_ids` in Janus, a text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slicer.errors import RoomError
from slicer.errors import shown as quoted
from slicer.rooms.janus.streams import FeedStream, assign
from slicer.rtp.parameters import Kind, Role, Slot
from slicer.webrtc.negotiation import CODECS

Message = Mapping[str, Any]
Id = int | str
WRONG_ID_TYPE, ID_IN_USE = 430, 436
MAX_REASON = 200
"""Characters of Janus' words that are passed on."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A publisher and what it sends; *refused*: kind and reason of what cannot be taken; *muted*:
    MIDs that a moderator muted."""

    id: Id
    streams: Mapping[Slot, FeedStream]
    refused: tuple[tuple[Kind, str], ...] = ()
    muted: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Its id as the anchor's user id."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class OfferedStream:
    """An m-line of an offer to us, and the feed's stream that comes by it; "" for none."""

    mid: str
    feed_mid: str


def unreadable(what: str, got: object) -> RoomError:
    """The error for a message that makes no sense."""
    return RoomError(f"Janus' answer cannot be read: {what} is {quoted(got)}")


def check_error(message: Message) -> None:
    """Raise RoomError where a message, or a plugin's data, says no."""
    found = message.get("error")
    if isinstance(found, Mapping):  # of the core
        code, reason = found.get("code"), found.get("reason")
    elif "error_code" in message:  # of the plugin
        code, reason = message["error_code"], found
    else:
        return
    raise RoomError(f"Janus refuses: {str(reason)[:MAX_REASON]} (error {str(code)[:10]})")


def identifier(message: Message) -> int:
    """The id of a new session or handle."""
    data = message.get("data")
    found = data.get("id") if isinstance(data, Mapping) else None
    if not isinstance(found, int):
        raise unreadable("data.id", found)
    return found


def plugin_data(message: Message) -> Message:
    """What the plugin says. Raises RoomError, also where it is an error."""
    wrapper = message.get("plugindata")
    data = wrapper.get("data") if isinstance(wrapper, Mapping) else None
    if not isinstance(data, Mapping):
        raise unreadable("plugindata.data", data)
    check_error(data)
    return data


def error_code(message: Message) -> int:
    """By which the plugin refuses a request: such a message is no news of the room. 0: it does
    not."""
    wrapper = message.get("plugindata")
    data = wrapper.get("data") if isinstance(wrapper, Mapping) else None
    code = data.get("error_code", 0) if isinstance(data, Mapping) else 0
    return code if isinstance(code, int) else -1


def offer(message: Message) -> str | None:
    """The SDP offer that comes with a message, if there is one."""
    jsep = message.get("jsep")
    if jsep is None:
        return None
    sdp = jsep.get("sdp") if isinstance(jsep, Mapping) and jsep.get("type") == "offer" else None
    if not isinstance(sdp, str):
        raise unreadable("jsep", jsep)
    return sdp


def feeds(data: Message, before: Mapping[str, Feed]) -> list[Feed]:
    """The publishers of a `joined` or an event; none where it names none. *before*: those that are
    known, by anchor: their streams keep their roles."""
    return [_feed(one, before) for one in _list("publishers", data.get("publishers", []))]


def identity(name: str, value: object) -> Id:
    """An id of a room or a feed."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise unreadable(name, value)
    return value


def offered_streams(data: Message) -> list[OfferedStream]:
    """What the m-lines of the offer beside it carry."""
    found = []
    for one in _list("streams", data.get("streams")):
        mid, feed_mid = one.get("mid"), one.get("feed_mid", "")
        if not isinstance(mid, str) or not isinstance(feed_mid, str):
            raise unreadable("streams", one)
        found.append(OfferedStream(mid, feed_mid if one.get("active", True) else ""))
    return found


def _feed(publisher: Message, before: Mapping[str, Feed]) -> Feed:
    if "streams" not in publisher:
        raise RoomError("a publisher without streams: this Janus is older than 1.0")
    sent: list[FeedStream] = []
    refused: list[tuple[Kind, str]] = []
    moderated = set[str]()
    for one in _list("publishers.streams", publisher["streams"]):
        if one.get("type") not in set(Kind) or one.get("disabled") is True:
            continue  # data, or an m-line that has ended
        mid, codec = one.get("mid"), one.get("codec", "")
        if not isinstance(mid, str) or not isinstance(codec, str):
            raise unreadable("publishers.streams", one)
        if one.get("moderated") is True:
            moderated.add(mid)
        kind, description = Kind(one["type"]), str(one.get("description", ""))[:MAX_REASON]
        if codec.lower() in CODECS[kind]:
            sent.append(FeedStream(kind, mid, codec, description=description))
        else:
            refused.append((kind, f"no codec of ours: {codec[:40] or 'none'}"))
    number = identity("publishers.id", publisher.get("id"))
    known = before.get(str(number))
    streams, left = assign(sent, {} if known is None else known.streams)
    refused += [(one.kind, _too_many(one.kind)) for one in left]
    muted = [one.mid for one in streams.values() if one.mid in moderated]
    return Feed(number, streams, tuple(refused), tuple(muted))


def _too_many(kind: Kind) -> str:
    return f"{len(Role)} {kind} streams of a publisher are taken, a main and an auxiliary one"


def _list(name: str, value: object) -> Sequence[Message]:
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise unreadable(name, value)
    return value
