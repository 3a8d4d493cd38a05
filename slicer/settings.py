"""All settings, frozen: from a TOML file, then the environment. The example file explains them."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, get_type_hints

from slicer.applications import Application, applications
from slicer.errors import BadInput
from slicer.rooms import RoomSettings
from slicer.slicing.spec import DAY, AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.storage import Credentials
from slicer.webhooks import CallbackSettings

PREFIX = "SLICER_"
NOT_SETTINGS = {"SLICER_NATIVE"}
"""Variables with the prefix that are read elsewhere."""
MAX_FILE = 1024 * 1024
_SWITCH = {"true": True, "false": False}


def _bounded(default: float, low: float, high: float) -> Any:
    """A number with its range; what has none must be at least 1."""
    return field(default=default, metadata={"range": (low, high)})


def _secret(variable: str) -> Any:
    """A text that is never shown, and the variable that may hold it."""
    return field(default="", repr=False, metadata={"variable": variable})


@dataclass(frozen=True, slots=True)
class SlicingSettings:
    """What a task cuts unless it says otherwise. Seconds; 0 leaves that kind out."""

    audio: int = _bounded(15, 0, DAY)
    video: int = _bounded(5, 0, DAY)
    image: ImageFormat = ImageFormat.PNG
    max_idle: int = _bounded(30, 1, DAY)

    def params(self) -> SliceParams:
        """The same as a task takes it. Raises BadInput where both kinds are left out."""
        audio = AudioSpec(self.audio) if self.audio else None
        video = VideoSpec(self.video) if self.video else None
        return SliceParams(audio, video, max_idle=self.max_idle)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where slices go unless a task says otherwise."""

    url: str = ""
    access_key: str = _secret("SLICER_ACCESS_KEY")
    secret_key: str = _secret("SLICER_SECRET_KEY")

    def credentials(self) -> Credentials | None:
        """Both keys, or None where they are to be looked for in the vendor's usual places."""
        return Credentials(self.access_key, self.secret_key) if self.access_key else None


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Whose users may enter: with no key, everybody."""

    sdk_app_id: int = _bounded(0, 0, 2**32 - 1)
    usersig_key: str = _secret("SLICER_USERSIG_KEY")


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """How much may wait for the store, in slices and in bytes."""

    count: int = 2_000
    memory: int = 256 * 1024 * 1024
    uploads: int = _bounded(8, 1, 256)
    """Uploads side by side."""
    drain: float = _bounded(30.0, 0, DAY)
    """Seconds that what waits is given when the engine closes."""
    backup_after: float = _bounded(60.0, 0, DAY)
    """Seconds a store must have failed before a task's backup takes its place."""


class Fsync(StrEnum):
    """When a slice in the spool is forced to the disk; a crash of this process needs none."""

    NEVER = "never"
    INTERVAL = "interval"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """The folder in which slices wait for the store; with none, they wait in memory."""

    folder: str = ""
    fsync: Fsync = Fsync.INTERVAL
    max_bytes: int = _bounded(10 * 1024**3, 1024**2, 2**63)
    max_age: float = _bounded(3.0 * DAY, 1, 365 * DAY)
    """Seconds after which a slice that no store took is given up."""
    reserve_bytes: int = _bounded(1024**3, 0, 2**63)
    """Free space of the disk that is left to others."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The API's server, and where the service keeps what must survive it."""

    host: str = "127.0.0.1"
    port: int = _bounded(8088, 0, 65_535)
    tls_cert: str = ""
    tls_key: str = ""
    state: str = "slicer-state"
    """The folder of the task registry and of the callbacks that wait."""
    state_keys: str = _secret("SLICER_STATE_KEY")
    """Fernet keys, separated by commas: the first one encrypts, all decrypt."""
    state_key_file: str = ""
    """The same keys, one a line, where state_keys is empty; made in the state folder if need be."""
    keep_ended: int = _bounded(7, 1, 3_650)
    """Days for which an ended task is known to have ended."""


