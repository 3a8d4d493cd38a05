"""Applications: what their fields may be, which room serves an id, and that no secret shows."""

import pytest

from slicer.errors import BadInput
from slicer.service.applications import Application, applications

FULL = {
    "sdk_app_id": 1400000001,
    "usersig_key": "hidden-usersig",
    "secrets": [{"id": "AKID1", "key": "hidden-secret"}, {"id": "AKID2", "key": "hidden-other"}],
    "rooms": [{"pattern": "live-*", "url": "whip://h:1/{room}?pin=hidden-pin"}],
    "share_rooms": True,
    "callback_url": "https://example.com/hook?x=1",
    "callback_key": "hiddenkey",
    "max_streams": 3,
    "permission_control": True,
    "streams": ["rtmp://live.example.com/*"],
}


def test_every_field() -> None:
    (app,) = applications([FULL], {})
    assert app == Application(
        1400000001,
        "hidden-usersig",
        (("AKID1", "hidden-secret"), ("AKID2", "hidden-other")),
        (("live-*", "whip://h:1/{room}?pin=hidden-pin"),),
        True,
        "https://example.com/hook?x=1",
        "hiddenkey",
        3,
        True,
        ("rtmp://live.example.com/*",),
    )
    assert "hidden" not in repr(app)


def test_an_error_about_a_room_shows_no_secret() -> None:
    rooms = [{"pattern": "*", "url": "nowhere://h/{room}?pin=hidden-pin"}]
    with pytest.raises(BadInput, match=r"pin=\*\*\*") as raised:
        applications([FULL | {"rooms": rooms}], {})
    assert "hidden" not in str(raised.value)


def test_secrets_from_the_environment_beat_the_file() -> None:
    variables = {
        "SLICER_APP_1400000001_USERSIG_KEY": "one",
        "SLICER_APP_1400000001_CALLBACK_KEY": "two",
        "SLICER_APP_1400000001_SECRETS": "AKID3:th:ree, AKID4:four",
        "SLICER_APP_9_USERSIG_KEY": "nobody's",
    }
    (app,) = applications([FULL], variables)
    assert (app.usersig_key, app.callback_key) == ("one", "two")
    assert app.secrets == (("AKID3", "th:ree"), ("AKID4", "four"))
    assert variables == {"SLICER_APP_9_USERSIG_KEY": "nobody's"}


@pytest.mark.parametrize("text", ["hidden", "a:", ":hidden", "a:b,hidden", ""])
def test_secrets_of_the_environment_that_are_none(text: str) -> None:
    with pytest.raises(BadInput, match=r"^apps\[0\]\.secrets: got 'another text'; .*ID:KEY") as bad:
        applications([{"sdk_app_id": 7}], {"SLICER_APP_7_SECRETS": text})
    assert "SLICER_APP_7_SECRETS" in str(bad.value)
    assert "hidden" not in str(bad.value)


def test_the_room_of_an_id() -> None:
    app = Application(7, rooms=(("a*", "whip://h:1/{app}-{room}"), ("*", "whip://h:2/{room}")))
    assert [app.room_url(room) for room in ("ab", "ba")] == ["whip://h:1/7-ab", "whip://h:2/ba"]


def tables(*shares: bool, url: str = "whip://127.0.0.1:1/{room}") -> list[dict[str, object]]:
    return [
        {
            "sdk_app_id": number,
            "rooms": [
                {"pattern": "x", "url": "whip://127.0.0.1:9/y"},
                {"pattern": "*", "url": url},
            ],
            "share_rooms": share,
        }
        for number, share in enumerate(shares, 1)
    ]


@pytest.mark.parametrize("shares", [(False, False), (True, False), (False, True)])
def test_two_that_could_have_one_room(shares: tuple[bool, bool]) -> None:
    with pytest.raises(BadInput, match=r"apps\[1\]\.rooms: got 'x'; .* apps\[0\] \('x' there\)"):
        applications(tables(*shares), {})


