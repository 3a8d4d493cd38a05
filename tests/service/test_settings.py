"""The service's settings: the example names them all; one file serves the engine as well."""

import tomllib
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from slicer.config import section_fields, variable
from slicer.engine.settings import MOVED, OTHER_TABLES, OTHER_VARIABLES, Settings
from slicer.errors import BadInput
from slicer.service.settings import ServiceSettings, VendorSettings

EXAMPLE = Path(__file__).parents[2] / "slicer.example.toml"


def load(tmp_path: Path, text: str, **environment: str) -> ServiceSettings:
    path = tmp_path / "slicer.toml"
    path.write_text(text)
    return ServiceSettings.load(path, environment)


def test_the_example_is_the_defaults() -> None:
    assert ServiceSettings.load(EXAMPLE) == ServiceSettings()
    assert Settings.load(EXAMPLE) == Settings()


def test_the_example_names_every_field() -> None:
    named = {(table, name) for table, t in tomllib.loads(EXAMPLE.read_text()).items() for name in t}
    known = {
        (name, one.name)
        for name, section in ServiceSettings().tables().items()
        for one, _ in section_fields(type(section))
    }
    assert named == known


def test_the_example_tells_the_variables_of_secrets() -> None:
    text = EXAMPLE.read_text()
    for name, section in ServiceSettings().tables().items():
        for one, _ in section_fields(type(section)):
            assert one.repr or variable(name, one) in text


def test_one_file_serves_the_engine_as_well(tmp_path: Path) -> None:
    path = tmp_path / "slicer.toml"
    path.write_text("[engine]\nmax_tasks = 7\n[serve]\nport = 1\n[[apps]]\nsdk_app_id = 5\n")
    service = ServiceSettings.load(path, {"SLICER_STATE_KEY": "key"})
    assert (service.engine.engine.max_tasks, service.serve.port) == (7, 1)
    assert Settings.load(path, {"SLICER_STATE_KEY": "key"}) == service.engine
    own = {one.name for one, _ in section_fields(ServiceSettings)} - {"engine"}
    assert set(OTHER_TABLES) == own
    for name in own - {"apps"}:
        for one, _ in section_fields(type(ServiceSettings().tables()[name])):
            assert variable(name, one).startswith(OTHER_VARIABLES)


@pytest.mark.parametrize("old", MOVED)
def test_a_moved_field_is_told_its_new_name(tmp_path: Path, old: str) -> None:
    table, name = old.split(".")
    path = tmp_path / "slicer.toml"
    path.write_text(f"[{table}]\n{name} = 1\n")
    was, now = (f"SLICER_{key.replace('.', '_').upper()}" for key in (old, MOVED[old]))
    for kind in (Settings, ServiceSettings):
        with pytest.raises(BadInput, match=f"{old}: got 'a field.*moved'; allowed: {MOVED[old]}$"):
            kind.load(path)
        with pytest.raises(BadInput, match=f"{was}: got 'a variable.*moved'; allowed: {now}$"):
            kind.load(None, {was: "1"})
    table, name = MOVED[old].split(".")
    assert name in [one.name for one, _ in section_fields(type(ServiceSettings().tables()[table]))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sliceing]\n", "sliceing: got 'an unknown table'; allowed: apps, console, engine"),
        ("[webhooks]\nallow_private = 1\n", "webhooks.allow_private: got 1; allowed: true or f"),
        ("[serve]\ntls_key = 'x'\n", "tls_cert and tls_key, or neither"),
        ("[console]\ntoken = 'short'\n", "console.token: got 'a shorter text'; allowed: 16 char"),
        ("[serve]\nport = 65536\n", "serve.port: got 65536; allowed: .* from 0 to 65535"),
        ("[apps]\nx = 1\n", r"apps: got .*; allowed: tables: \[\[apps\]\]"),
        ("[[apps]]\nsdk_app_id = 0\n", r"apps\[0\].sdk_app_id: got 0"),
    ],
)
def test_mistakes_name_their_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(tmp_path, text)


def test_applications(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[[apps]]\nsdk_app_id = 7\nrooms = [{ pattern = '*', url = 'whip://h:1/{room}' }]\n"
        "[[apps]]\nsdk_app_id = 8\n",
        SLICER_APP_8_USERSIG_KEY="hidden",
        SLICER_WEBHOOKS_ALLOW_PRIVATE="true",
    )
    assert [app.sdk_app_id for app in settings.apps] == [7, 8]
    assert settings.apps[0].room_url("a") == "whip://h:1/a"
    assert settings.apps[1].usersig_key == "hidden"
    assert "hidden" not in repr(settings)
    assert settings.webhooks.allow_private


def test_the_commented_application_works() -> None:
    text = EXAMPLE.read_text()
    table = text[text.index("# [[apps]]") :].replace("\n# ", "\n").removeprefix("# ")
    assert ServiceSettings.load(None).apps == ()
    with NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(table.replace('callback_key = ""', 'callback_key = "k"'))
        file.flush()
        (app,) = ServiceSettings.load(Path(file.name)).apps
    assert app.room_url("live-1") == "whip://127.0.0.1:8089/live-1"
    assert app.room_url("5") == "whip://127.0.0.1:8080/5"


def test_a_link_that_is_good_for_moments_is_none() -> None:
    with pytest.raises(BadInput, match=r"vendors\.links: got 59; allowed: 0, or seconds from 60"):
        ServiceSettings(vendors=VendorSettings(links=59))
    assert ServiceSettings(vendors=VendorSettings(links=60)).vendors.links == 60
