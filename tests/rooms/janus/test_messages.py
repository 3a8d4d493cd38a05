"""What Janus says, read; and what nobody can read, named."""

from typing import Any

import pytest

from slicer.errors import RoomError
from slicer.rooms.janus import messages
from slicer.rooms.janus.messages import Feed, OfferedStream
from slicer.rooms.janus.streams import FeedStream
from slicer.rtp.parameters import Kind, Role

AUDIO = {"type": "audio", "mindex": 0, "mid": "0", "codec": "opus"}
VIDEO = {"type": "video", "mindex": 1, "mid": "1", "codec": "vp8"}


def event(data: object, **more: Any) -> dict[str, Any]:
    return {"janus": "event", "plugindata": {"plugin": "p", "data": data}, **more}


def feeds(data: dict[str, Any]) -> list[Feed]:
    return messages.feeds(data, {})


def publishers(*streams: dict[str, Any]) -> dict[str, Any]:
    return {"publishers": [{"id": "ada", "display": "Ada", "streams": list(streams)}]}


def test_a_publisher() -> None:
    (feed,) = messages.feeds(publishers(AUDIO, VIDEO), {})
    assert feed == Feed(
        "ada",
        {
            (Kind.AUDIO, Role.MAIN): FeedStream(Kind.AUDIO, "0", "opus"),
            (Kind.VIDEO, Role.MAIN): FeedStream(Kind.VIDEO, "1", "vp8"),
        },
    )
    assert (feed.anchor, Feed(5, {}).anchor) == ("ada", "5")
    assert messages.feeds({}, {}) == []


def test_streams_that_are_not_taken() -> None:
    second, third = {**VIDEO, "mid": "2"}, {**VIDEO, "mid": "4"}
    old = {**AUDIO, "disabled": True, "codec": ""}
    pen, isac = {"type": "data", "mid": "3"}, {**AUDIO, "codec": "isac16"}
    (feed,) = messages.feeds(publishers(old, VIDEO, second, third, pen, isac), {})
    assert [one.mid for one in feed.streams.values()] == ["1", "2"]
    assert feed.refused == (
        (Kind.AUDIO, "no codec of ours: isac16"),
        (Kind.VIDEO, "2 video streams of a publisher are taken, a main and an auxiliary one"),
    )


def test_a_stream_keeps_the_role_that_it_had() -> None:
    screen = {**VIDEO, "mid": "2", "description": "My Screen"}
    (feed,) = messages.feeds(publishers(VIDEO, screen), {})
    (later,) = messages.feeds(publishers({**VIDEO, "mid": "2"}), {"ada": feed})
    assert [one.role for one in feed.streams.values()] == [Role.AUX, Role.MAIN]
    assert [(one.mid, one.role) for one in later.streams.values()] == [("2", Role.AUX)]
    (stranger,) = messages.feeds(publishers({**VIDEO, "mid": "2"}), {"bob": feed})
    assert [*stranger.streams] == [(Kind.VIDEO, Role.MAIN)]


def test_the_streams_of_an_offer() -> None:
    there = {"mid": "0", "feed_mid": "a", "active": True}
    gone = {"mid": "1", "feed_mid": "b", "active": False}
    assert messages.offered_streams({"streams": [there, gone, {"mid": "2"}]}) == [
        OfferedStream("0", "a"),
        OfferedStream("1", ""),
        OfferedStream("2", ""),
    ]


def test_an_offer() -> None:
    assert messages.offer({}) is None
    assert messages.offer({"jsep": {"type": "offer", "sdp": "v=0"}}) == "v=0"


def test_errors_of_the_core_and_of_the_plugin() -> None:
    core = {"janus": "error", "error": {"code": 403, "reason": "Unauthorized request"}}
    with pytest.raises(RoomError, match=r"Unauthorized request \(error 403\)"):
        messages.check_error(core)
    plugin = event({"videoroom": "event", "error_code": 426, "error": "No such room (nope)"})
    assert messages.error_code(plugin) == 426
    assert messages.error_code(event({"videoroom": "event"})) == 0
    assert messages.error_code(event({"error_code": "?"})) == -1
    with pytest.raises(RoomError, match=r"No such room \(nope\) \(error 426\)"):
        messages.plugin_data(plugin)
    with pytest.raises(RoomError) as long:
        messages.check_error({"error": {"code": "?", "reason": 1_000 * "x"}})
    assert len(str(long.value)) < 300


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (messages.identifier, {"data": {"id": "x"}}),
        (messages.identifier, {"data": 5}),
        (messages.plugin_data, {"plugindata": []}),
        (messages.plugin_data, event("hello")),
        (messages.offer, {"jsep": "v=0"}),
        (messages.offer, {"jsep": {"type": "answer", "sdp": "v=0"}}),
        (feeds, {"publishers": "ada"}),
        (feeds, {"publishers": ["ada"]}),
        (feeds, {"publishers": [{"id": [], "streams": []}]}),
        (feeds, {"publishers": [{"id": True, "streams": []}]}),
        (feeds, publishers({"type": "audio", "mid": 0})),
        (messages.offered_streams, {}),
        (messages.offered_streams, {"streams": [{"mid": 0}]}),
    ],
)
def test_nonsense_is_named(read: Any, said: dict[str, Any]) -> None:
    with pytest.raises(RoomError, match="cannot be read"):
        read(said)


def test_an_older_janus_is_told_so() -> None:
    with pytest.raises(RoomError, match=r"older than 1\.0"):
        messages.feeds({"publishers": [{"id": 1, "audio_codec": "opus"}]}, {})
