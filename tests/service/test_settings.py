"""The service's settings: the example names them all; one file serves the engine as well."""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import Field
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from slicer.config import in_words, limits, section_fields, variable
from slicer.config.reader import SettingsReader
from slicer.engine.settings import MOVED, OTHER_TABLES, OTHER_VARIABLES, Settings
from slicer.errors import BadInput
from slicer.service.settings import ServiceSettings, VendorSettings

# Texts that may be any text: what somebody calls something, or where it is.
FREE = {
    "storage.url",  # a store of another package may have any scheme: refused when a task begins
    *("spool.folder", "serve.state", "serve.state_key_file", "serve.tls_cert", "serve.tls_key"),
    *("fleet.credentials", "fleet.tls_ca", "fleet.tls_cert", "fleet.tls_key", "fleet.user"),
    "fleet.copies",  # the same
    *("moderation.local_whisper", "moderation.local_words", "moderation.openai_model"),
}
NONSENSE = "no sense ☃"
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
        ("[serve]\ntls_key = 'x'\n", "serve.tls_cert: got 'one file'; allowed: with serve.tls_key"),
        ("[console]\ntoken = 'short'\n", "console.token: got 'a shorter text'; allowed: 16 char"),
        ("[serve]\nport = 65536\n", "serve.port: got 65536; allowed: .* from 0 to 65535"),
        ("[apps]\nx = 1\n", r"apps: got .*; allowed: tables: \[\[apps\]\]"),
        ("[[apps]]\nsdk_app_id = 0\n", r"apps\[0\].sdk_app_id: got 0"),
    ],
)
def test_mistakes_name_their_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(tmp_path, text)


def all_fields() -> Iterator[tuple[str, str, "Field[object]", Any]]:
    for table, section in ServiceSettings().tables().items():
        for one, kind in section_fields(type(section)):
            yield table, f"{table}.{one.name}", one, kind


def refusal(text: str, folder: Path, **environment: str) -> BadInput | None:
    try:
        load(folder, text, **environment)
    except BadInput as error:
        return error
    return None


def refusal_of_table(table: str, text: str) -> BadInput | None:
    """The same by its reader alone: a fraction of the time."""
    section = type(ServiceSettings().tables()[table])
    try:
        SettingsReader(tomllib.loads(text), {}, {}).take(table, section)
    except BadInput as error:
        return error
    return None


def wrong(one: "Field[object]", kind: Any) -> Iterator[str]:
    """What a field cannot be, as TOML."""
    low, high = limits(one)
    yield from ("[1]", "[['a']]", "{ a = 1 }", "1979-05-27")
    if kind in (int, float):
        yield from ("'1'", "true", "nan", str(low - 1))
        yield from [str(high + 1)] if high < math.inf else []
    elif kind is bool:
        yield from ("0", "'true'")
    elif kind == tuple[str, ...]:
        yield from ("1", "'a'", "[true]", '["a\\u0000b"]')
    else:
        yield from ("1", "true", '"a\\u0000b"')


def test_whatever_a_field_cannot_be_is_refused_by_its_name() -> None:
    """With the value, unless it is a secret, and with what is allowed; of an enumeration all."""
    faults = []
    for table, name, one, kind in all_fields():
        for value in wrong(one, kind):
            error = refusal_of_table(table, f"[{table}]\n{one.name} = {value}\n")
            if error is None or error.field != name or not error.allowed:
                faults.append((name, value, error))
            elif isinstance(kind, type) and issubclass(kind, StrEnum):
                assert error.allowed == in_words(list(kind))
    assert faults == []


def test_a_variable_is_refused_as_the_field_is(tmp_path: Path) -> None:
    faults = []
    for table, name, one, kind in all_fields():
        if kind in (int, float, bool) or (isinstance(kind, type) and issubclass(kind, StrEnum)):
            error = refusal("", tmp_path, **{variable(table, one): NONSENSE})
            if error is None or (error.field, error.got) != (name, NONSENSE):
                faults.append((name, error))
    assert faults == []


def test_a_text_that_makes_no_sense_is_refused_before_a_start(tmp_path: Path) -> None:
    """What only a customer's first request would show is shown by `slicer config --check`."""
    passed = set()
    for table, name, one, kind in all_fields():
        if kind not in (str, tuple[str, ...]) or not one.repr:
            continue
        value = f"'{NONSENSE}'" if kind is str else f"['{NONSENSE}']"
        error = refusal(f"[{table}]\n{one.name} = {value}\n", tmp_path)
        if error is None or error.field != name:
            passed.add(name)
    assert passed - FREE == set()


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
