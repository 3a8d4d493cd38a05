"""STUN and TURN servers for publishers: what is told, what opens them, and what is refused."""

import pytest

from slicer.errors import BadInput
from slicer.rooms.whip.ice_servers import MAX_SERVERS, check, check_secret, links
from slicer.rooms.whip.settings import WhipSettings

NOW = 1_700_000_000.5
STUN = "stun:stun.example.com:3478"
TURN = "turn:turn.example.com:3478?transport=udp"


def test_nothing_is_told_by_default() -> None:
    check(WhipSettings())
    assert links(WhipSettings(), "ann", NOW) == []


def test_stun_needs_no_credentials() -> None:
    settings = WhipSettings(ice_servers=(STUN,))
    check(settings)
    assert links(settings, "ann", NOW) == [f'<{STUN}>; rel="ice-server"']


def test_credentials_are_the_user_s_own_and_end() -> None:
    """The password is what `echo -n 1700003600:ann | openssl dgst -sha1 -hmac north -binary |
    base64` gives."""
    settings = WhipSettings(ice_servers=(TURN,), turn_secret="north", turn_ttl=3_600)
    check(settings)
    check_secret(settings)
    assert links(settings, "ann", NOW) == [
        f'<{TURN}>; rel="ice-server"; username="1700003600:ann"; '
        'credential="TwqKCcbzejRFa1sgGqGS7SEzCGg="; credential-type="password"'
    ]
    assert links(settings, "bob", NOW) != links(settings, "ann", NOW)
    assert "north" not in repr(settings)


def test_a_turn_server_without_its_secret_is_refused() -> None:
    settings = WhipSettings(ice_servers=(STUN, TURN))
    check(settings)  # who has no rooms needs none
    with pytest.raises(BadInput, match="static-auth-secret") as refused:
        check_secret(settings)
    assert refused.value.field == "whip.turn_secret"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "turn.example.com",
        "https://turn.example.com",
        "turn://turn.example.com",
        "turn:user@turn.example.com",
        "turn:turn.example.com?transport=sctp",
        'turn:a>; rel="x',
        "stun:a\r\nSet-Cookie: b",
        "turn:turn.example.com:123456",
    ],
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match=r"turn:turn\.example\.com") as refused:
        check(WhipSettings(ice_servers=(url,), turn_secret="north"))
    assert refused.value.field == "whip.ice_servers"


def test_their_number_is_bounded() -> None:
    check(WhipSettings(ice_servers=(STUN,) * MAX_SERVERS))
    with pytest.raises(BadInput, match="at most 16"):
        check(WhipSettings(ice_servers=(STUN,) * (MAX_SERVERS + 1)))
