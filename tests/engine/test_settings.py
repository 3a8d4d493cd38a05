"""An engine's settings: files and variables are read, mistakes name their field."""

import math
from contextlib import suppress
from dataclasses import FrozenInstanceError
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.config.schema import table_schema
from slicer.delivery.settings import OutboxSettings
from slicer.engine.settings import EngineSettings, Keyframes, Settings, SlicingSettings
from slicer.errors import BadInput
from slicer.rooms.whip.settings import WhipSettings
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.storage.settings import StorageSettings


def load(tmp_path: Path, text: str, **environment: str) -> Settings:
    path = tmp_path / "slicer.toml"
    path.write_text(text)
    return Settings.load(path, environment)


def test_a_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[slicing]\naudio = 30\nimage = 'webp'\n[whip]\nadvertise = ['192.0.2.1']\n"
        "[outbox]\ndrain = 5\n",
    )
    assert settings.slicing == SlicingSettings(audio=30, image=ImageFormat.WEBP)
    assert settings.whip == WhipSettings(advertise=("192.0.2.1",))
    assert (settings.outbox.drain, type(settings.outbox.drain)) == (5.0, float)
    assert settings.engine == EngineSettings()


def test_a_task_gets_what_it_does_not_say_itself() -> None:
    seldom = SlicingSettings(report_wait=1.0, max_height=360, keyframe_interval=2.0, aux=False)
    video = VideoSpec(5, 1.0, 360, 2.0)
    assert seldom.complete(SliceParams()) == SliceParams(AudioSpec(15, 1.0), video, aux=False)
    own = SliceParams(video=VideoSpec(5, max_height=720), aux=True)
    assert seldom.complete(own).video == VideoSpec(5, 1.0, 720, 2.0)
    assert seldom.complete(own).aux
    never = SlicingSettings(keyframes=Keyframes.NEVER).complete(SliceParams()).video
    assert never == VideoSpec(5, 3.0, None, math.inf)


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[outbox]\nuploads = 2\ncount = 7\n[storage]\nurl = 'file:///a'\n",
        SLICER_OUTBOX_UPLOADS="4",
        SLICER_OUTBOX_DRAIN="1.5",
        SLICER_SLICING_IMAGE="jpg",
        SLICER_WHIP_ADVERTISE="192.0.2.1, 192.0.2.2",
        SLICER_ACCESS_KEY="id",
        SLICER_SECRET_KEY="key",
        SLICER_NATIVE="0",
        HOME="/nowhere",
    )
    assert settings.outbox == OutboxSettings(count=7, uploads=4, drain=1.5)
    assert settings.slicing.image is ImageFormat.JPEG
    assert settings.whip.advertise == ("192.0.2.1", "192.0.2.2")
    assert settings.storage == StorageSettings("file:///a", "id", "key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sliceing]\n", "sliceing: got 'an unknown table'; allowed: apps, console, engine"),
        ("[outbox]\nmax = 1\n", "outbox.max: got 'an unknown field'; allowed: count"),
        ("[whip]\nauthorize = 'x'\n", "whip.authorize: got 'an unknown field'"),
        ("outbox = 1\n", "outbox: got 1; allowed: a table"),
        ("[outbox]\nuploads = '4'\n", "outbox.uploads: got '4'; allowed: a whole number from 1"),
        ("[outbox]\nuploads = 4.0\n", "outbox.uploads: got 4.0; allowed: a whole number"),
        ("[outbox]\nuploads = true\n", "outbox.uploads: got True"),
        ("[outbox]\nuploads = 0\n", "outbox.uploads: got 0; allowed: a whole number from 1 to 256"),
        ("[outbox]\ndrain = -1\n", "outbox.drain: got -1.0; allowed: a number from 0"),
        ("[outbox]\ndrain = nan\n", "outbox.drain: got nan"),
        ("[whip]\nmax_publishers = 0\n", "whip.max_publishers: got 0"),
        ("[whip]\ntcp = '127.0.0.1:8189'\n", "whip.tcp: got .* allowed: whip.udp beside it"),
        ("[whip]\nadvertise = 'x'\n", "whip.advertise: got 'x'; allowed: a list of texts"),
        ("[whip]\nadvertise = [1]\n", r"whip.advertise: got \(1,\)"),
        ("[slicing]\nimage = 'gif'\n", "slicing.image: got 'gif'; allowed: png, jpg or webp"),
        ("[slicing]\nimage = 1\n", "slicing.image: got 1"),
        ("[slicing]\naudio = 3601\n", "slicing.audio: got 3601; .* from 0 to 3600"),
        ("[slicing]\nvideo = 86401\n", "slicing.video: got 86401; .* from 0 to 86400"),
        ("[slicing]\naudio = 0\nvideo = 0\n", "params: got 'neither audio nor video'"),
        ("[storage]\naccess_key = 'id'\n", "access_key and secret_key, or neither"),
        ("[whip]\nusersig_key = 'k'\n", "whip.sdk_app_id: got 0"),
        ("[whip]\nsdk_app_id = 4294967296\n", "from 0 to 4294967295"),
        ("audio = [", "slicer.toml.*a TOML file"),
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


@pytest.mark.parametrize(
    "origin", ["", "*", "https://h:8443", "capacitor://localhost", "ionic://localhost"]
)
def test_origins_of_pages_that_may_publish(origin: str) -> None:
    assert Settings(whip=WhipSettings(allow_origin=origin)).whip.allow_origin == origin


@pytest.mark.parametrize("origin", ["h", "https://h/", "https://u@h", "://h", "https://h:65536"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(BadInput, match=r"whip\.allow_origin: got .*SCHEME://HOST"):
        Settings(whip=WhipSettings(allow_origin=origin))


def test_code_is_checked_as_files_are() -> None:
    with pytest.raises(BadInput, match=r"outbox.count: got 0"):
        Settings(outbox=OutboxSettings(count=0))


def test_secrets_are_not_shown() -> None:
    settings = Settings(
        storage=StorageSettings("s3://b", "hidden-id", "hidden-key"),
        whip=WhipSettings(1, "hidden-sig"),
    )
    assert "hidden" not in repr(settings)
    assert "s3://b" in repr(settings)
    wrong: str = 12345  # type: ignore[assignment]
    with pytest.raises(BadInput) as refused:
        Settings(whip=WhipSettings(1, wrong))
    assert "12345" not in str(refused.value)


def test_what_tasks_take() -> None:
    assert SlicingSettings(audio=20, video=0, max_idle=9).params() == SliceParams(
        AudioSpec(20), None, max_idle=9
    )
    assert Settings().slicing.params() == SliceParams()


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_a_setting_allows_what_a_task_allows(kind: str) -> None:
    """One range, whoever tells it: the settings, their schema, the command, a task."""
    spec = {"audio": AudioSpec, "video": VideoSpec}[kind]
    properties = table_schema(SlicingSettings)["properties"]
    most = properties[kind]["maximum"]
    changed: dict[str, Any] = {kind: most}
    assert getattr(SlicingSettings(**changed).params(), kind) == spec(most)
    with pytest.raises(BadInput):
        spec(most + 1)


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
