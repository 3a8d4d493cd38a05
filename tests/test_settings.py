"""Settings: the example names them all, files and variables are read, mistakes name their field."""

import tomllib
from contextlib import suppress
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms import RoomSettings
from slicer.settings import (
    AppSettings,
    EngineSettings,
    OutboxSettings,
    ServeSettings,
    Settings,
    SlicingSettings,
    StorageSettings,
    plain_fields,
    sections,
    variable,
)
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams
from slicer.storage import Credentials

EXAMPLE = Path(__file__).parents[1] / "slicer.example.toml"


def load(tmp_path: Path, text: str, **environment: str) -> Settings:
    path = tmp_path / "slicer.toml"
    path.write_text(text)
    return Settings.load(path, environment)


def test_the_example_is_the_defaults() -> None:
    assert Settings.load(EXAMPLE) == Settings()


def test_the_example_names_every_field() -> None:
    named = {(table, name) for table, t in tomllib.loads(EXAMPLE.read_text()).items() for name in t}
    known = {
        (section.name, one.name)
        for section in sections(Settings)
        for one, _ in plain_fields(type(getattr(Settings(), section.name)))
    }
    assert named == known


def test_the_example_tells_the_variables_of_secrets() -> None:
    text = EXAMPLE.read_text()
    for section in (StorageSettings, AppSettings, ServeSettings):
        for one in fields(section):
            assert one.repr or variable("", one) in text