def test_two_that_both_say_so() -> None:
    assert len(applications(tables(True, True), {})) == 2
    with pytest.raises(BadInput, match=r"apps\[2\]\.rooms.*apps\[0\]"):
        applications(tables(True, True, False), {})


def test_two_whose_rooms_have_their_number() -> None:
    own = tables(False, False, url="whip://127.0.0.1:1/{app}-{room}")
    for table in own:
        table["rooms"] = [{"pattern": "*", "url": "whip://127.0.0.1:1/{app}-{room}"}]
    assert [app.room_url("5") for app in applications(own, {})] == [
        "whip://127.0.0.1:1/1-5",
        "whip://127.0.0.1:1/2-5",
    ]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sdk_app_id", "1", r"apps\[0\]\.sdk_app_id: got '1'; allowed: a whole number"),
        ("sdk_app_id", True, "sdk_app_id: got True"),
        ("sdk_app_id", 2**32, "from 1 to 4294967295"),
        pytest.param("sdk_app_id", 16**5000, "got a number too long to be shown", id="long"),
        ("max_streams", 0, "max_streams: got 0"),
        ("permission_control", 1, "true or false"),
        ("callback_key", "hidden_key", "1 to 32 letters and digits"),
        ("callback_key", "k" * 33, "1 to 32 letters and digits"),
        ("callback_key", "", "what signs callbacks, in SLICER_APP_1400000001_CALLBACK_KEY"),
        ("callback_url", "https://h/" + "x" * 2074, "at most 2083"),
        ("callback_url", "ftp://h/", "http:// or https://"),
        ("callback_url", "https:///x", "a host"),
        ("callback_url", "https://hidden:hidden@h/", "no user"),
        ("callback_url", "https://h:99999/", "http:// or https://"),
        ("callback_url", "https://h:0/", "http:// or https://"),
        ("callback_url", "https://h/ x", "plain ASCII"),
        ("callback_url", "https://h/\r\nX: y", "plain ASCII"),
        ("callback_url", "https://ü.example/", "plain ASCII"),
        ("secrets", [{"id": "a"}], r"secrets\[0\]: .* id = …, key = …"),
        ("secrets", [{"id": "a", "key": ["hidden"]}], r"secrets\[0\]"),
        ("secrets", "hidden", "secrets: "),
        ("rooms", [{"pattern": "", "url": "x"}], r"rooms\[0\]"),
        ("usersig_key", 5, "usersig_key: got 'a secret of another type'"),
        ("colour", "red", r"colour: got 'an unknown field'; allowed: sdk_app_id"),
    ],
)
def test_mistakes_name_their_field_and_no_secret(field: str, value: object, message: str) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        applications([FULL | {field: value}], {})
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("tables", ["hidden", ["hidden"], {"usersig_key": "hidden"}])
def test_what_stands_in_place_of_the_tables_is_not_shown(tables: object) -> None:
    with pytest.raises(BadInput, match=r"tables: \[\[apps\]\]") as refused:
        applications(tables, {})
    assert "hidden" not in str(refused.value)


def test_two_of_one_id() -> None:
    with pytest.raises(BadInput, match=r"apps\[1\]\.sdk_app_id: got 5; allowed: an id that no"):
        applications([{"sdk_app_id": 5}, {"sdk_app_id": 5}], {})


def test_a_url_of_the_greatest_length() -> None:
    url = "https://h/" + "x" * 2073
    assert Application(1, callback_url=url, callback_key="k").callback_url == url


@pytest.mark.parametrize(
    "url", ["x://h:1/{room}", "whip://h:99999/{room}", "whip://[::1/{room}", ""]
)
def test_a_room_that_can_never_be_is_named(url: str) -> None:
    with pytest.raises(BadInput, match=r"^rooms\[1\]\.url: got "):
        Application(7, rooms=(("1", "whip://h:1/r"), ("*", url)))
