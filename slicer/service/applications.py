"""Applications: whose requests the API takes, and where their rooms and callbacks are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar
from urllib.parse import urlsplit

from slicer.errors import BadInput
from slicer.rooms import parse_room
from slicer.rooms.redaction import shown
from slicer.service.rooms import common_room, example_url, room_url

MAX_CALLBACK_URL = 2083
MAX_STREAMS = 500
_CALLBACK_KEY = re.compile(r"[A-Za-z0-9]{1,32}")
T = TypeVar("T", int, str, bool)


@dataclass(frozen=True, slots=True, repr=False)
class Application:
    """One customer's application: its API keys, rooms, callbacks and limits. Raises BadInput."""

    sdk_app_id: int = field(metadata={"range": (1, 2**32 - 1)})
    """Its number, SdkAppId."""
    usersig_key: str = field(default="", repr=False)
    """Signs and verifies the UserSigs of its users."""
    secrets: tuple[tuple[str, str], ...] = field(
        default=(), repr=False, metadata={"pair": ("id", "key")}
    )
    """Who may call the API for it: API key ids and their secret keys."""
    rooms: tuple[tuple[str, str], ...] = field(
        default=(), metadata={"pair": ("pattern", "url"), "shown": shown}
    )
    """Patterns of room ids with `*`, and the room URL in which `{room}` stands for the id and
    `{app}` for sdk_app_id; the first that fits is taken."""
    share_rooms: bool = False
    """Whether a room of it may also be one of another application that says so, too."""
    callback_url: str = ""
    """Where its callbacks go, up to 2083 characters; empty: nowhere."""
    callback_key: str = field(default="", repr=False)
    """Signs callbacks; up to 32 letters and digits."""
    max_streams: int = field(default=MAX_STREAMS, metadata={"range": (1, 1_000_000)})
    """Anchors sliced at once, over all its tasks."""
    permission_control: bool = False
    """Advanced permission control: a PrivateMapKey is demanded and verified."""
    streams: tuple[str, ...] = ()
    """Patterns of URLs with `*`: the live streams that it may have moderated."""

    def __post_init__(self) -> None:
        _whole("sdk_app_id", self.sdk_app_id, 2**32 - 1)
        _whole("max_streams", self.max_streams, 1_000_000)
        for index, (_, url) in enumerate(self.rooms):
            _check_room(f"rooms[{index}].url", url)
        if self.callback_url:
            _check_callback_url(self.callback_url)
        if self.callback_key and not _CALLBACK_KEY.fullmatch(self.callback_key):
            raise BadInput("callback_key", "another text", "1 to 32 letters and digits")
        if self.callback_url and not self.callback_key:
            allowed = f"what signs callbacks, in SLICER_APP_{self.sdk_app_id}_CALLBACK_KEY"
            raise BadInput("callback_key", "none", allowed)

    def __repr__(self) -> str:  # its keys are secret, and its room URLs may hold more
        return f"Application({self.sdk_app_id})"

    def room_url(self, room_id: str) -> str | None:
        """The room URL that serves this room id, or None where no pattern fits."""
        return room_url(self.sdk_app_id, self.rooms, room_id)


def applications(tables: object, variables: dict[str, str]) -> tuple[Application, ...]:
    """Read the settings' list of tables; takes the secrets of an app out of *variables*:
    SLICER_APP_id_USERSIG_KEY, …_CALLBACK_KEY, …_SECRETS (`id:key`, separated by commas).

    Raises BadInput that names `apps[index].field`.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        # What came is not shown: it may hold a secret, as [apps] in place of [[apps]].
        raise BadInput("apps", "something else", "tables: [[apps]]")
    found: list[Application] = []
    for index, table in enumerate(tables):
        try:
            found.append(_application(table | _from_environment(table, variables)))
        except BadInput as error:
            raise BadInput(f"apps[{index}].{error.field}", error.got, error.allowed) from None
    ids = [app.sdk_app_id for app in found]
    for index, app in enumerate(ids):
        if app in ids[:index]:
            raise BadInput(f"apps[{index}].sdk_app_id", app, "an id that no other app has")
    check_rooms(found)
    return tuple(found)


def check_rooms(apps: Sequence[Application]) -> None:
    """Raise BadInput where two applications could have the same room, and do not both say so: the
    users of one may publish there for the other, and the other's robot listens to them."""
    for index, app in enumerate(apps):
        for earlier, other in enumerate(apps[:index]):
            met = common_room(app.sdk_app_id, app.rooms, other.sdk_app_id, other.rooms)
            if met is not None and not (app.share_rooms and other.share_rooms):
                raise BadInput(
                    f"apps[{index}].rooms",
                    met[0],
                    f"rooms that apps[{earlier}] ({met[1]!r} there) cannot have: {{app}} in their "
                    "URLs, or share_rooms = true in both",
                )