def test_a_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[slicing]\naudio = 30\nimage = 'webp'\n[rooms]\nadvertise = ['192.0.2.1']\n"
        "[outbox]\ndrain = 5\n",
    )
    assert settings.slicing == SlicingSettings(audio=30, image=ImageFormat.WEBP)
    assert settings.rooms == RoomSettings(advertise=("192.0.2.1",))
    assert (settings.outbox.drain, type(settings.outbox.drain)) == (5.0, float)
    assert settings.engine == EngineSettings()


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[outbox]\nuploads = 2\ncount = 7\n[storage]\nurl = 'file:///a'\n",
        SLICER_OUTBOX_UPLOADS="4",
        SLICER_OUTBOX_DRAIN="1.5",
        SLICER_SLICING_IMAGE="jpg",
        SLICER_ROOMS_ADVERTISE="192.0.2.1, 192.0.2.2",
        SLICER_ACCESS_KEY="id",
        SLICER_SECRET_KEY="key",
        SLICER_NATIVE="0",
        HOME="/nowhere",
    )
    assert settings.outbox == OutboxSettings(count=7, uploads=4, drain=1.5)
    assert settings.slicing.image is ImageFormat.JPEG
    assert settings.rooms.advertise == ("192.0.2.1", "192.0.2.2")
    assert settings.storage == StorageSettings("file:///a", "id", "key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sliceing]\n", "sliceing: got 'an unknown table'; allowed: app, apps"),
        ("[outbox]\nmax = 1\n", "outbox.max: got 'an unknown field'; allowed: count"),
        ("[rooms]\nauthorize = 'x'\n", "rooms.authorize: got 'an unknown field'"),
        ("outbox = 1\n", "outbox: got 1; allowed: a table"),
        ("[outbox]\nuploads = '4'\n", "outbox.uploads: got '4'; allowed: a whole number from 1"),
        ("[outbox]\nuploads = 4.0\n", "outbox.uploads: got 4.0; allowed: a whole number"),
        ("[outbox]\nuploads = true\n", "outbox.uploads: got True"),
        ("[outbox]\nuploads = 0\n", "outbox.uploads: got 0; allowed: a whole number from 1 to 256"),
        ("[outbox]\ndrain = -1\n", "outbox.drain: got -1.0; allowed: a number from 0"),
        ("[outbox]\ndrain = nan\n", "outbox.drain: got nan"),
        ("[rooms]\nmax_publishers = 0\n", "rooms.max_publishers: got 0"),
        ("[rooms]\nadvertise = 'x'\n", "rooms.advertise: got 'x'; allowed: a list of texts"),
        ("[rooms]\nadvertise = [1]\n", r"rooms.advertise: got \(1,\)"),
        ("[slicing]\nimage = 'gif'\n", "slicing.image: got 'gif'; allowed: png or jpg or webp"),
        ("[slicing]\nimage = 1\n", "slicing.image: got 1"),
        ("[slicing]\naudio = 86401\n", "slicing.audio: got 86401; .* from 0 to 86400"),
        ("[slicing]\naudio = 0\nvideo = 0\n", "params: got 'neither audio nor video'"),
        ("[storage]\naccess_key = 'id'\n", "access_key and secret_key, or neither"),
        ("[app]\nusersig_key = 'k'\n", "app.sdk_app_id: got 0"),
        ("[app]\nsdk_app_id = 4294967296\n", "from 0 to 4294967295"),
        ("audio = [", "slicer.toml.*a TOML file"),
        ("[callbacks]\nallow_private = 1\n", "callbacks.allow_private: got 1; allowed: true or f"),
        ("[serve]\ntls_key = 'x'\n", "tls_cert and tls_key, or neither"),
        ("[serve]\nport = 65536\n", "serve.port: got 65536; allowed: .* from 0 to 65535"),
        ("[apps]\nx = 1\n", r"apps: got .*; allowed: tables: \[\[apps\]\]"),
        ("[[apps]]\nsdk_app_id = 0\n", r"apps\[0\].sdk_app_id: got 0"),
    ],
)
def test_mistakes_name_their_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SLICER_OUTBOX_UPLOADS", "many", "outbox.uploads: got 'many'; allowed: a whole number"),
        ("SLICER_OUTBOX_UPLOADS", "999", "outbox.uploads: got 999"),
        ("SLICER_SLICING_IMAGE", "gif", "slicing.image: got 'gif'"),
        ("SLICER_OUTBOX_UPLOAD", "1", "SLICER_OUTBOX_UPLOAD: got 'an unknown variable'"),
    ],
)
def test_mistakes_in_variables(name: str, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Settings.load(None, {name: text})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can be read"):
        Settings.load(tmp_path / "none.toml")


def test_code_is_checked_as_files_are() -> None:
    with pytest.raises(BadInput, match=r"outbox.count: got 0"):
        Settings(outbox=OutboxSettings(count=0))


def test_secrets_are_not_shown() -> None:
    settings = Settings(
        storage=StorageSettings("s3://b", "hidden-id", "hidden-key"),
        app=AppSettings(1, "hidden-sig"),
    )
    assert "hidden" not in repr(settings)
    assert "s3://b" in repr(settings)
    wrong: str = 12345  # type: ignore[assignment]
    with pytest.raises(BadInput) as refused:
        Settings(app=AppSettings(1, wrong))
    assert "12345" not in str(refused.value)


def test_what_tasks_and_stores_take() -> None:
    assert SlicingSettings(audio=20, video=0, max_idle=9).params() == SliceParams(
        AudioSpec(20), None, max_idle=9
    )
    assert Settings().slicing.params() == SliceParams()
    assert StorageSettings("s3://b", "id", "key").credentials() == Credentials("id", "key")
    assert StorageSettings("s3://b").credentials() is None


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().engine.max_tasks = 2  # type: ignore[misc]


@given(st.text(alphabet="[]=.'\"\n\\u{} abslicngoutbox0", max_size=60))
def test_any_file_is_read_or_refused(text: str) -> None:
    with NamedTemporaryFile("w", suffix=".toml") as file, suppress(BadInput):
        file.write(text)
        file.flush()
        settings = Settings.load(Path(file.name))
        assert settings.engine == EngineSettings()


def test_applications(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[[apps]]\nsdk_app_id = 7\nrooms = [{ pattern = '*', url = 'whip://h:1/{room}' }]\n"
        "[[apps]]\nsdk_app_id = 8\n",
        SLICER_APP_8_USERSIG_KEY="hidden",
        SLICER_CALLBACKS_ALLOW_PRIVATE="true",
    )
    assert [app.sdk_app_id for app in settings.apps] == [7, 8]
    assert settings.apps[0].room_url("a") == "whip://h:1/a"
    assert settings.apps[1].usersig_key == "hidden"
    assert "hidden" not in repr(settings)
    assert settings.callbacks.allow_private


def test_the_commented_application_works() -> None:
    text = EXAMPLE.read_text()
    table = text[text.index("# [[apps]]") :].replace("\n# ", "\n").removeprefix("# ")
    assert Settings.load(None).apps == ()
    with NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(table.replace('callback_key = ""', 'callback_key = "k"'))
        file.flush()
        (app,) = Settings.load(Path(file.name)).apps
    assert app.room_url("live-1") == "whip://127.0.0.1:8089/live-1"
    assert app.room_url("5") == "whip://127.0.0.1:8080/5"
