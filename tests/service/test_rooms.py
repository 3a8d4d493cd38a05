"""Room ids to URLs, and where the rooms of two applications can meet."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.service.rooms import RoomPatterns, common_room, room_url


@pytest.mark.parametrize(
    ("rooms", "room", "url"),
    [
        ([("*", "whip://h:1/{room}")], "150", "whip://h:1/150"),
        ([("a*", "x://1/{room}"), ("*", "x://2/{room}")], "ab", "x://1/ab"),
        ([("a*", "x://1/{room}"), ("*", "x://2/{room}")], "ba", "x://2/ba"),
        ([("a*z", "x://1/r")], "az", "x://1/r"),
        ([("a*z", "x://1/r")], "aaz\n", None),
        ([("a.c", "x://1/r")], "abc", None),
        ([("[ab]?", "x://1/r")], "a1", None),
        ([("*", "x://1/{room}")], "a..b?c#d%", "x://1/a..b%3Fc%23d%25"),
        ([("*", "x://1/{room}")], "{app}", "x://1/%7Bapp%7D"),
        ([("*", "x://1/{room}")], "räume", "x://1/r%C3%A4ume"),
        ([("*", "x://1/{app}/{room}")], "r", "x://1/7/r"),
        ([("*", "x://1/r?list=/{room}.json")], "a-1", "x://1/r?list=/a-1.json"),
        ([("*", "x://1/r?list=/{room}.json")], "a?b", None),
        ([("*", "x://1/r?list=/{room}.json")], "%2e%2e%2fa", None),
        ([("*", "x://1/r#anchor={room}")], "a&b=c", None),
        ([], "a", None),
    ],
)
def test_the_room_of_an_id(rooms: list[tuple[str, str]], room: str, url: str | None) -> None:
    assert room_url(7, tuple(rooms), room) == url


@pytest.mark.parametrize(
    "room",
    [".", "..", "/", "a/b", "../../etc/hostname", "cap-/../../secret", "a\\b", "..\\x", "\0"],
)
def test_an_id_that_leads_elsewhere_has_no_room(room: str) -> None:
    patterns = (("..*", "replay:///f/{room}"), ("*", "replay:///captures/{room}"))
    assert room_url(7, patterns, room) is None


def of(pattern: str, url: str) -> RoomPatterns:
    return (("never", "x://never/"), (pattern, url))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of("*", "whip://127.0.0.1:1/{room}"), of("*", "whip://127.0.0.1:1/{room}")),
        (of("*", "whip://127.0.0.1:1/{room}"), of("shared-*", "whip://127.0.0.1:1/{room}")),
        (of("a*", "whip://127.0.0.1:1/{room}"), of("*b", "whip://localhost:1/{room}")),
        (of("*", "whip://[::1]:1/{room}"), of("*", "WHIP://[0:0::1]:1/{room}")),
        (of("*", "whip://127.0.0.1:1/a-{room}"), of("*", "whip://127.0.0.1:1/{room}-z")),
        (of("*", "whip://127.0.0.1:1/{app}-{room}"), of("*", "whip://127.0.0.1:1/{room}")),
        (of("*", "whip://127.0.0.1:1/lobby"), of("l*", "whip://127.0.0.1:1/{room}")),
        (of("*", "replay:///f/{room}"), of("*", "replay:///f/{room}?speed=max")),
        (of("*", "replay:///f/{room}"), of("x", "replay:///g/../f/a%2Ecap")),
        (of("*", "replay:///f/a b"), of("*", "replay:///f//./a%20b")),
        (of("*", "replay:///f/{room}"), of("*", "replay:////f/{room}")),
        (of("*", "whip://127.0.0.1:1/{room}"), of("*", "whip://127.0.0.1:01/{room}")),
        (of("*", "janus://h/{room}"), of("*", "janus://h:8188/{room}")),
        (of("*", "livekits://h/{room}"), of("*", "livekit://h.:7880/{room}")),
        (of("*", "wheps://u:p@h/{room}?anchors=a"), of("*", "wheps://H:443/{room}?list=/l")),
        (of("*", "hls://h/{room}"), of("*", "hlss://h/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://[::ffff:10.0.0.1]/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://[::ffff:a00:1]/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://10.1/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://167772161/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://0xa.0.0.01./{room}")),
        (of("*", "whip://[::1]:1/{room}"), of("*", "whip://127.0.0.1:1/{room}")),
        (of("*", "whip://localhost:1/{room}"), of("*", "whip://[::ffff:127.0.0.1]:1/{room}")),
        (of("*", "janus://localhost./{room}"), of("*", "janus://ip6-localhost/{room}")),
        (of("*", "janus://a.localhost/{room}"), of("*", "janus://[::1]/{room}")),
        (of("*", "janus://bücher.de/{room}"), of("*", "janus://xn--bcher-kva.de/{room}")),
        (of("*", "janus://BÜCHER.de./{room}"), of("*", "janus://bücher。de/{room}")),
        (of("*", "janus://h%6Fst/{room}"), of("*", "janus://host/{room}")),
        (of("*", "janus://{room}.de/r"), of("*", "janus://bücher.de/r")),
    ],
)
def test_where_they_can_meet(one: RoomPatterns, other: RoomPatterns) -> None:
    assert common_room(1, one, 2, tuple(list(other)[1:])) == (one[1][0], other[1][0])
    assert common_room(2, other, 1, tuple(list(one)[1:])) == (other[1][0], one[1][0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of("*", "whip://127.0.0.1:1/{room}"), of("*", "whip://127.0.0.1:2/{room}")),
        (of("*", "whip://127.0.0.1:1/{room}"), of("*", "whip://127.0.0.2:1/{room}")),
        (of("*", "whip://127.0.0.1:1/{room}"), of("*", "replay://127.0.0.1:1/{room}")),
        (of("a*", "whip://127.0.0.1:1/{room}"), of("b*", "whip://127.0.0.1:1/{room}")),
        (of("*-a", "whip://127.0.0.1:1/{room}"), of("*-b", "whip://127.0.0.1:1/{room}")),
        (of("*", "whip://127.0.0.1:1/a-{room}"), of("*", "whip://127.0.0.1:1/b-{room}")),
        (of("*", "whip://127.0.0.1:1/{app}-{room}"), of("*", "whip://127.0.0.1:1/{app}-{room}")),
        (of("*", "whip://[:1/{room}"), of("*", "whip://127.0.0.1:1/{room}")),
        (of("*", "janus://h/{room}"), of("*", "janus://i:8188/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://[::ffff:10.0.0.2]/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://[::a00:1]/{room}")),
        (of("*", "janus://10.0.0.1/{room}"), of("*", "janus://010.0.0.1/{room}")),
        (of("*", "janus://bücher.de/{room}"), of("*", "janus://bucher.de/{room}")),
        (of("*", "janus://a..b/{room}"), of("*", "janus://a.b/{room}")),
        (of("*", "livekit://h:7880/{room}"), of("*", "livekit://h:7881/{room}")),
        (of("*", "replay:///f/{room}"), of("*", "replay:///f/g/{room}")),
        (of("*", "replay:///f/{room}"), of("*", "replay:///f/{room}.pcap/x")),
    ],
)
def test_where_they_cannot(one: RoomPatterns, other: RoomPatterns) -> None:
    assert common_room(1, one, 2, tuple(list(other)[1:])) is None
    assert common_room(2, other, 1, tuple(list(one)[1:])) is None


PATTERN = st.text("ab*", max_size=4)
TEXTS = ["".join(letters) for length in range(6) for letters in product("ab", repeat=length)]


@settings(deadline=None)
@given(PATTERN, PATTERN)
def test_they_meet_where_a_text_fits_both(one: str, other: str) -> None:
    """Two patterns of at most four letters that meet do so in a text of at most eight; of those up
    to five there are few enough to try, and they suffice where each has one `*`."""

    def fits(pattern: str, text: str) -> bool:
        return re.fullmatch(pattern.replace("*", ".*"), text) is not None

    met = common_room(1, ((one, "x://h/-{room}"),), 2, ((other, "x://h/-{room}"),)) is not None
    if any(fits(one, text) and fits(other, text) for text in TEXTS):
        assert met
    elif one.count("*") + other.count("*") < 2:
        assert not met