def _from_environment(table: Mapping[str, object], variables: dict[str, str]) -> dict[str, object]:
    """The secrets of a table's app, as a table would hold them."""
    number = table.get("sdk_app_id")
    if isinstance(number, int) and number >= 2**32:  # its digits may be too many to be written
        return {}
    prefix = f"SLICER_APP_{number}_"
    found: dict[str, object] = {
        name: variables.pop(prefix + name.upper())
        for name in ("usersig_key", "callback_key")
        if prefix + name.upper() in variables
    }
    if prefix + "SECRETS" in variables:
        pairs = [one.partition(":") for one in variables.pop(prefix + "SECRETS").split(",")]
        if not all(name.strip() and key.strip() for name, _, key in pairs):
            allowed = f"ID:KEY, several with commas between, in {prefix}SECRETS"
            raise BadInput("secrets", "another text", allowed)
        found["secrets"] = [{"id": name.strip(), "key": key.strip()} for name, _, key in pairs]
    return found


def _application(table: Mapping[str, object]) -> Application:
    values = dict(table)
    application = Application(
        sdk_app_id=_take(values, "sdk_app_id", 0),
        usersig_key=_take(values, "usersig_key", "", secret=True),
        secrets=_pairs(values.pop("secrets", []), "secrets", "id", "key"),
        rooms=_pairs(values.pop("rooms", []), "rooms", "pattern", "url"),
        share_rooms=_take(values, "share_rooms", False),
        streams=_texts(values.pop("streams", []), "streams"),
        callback_url=_take(values, "callback_url", ""),
        callback_key=_take(values, "callback_key", "", secret=True),
        max_streams=_take(values, "max_streams", MAX_STREAMS),
        permission_control=_take(values, "permission_control", False),
    )
    if values:
        raise BadInput(
            min(values), "an unknown field", ", ".join(one.name for one in fields(Application))
        )
    return application


def _take(values: dict[str, object], name: str, default: T, *, secret: bool = False) -> T:
    """A value of the default's type out of a table."""
    value = values.pop(name, default)
    if type(value) is not type(default):
        allowed = {int: "a whole number", str: "a text", bool: "true or false"}[type(default)]
        raise BadInput(name, "a secret of another type" if secret else value, allowed)
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise BadInput(name, "something else", "a list of texts that are not empty")
    return tuple(value)


def _pairs(value: object, name: str, first: str, second: str) -> tuple[tuple[str, str], ...]:
    """A list of tables with two texts each; what came is not shown: it may be a secret."""
    allowed = f"a list of tables {{ {first} = …, {second} = … }}, texts that are not empty"
    if not isinstance(value, list):
        raise BadInput(name, "something else", allowed)
    pairs = []
    for index, one in enumerate(value):
        right = isinstance(one, dict) and one.keys() == {first, second}
        if not right or not all(isinstance(text, str) and text for text in one.values()):
            raise BadInput(f"{name}[{index}]", "something else", allowed)
        pairs.append((one[first], one[second]))
    return tuple(pairs)


def _whole(name: str, value: int, high: int) -> None:
    if not 1 <= value <= high:
        raise BadInput(name, value, f"a whole number from 1 to {high}")


def _check_callback_url(url: str) -> None:
    allowed = "http:// or https://, a host, no user, no fragment, plain ASCII"
    try:
        split = urlsplit(url)
        host = split.hostname if split.port != 0 and "@" not in split.netloc else None
    except ValueError as error:
        raise BadInput("callback_url", "another URL", f"{allowed} ({error})") from None
    plain = url.isascii() and url.isprintable() and " " not in url and "#" not in url
    if not (host and plain and split.scheme in {"http", "https"}):
        raise BadInput("callback_url", "another URL", allowed)
    if len(url) > MAX_CALLBACK_URL:
        raise BadInput("callback_url", f"{len(url)} characters", f"at most {MAX_CALLBACK_URL}")


def _check_room(name: str, url: str) -> None:
    try:
        parse_room(example_url(url))
    except BadInput as error:
        raise BadInput(name, shown(url), error.allowed) from None