@dataclass(frozen=True, slots=True)
class StoresSettings:
    """Where the vendors of the API's buckets are reached, if not at their usual places."""

    s3_endpoint: str = ""
    cos_endpoint: str = ""
    oss_endpoint: str = ""
    path_style: bool = False
    """Whether the bucket stands in the path of a URL; S3 alone."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The bounds of one engine."""

    max_tasks: int = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything; `Settings()` works as it is. Raises BadInput that names the field."""

    slicing: SlicingSettings = field(default_factory=SlicingSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    rooms: RoomSettings = field(default_factory=RoomSettings)
    app: AppSettings = field(default_factory=AppSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    callbacks: CallbackSettings = field(default_factory=CallbackSettings)
    stores: StoresSettings = field(default_factory=StoresSettings)
    apps: tuple[Application, ...] = ()

    def __post_init__(self) -> None:
        for section in sections(type(self)):
            values = getattr(self, section.name)
            for one, kind in plain_fields(type(values)):
                _check(f"{section.name}.{one.name}", getattr(values, one.name), one, kind)
        if bool(self.storage.access_key) != bool(self.storage.secret_key):
            raise BadInput("storage", "one key", "access_key and secret_key, or neither")
        if self.app.usersig_key and not self.app.sdk_app_id:
            raise BadInput("app.sdk_app_id", 0, "the app's id beside its usersig_key")
        if bool(self.serve.tls_cert) != bool(self.serve.tls_key):
            raise BadInput("serve", "one of two files", "tls_cert and tls_key, or neither")
        self.slicing.params()

    @classmethod
    def load(cls, path: Path | None = None, environment: Mapping[str, str] | None = None) -> Self:
        """Read a file, if one is named; then variables over it. Raises BadInput."""
        tables = _tables(path) if path else {}
        variables = _variables(environment or {})
        made: dict[str, Any] = {"apps": applications(tables.get("apps", []), variables)}
        hints = get_type_hints(cls)
        unknown = sorted(tables.keys() - hints.keys())
        if unknown:
            raise BadInput(unknown[0], "an unknown table", ", ".join(sorted(hints)))
        for name in (section.name for section in sections(cls)):
            table, kind = tables.get(name, {}), hints[name]
            if not isinstance(table, dict):
                raise BadInput(name, table, f"a table: [{name}]")
            made[name] = kind(**_values(name, kind, table, variables))
        if variables:
            raise BadInput(min(variables), "an unknown variable", "SLICER_TABLE_FIELD")
        return cls(**made)


def sections(settings: type) -> Iterator[Field[Any]]:
    """The fields of Settings that are tables of plain fields: all but the applications."""
    return (one for one in fields(settings) if one.name != "apps")


def plain_fields(section: type) -> Iterator[tuple[Field[object], object]]:
    """The fields of a section that a file can hold, with their types; callables are for code."""
    hints = get_type_hints(section)
    for one in fields(section):
        kind = hints[one.name]
        if kind == tuple[str, ...] or (
            isinstance(kind, type) and issubclass(kind, int | float | str)
        ):
            yield one, kind


def variable(section: str, one: Field[object]) -> str:
    """The environment variable of a field."""
    return str(one.metadata.get("variable", f"{PREFIX}{section}_{one.name}".upper()))


def _tables(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(MAX_FILE).decode())
    except OSError as error:
        raise BadInput("settings", path.name, f"a file that can be read ({error})") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError are both
        raise BadInput("settings", path.name, f"a TOML file ({error})") from None


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text
        for name, text in environment.items()
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }


def _values(
    section: str, kind: type, table: dict[str, object], variables: dict[str, str]
) -> dict[str, object]:
    """The arguments of a section; takes what it uses out of *variables*."""
    known = {one.name: (one, hint) for one, hint in plain_fields(kind)}
    unknown = sorted(table.keys() - known.keys())
    if unknown:
        raise BadInput(f"{section}.{unknown[0]}", "an unknown field", ", ".join(known))
    values: dict[str, object] = {}
    for name, (one, hint) in known.items():
        text = variables.pop(variable(section, one), None)
        if text is not None:
            values[name] = _from_text(f"{section}.{name}", text, one, hint)
        elif name in table:
            values[name] = _from_toml(f"{section}.{name}", table[name], one, hint)
    return values


def _from_text(name: str, text: str, one: Field[object], kind: object) -> object:
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool and text in _SWITCH:
        return _SWITCH[text]
    try:
        if kind in (int, float):
            return int(text) if kind is int else float(text)
    except ValueError:
        raise _wrong(name, text, one, kind) from None
    return _from_toml(name, text, one, kind)


def _from_toml(name: str, value: object, one: Field[object], kind: object) -> object:
    """A value of the field's type where TOML has none: a tuple, an enumeration, 30 for 30.0."""
    if kind == tuple[str, ...] and isinstance(value, list):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str):
        if value not in list(kind):
            raise _wrong(name, value, one, kind)
        return kind(value)
    return value


def _check(name: str, value: object, one: Field[object], kind: object) -> None:
    """Raise BadInput unless the value is of the field's type and within its range."""
    if kind == tuple[str, ...]:
        right = isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    else:
        right = type(value) is kind
    if right and isinstance(value, int | float) and kind is not bool:
        low, high = one.metadata.get("range", (1, math.inf))
        right = low <= value <= high
    if not right:
        raise _wrong(name, value, one, kind)


def _wrong(name: str, value: object, one: Field[object], kind: object) -> BadInput:
    secret = not one.repr
    low, high = one.metadata.get("range", (1, math.inf))
    numbers = f"from {low:g}" + (f" to {high:.10g}" if high < math.inf else " up")
    allowed: dict[type, str] = {int: f"a whole number {numbers}", float: f"a number {numbers}"}
    allowed |= {str: "a text", bool: "true or false"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        said = " or ".join(kind)
    else:
        said = next((said for known, said in allowed.items() if kind is known), "a list of texts")
    return BadInput(name, "a secret of another type" if secret else value, said)
