"""UserSig and PrivateMapKey: the vendor's known answers, and all that must be refused."""

import base64
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import Unauthorized
from slicer.usersig import EVERYTHING, HALF_YEAR, MAX_JSON, MAX_TEXT, ROBOT, Privilege, SdkApp

KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
APP = SdkApp(1_400_000_000, KEY)
NOW = 1_600_000_000
USER = "xiaojun"
SIG = "1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M="


def unpack(text: str) -> dict[str, object]:
    packed = base64.b64decode(text.translate(str.maketrans("*-_", "+/=")))
    fields = json.loads(zlib.decompress(packed))
    assert isinstance(fields, dict)
    return fields


def pack(fields: object) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(fields).encode())).decode()
    return packed.translate(str.maketrans("+/=", "*-_"))


def test_usersig_known_answer() -> None:
    assert unpack(APP.usersig(USER, NOW)) == {
        "TLS.ver": "2.0",
        "TLS.identifier": USER,
        "TLS.sdkappid": 1_400_000_000,
        "TLS.expire": HALF_YEAR,
        "TLS.time": NOW,
        "TLS.sig": SIG,
    }


@pytest.mark.parametrize(
    ("room", "userbuf", "sig"),
    [
        (
            10000,
            "AAAHeGlhb2p1blNyTgAAACcQYEteAAAAAP8AAAAA",
            "QQY8WpPtnz7YZSG2peQjkXFqylqgPMeZmrrJaErpMxE=",
        ),
        (
            "adbjkl",
            "AQAHeGlhb2p1blNyTgAAAAAAYEteAAAAAP8AAAAAAAZhZGJqa2w=",
            "xsgTsaF3yYq1ToNbBvh6jUO+9ejfBcpwG6oaUtMfPJ0=",
        ),
    ],
)
def test_private_map_key_known_answers(room: int | str, userbuf: str, sig: str) -> None:
    text = APP.private_map_key(USER, room, NOW)
    fields = unpack(text)
    assert (fields["TLS.userbuf"], fields["TLS.sig"]) == (userbuf, sig)
    assert APP.verify_private_map_key(text, USER, room, NOW) == EVERYTHING


@pytest.mark.parametrize("room", [7, "room"])
@pytest.mark.parametrize("privileges", [Privilege(0), Privilege.RECEIVE_AUDIO, EVERYTHING])
def test_one_kind_is_not_the_other(room: int | str, privileges: Privilege) -> None:
    key = APP.private_map_key(USER, room, NOW, privileges=privileges)
    with pytest.raises(Unauthorized, match="UserSig: this is a PrivateMapKey"):
        APP.verify_usersig(key, USER, NOW)
    with pytest.raises(Unauthorized, match="PrivateMapKey: this is a UserSig"):
        APP.verify_private_map_key(APP.usersig(USER, NOW), USER, room, NOW)


def test_the_text_is_safe_in_a_url() -> None:
    text = APP.private_map_key(USER, "room", NOW)
    assert not set(text) & set("+/=")


def test_good_until_the_last_second() -> None:
    text = APP.usersig(USER, NOW, expire=60)
    APP.verify_usersig(text, USER, NOW + 60)
    with pytest.raises(Unauthorized, match="expired"):
        APP.verify_usersig(text, USER, NOW + 60.5)


def test_what_the_robot_needs() -> None:
    text = APP.private_map_key(USER, 7, NOW, privileges=ROBOT)
    granted = APP.verify_private_map_key(text, USER, 7, NOW)
    assert ROBOT in granted
    assert Privilege.SEND_AUDIO not in granted
    assert int(ROBOT) == 2 + 8 + 32


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SdkApp(1, KEY).usersig(USER, NOW), "another app"),
        (APP.usersig("eve", NOW), "another user"),
        (SdkApp(1_400_000_000, "other").usersig(USER, NOW), "not signed with this app's key"),
        (pack(unpack(APP.usersig(USER, NOW)) | {"TLS.expire": HALF_YEAR * 9}), "not signed"),
        (pack(unpack(APP.usersig(USER, NOW)) | {"TLS.expire": "60"}), "malformed .TLS.expire"),
        (pack(unpack(APP.usersig(USER, NOW)) | {"TLS.time": True}), "malformed .TLS.time"),
        (pack(unpack(APP.usersig(USER, NOW)) | {"TLS.sig": None}), "malformed .TLS.sig"),
        (pack(unpack(APP.usersig(USER, NOW)) | {"TLS.identifier": "\ud800"}), "TLS.identifier"),
        (pack(unpack(APP.usersig(USER, NOW)) | {"TLS.ver": "1.0"}), "version 2.0"),
        (pack(["TLS.ver", "2.0"]), "malformed"),
        ("", "malformed"),
        ("äöü", "malformed"),
        (APP.usersig(USER, NOW)[:-8], "malformed"),
        (base64.b64encode(zlib.compress(b"[" * 4000)).decode().replace("=", "_"), "malformed"),
        ("A" * (MAX_TEXT + 1), "longer than"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(Unauthorized, match=said) as refused:
        APP.verify_usersig(text, USER, NOW)
    assert KEY not in str(refused.value)
    assert SIG not in str(refused.value)


def test_nothing_inflates_past_the_bound() -> None:
    bomb = base64.b64encode(zlib.compress(b" " * (MAX_JSON * 200))).decode()
    assert len(bomb) <= MAX_TEXT
    with pytest.raises(Unauthorized, match="malformed"):
        APP.verify_usersig(bomb.translate(str.maketrans("+/=", "*-_")), USER, NOW)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: APP.private_map_key(USER, 10001, NOW), "another room"),
        (lambda: APP.private_map_key(USER, "10000", NOW), "another room"),
        (lambda: APP.usersig(USER, NOW), "this is a UserSig"),
    ],
)
def test_refused_for_the_room(make: Callable[[], str], said: str) -> None:
    with pytest.raises(Unauthorized, match=said):
        APP.verify_private_map_key(make(), USER, 10000, NOW)


def test_a_changed_userbuf_breaks_the_signature() -> None:
    weak = unpack(APP.private_map_key(USER, 10000, NOW, privileges=ROBOT))
    strong = unpack(APP.private_map_key(USER, 10000, NOW))
    forged = pack(weak | {"TLS.userbuf": strong["TLS.userbuf"]})
    with pytest.raises(Unauthorized, match="not signed"):
        APP.verify_private_map_key(forged, USER, 10000, NOW)


@given(st.text(max_size=300))
def test_any_text_is_refused_cleanly(text: str) -> None:
    with pytest.raises(Unauthorized):
        APP.verify_usersig(text, USER, NOW)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "TLS.ver",
                "TLS.identifier",
                "TLS.sdkappid",
                "TLS.time",
                "TLS.expire",
                "TLS.sig",
                "TLS.userbuf",
            ]
        ),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.just("2.0")),
    )
)
def test_any_fields_are_refused_cleanly(fields: dict[str, object]) -> None:
    with pytest.raises(Unauthorized):
        APP.verify_private_map_key(pack(fields), USER, 1, NOW)


@given(st.text(min_size=1, max_size=32), st.integers(1, 2**32 - 1) | st.text(max_size=64))
def test_what_is_made_is_accepted(user: str, room: int | str) -> None:
    APP.verify_usersig(APP.usersig(user, NOW), user, NOW)
    text = APP.private_map_key(user, room, NOW)
    assert APP.verify_private_map_key(text, user, room, NOW) == EVERYTHING


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(APP)
