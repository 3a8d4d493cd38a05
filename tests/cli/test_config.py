"""slicer config: the schema fits the example, a file is checked, no secret is shown."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, STORED
from slicer.service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "slicer.example.toml"
FILE = """
[slicing]
image = "webp"
[storage]
url = "s3://bucket?region=x"
secret_key = "hidden-1"
[whip]
advertise = ["192.0.2.1", "192.0.2.2"]
[serve]
state_keys = "hidden-2"
[[apps]]
sdk_app_id = 1400000001
usersig_key = "hidden-3"
secrets = [{ id = "hidden-4", key = "hidden-5" }]
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
"""


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["config", "--schema"]) == STORED
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLICER_ACCESS_KEY", "hidden-6")
    monkeypatch.setenv("SLICER_OUTBOX_UPLOADS", "4")
    path = tmp_path / "slicer.toml"
    path.write_text(FILE)
    return path


def with_the_application(text: str) -> str:
    """The example, with the application that it has in comments."""
    head, _, table = text.partition("# [[apps]]")
    return head + "[[apps]]" + table.replace("\n# ", "\n").replace('""', '"k"')


def test_the_schema_fits_the_example_and_the_samples(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for text in (
        EXAMPLE.read_text(),
        with_the_application(EXAMPLE.read_text()),
        FILE,
        *(path.read_text() for path in (ROOT / "samples").glob("*.toml")),
    ):
        validator.validate(tomllib.loads(text))
    tables = tomllib.loads(with_the_application(EXAMPLE.read_text()))
    assert tables.keys() == schema["properties"].keys()


@pytest.mark.parametrize(
    "text",
    [
        "[slicing]\nimage = 'gif'",
        "[outbox]\nuploads = 257",
        "[webhooks]\nbound = 'many'",
        "[rooms]\nsilence = 1",
        "[whip]\nsilent = 1",
        "[[apps]]\nmax_streams = 1",
        "[[apps]]\nsdk_app_id = 0",
    ],
)
def test_the_schema_refuses_what_the_settings_refuse(schema: dict[str, Any], text: str) -> None:
    assert not Draft202012Validator(schema).is_valid(tomllib.loads(text))


def test_every_field_is_described_and_no_secret_has_a_default(schema: dict[str, Any]) -> None:
    tables = schema["properties"] | {"apps": schema["properties"]["apps"]["items"]}
    fields = {(t, name): one for t in tables for name, one in tables[t]["properties"].items()}
    assert [name for name, one in fields.items() if not one.get("description")] == []
    secrets = {name for name, one in fields.items() if one.get("writeOnly")}
    assert secrets == {
        ("storage", "access_key"), ("storage", "secret_key"), ("whip", "usersig_key"),
        ("whip", "turn_secret"),
        ("trtc", "usersig_key"),
        ("livekit", "key"), ("livekit", "secret"), ("whep", "bearer"),
        ("janus", "pin"), ("janus", "token"), ("janus", "api_secret"),
        ("serve", "state_keys"), ("console", "token"), ("fleet", "password"),
        ("fleet", "copies_access_key"), ("fleet", "copies_secret_key"),
        ("moderation", "webhook_secret"),
        ("apps", "usersig_key"), ("apps", "secrets"), ("apps", "callback_key"),
    }  # fmt: skip
    assert not any("default" in fields[name] for name in secrets)


def test_a_file_that_is_right(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--check", str(file)]) == STORED
    assert capsys.readouterr().out == f"{file}: right, with 1 application\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[outbox]\nuploads = 0\n", "outbox.uploads: got 0; allowed: a whole number from 1 to 256"),
        ("[rooms]\nsilence = 1\n", "rooms.silence: got 'a field that has moved'; allowed: whip.s"),
        ("[serve]\nhots = 1\n", "serve.hots: got 'an unknown field'; allowed: host, port"),
        ("[sevre]\n", "sevre: got 'an unknown table'; allowed: apps, console, engine"),
        ("[serve", "a TOML file"),
        (
            '[metrics]\nlisten = "127.0.0.1:8088"\n',
            "metrics.listen: got '127.0.0.1:8088'; allowed: another port than that of serve.port",
        ),
        ('[whip]\nudp = "0.0.0.0:99999"\n', "whip.udp: got '0.0.0.0:99999'; allowed: ADDRESS:PORT"),
        ('[whip]\nadvertise = ["999.1.1.1"]\n', "advertise: got '999.1.1.1'; allowed: an IP addr"),
        ('[vendors]\ns3_endpoint = "http://h:99999"\n', "vendors.s3_endpoint: got 'http://h:9999"),
        (
            '[whip]\nice_servers = ["turn:turn.example.com:3478"]\n',
            "whip.turn_secret: got 'nothing'; allowed: the TURN server's secret",
        ),
    ],
)
def test_a_file_that_is_wrong(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slicer.toml"
    path.write_text(text)
    assert main(["config", "--check", str(path)]) == BAD_INPUT
    assert says in capsys.readouterr().err


def test_what_is_in_force_without_secrets(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--show", str(file)]) == STORED
    text = capsys.readouterr().out
    assert "hidden" not in text
    assert "uploads = 4" in text
    assert "# access_key: set, not shown" in text
    again = tmp_path / "again.toml"
    again.write_text(text)
    secrets = {"SLICER_ACCESS_KEY": "hidden-6", "SLICER_SECRET_KEY": "hidden-1"}
    secrets |= {"SLICER_STATE_KEY": "hidden-2", "SLICER_APP_1400000001_USERSIG_KEY": "hidden-3"}
    secrets |= {"SLICER_APP_1400000001_SECRETS": "hidden-4:hidden-5"}
    expected = ServiceSettings.load(file, secrets | {"SLICER_OUTBOX_UPLOADS": "4"})
    assert ServiceSettings.load(again, secrets) == expected


def test_the_defaults_are_shown_where_no_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--show"]) == STORED
    assert tomllib.loads(capsys.readouterr().out)["slicing"] == {
        "audio": 15, "video": 5, "image": "png", "max_idle": 30,
        "preroll": 0.16, "report_wait": 3.0, "max_height": 0, "keyframes": "request",
        "keyframe_interval": 0.3, "aux": True,
    }  # fmt: skip


def test_one_of_the_three(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--schema", "--show"]):
        with pytest.raises(SystemExit):
            main(["config", *arguments])
    assert "--check" in capsys.readouterr().err


def test_a_room_s_url_is_shown_without_its_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rooms.toml"
    room = '{ pattern = "*", url = "whip://127.0.0.1:8080/{room}?pin=hidden" }'
    file.write_text(f"[[apps]]\nsdk_app_id = 7\nrooms = [{room}]\n")
    assert main(["config", "--show", str(file)]) == STORED
    assert "127.0.0.1:8080/{room}?pin=***" in capsys.readouterr().out
