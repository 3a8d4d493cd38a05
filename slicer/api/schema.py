"""The fields of the actions: ONE table of names, types, needs, ranges, defaults and codes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from slicer.api.errors import FIELD_CODES
from slicer.api.fields import Field, Table, Text, Texts, Whole, Wholes
from slicer.entry_points import MAX_NAME, Group, added
from slicer.service.order import Product
from slicer.slicing.subscription import MAX_ENTRIES, MAX_ENTRY_LENGTH
from slicer.usersig import MAX_TEXT

VERSION = "2019-07-22"
MAX_PREFIX = 16
"""Entries of FileNamePrefix; with 64 characters each, a key stays within the 1 KB stores take."""
_OURS = (
    *("tianyu", "ace", "shumei", "yidun", "trtc"),
    *("local", "webhook", "rekognition", "aliyun", "openai"),
)
SUPPLIERS = (*_OURS, *added(Group.SUPPLIERS, _OURS))
"""Those of other packages last, as they are installed when this is imported."""

AUDIO_SYNC = "CreateAudioModerationSync"
MAX_AUDIO_TEXT = 7_000_000
"""Characters of Base64: 5 MB."""

_NAME = r"[A-Za-z0-9_@#-]+"
_ID = r"[A-Za-z0-9_-]+"
_VISIBLE = r"[\x21-\x7e]+"


def _required(
    name: str, rule: Whole | Text | Texts | Wholes | Table, code: str = "", wrong: str = ""
) -> Field:
    missing = f"MissingParameter.{code}" if code else "MissingParameter"
    return Field(name, rule, True, None, missing, wrong or FIELD_CODES.get(name, ""))


def _secret(most: int, allowed: str, pattern: str = "") -> Text:
    return Text(most, allowed, pattern, secret=True)


_APP = _required("SdkAppId", Whole(1, 2**32 - 1, "an application configured here"), "SdkAppId")
_ROOM = (
    _required("RoomId", Text(64, "1 to 4294967295 in decimal, or up to 64 bytes"), "RoomId"),
    Field("RoomIdType", Whole(0, 1, "0 string, 1 32-bit integer"), default=1),
)
_ROBOT = (
    _required("UserId", Text(32, "1 to 32 of A-Z a-z 0-9 _ -", _ID), "UserId"),
    _required("UserSig", _secret(MAX_TEXT, "the signature of UserId"), "UserSig"),
)
_ENTRY = Text(MAX_ENTRY_LENGTH, "an exact user id, or a prefix written x.*$")
_LISTS = Table(
    tuple(
        Field(name, Texts(MAX_ENTRIES, _ENTRY))
        for name in (
            "SubscribeAudioUserIds",
            "UnSubscribeAudioUserIds",
            "SubscribeVideoUserIds",
            "UnSubscribeVideoUserIds",
        )
    )
)
_SUBSCRIPTION = Field("SubscribeStreamUserIds", _LISTS)
_STORAGE = Table(
    (
        _required("Vendor", Whole(0, 2, "0 COS, 1 AWS S3, 2 Aliyun OSS"), "Vendor"),
        _required("Region", Text(64, "1 to 64 of A-Z a-z 0-9 -", r"[A-Za-z0-9-]+"), "Region"),
        _required(
            "Bucket",
            Text(255, "A-Z a-z 0-9 . _ -, first a letter or digit", r"[A-Za-z0-9][A-Za-z0-9._-]*"),
            "Bucket",
        ),
        _required("AccessKey", _secret(256, "up to 256 visible ASCII", _VISIBLE), "AccessKey"),
        _required("SecretKey", _secret(256, "up to 256 visible ASCII", _VISIBLE), "SecretKey"),
        Field("FileNamePrefix", Texts(MAX_PREFIX, Text(64, "1 to 64 of A-Z a-z 0-9 _ -", _ID))),
    )
)
_SLICE = Table(
    (
        _required("SliceType", Whole(1, 3, "1 audio, 2 frames, 3 both"), "SliceType"),
        Field("MaxIdleTime", Whole(5, 86_400, "seconds"), default=30),
        Field("SliceAudio", Whole(15, 60, "seconds"), default=15),
        Field("SliceVideo", Whole(5, 60, "seconds"), default=5),
        _SUBSCRIPTION,
        Field("SliceImageType", Whole(0, 1, "0 png, 1 jpg"), default=0),
        Field("SliceCallbackUrl", Text(2_083, "deprecated: accepted and ignored")),
    )
)
_SUPPLIER = Table(
    (
        Field("AppID", Text(256, "up to 256 bytes; required for tianyu and shumei")),
        Field("SecretId", _secret(256, "up to 256 visible ASCII", _VISIBLE)),
        Field("SecretKey", _secret(256, "up to 256 visible ASCII", _VISIBLE)),
        Field("AudioBizType", Text(256, "up to 256 bytes")),
        Field("ImageBizType", Text(256, "up to 256 bytes")),
    )
)
_MODERATION = Table(
    (
        Field(
            "ModerationType", Whole(1, 3, "1 audio, 2 frames, 3 both", refused=(4, 5)), default=1
        ),
        Field("MaxIdleTime", Whole(5, 1_800, "seconds"), default=30),
        Field("SliceAudio", Whole(15, 60, "seconds"), default=15),
        Field("SliceVideo", Whole(1, 60, "seconds"), default=5),
        _required(
            "ModerationSupplier",
            Text(
                MAX_NAME,
                "one of " + ", ".join(SUPPLIERS),
                "(?i:" + "|".join(map(re.escape, SUPPLIERS)) + ")",
            ),
        ),
        Field("ModerationSupplierParam", _SUPPLIER),
        Field("SaveModerationFile", Whole(0, 2, "0 none, 1 all, 2 hits"), default=0),
        Field("CallbackAllResults", Whole(0, 1, "0 all, 1 hits only"), default=0),
        _SUBSCRIPTION,
    )
)
_AGORA = Table(
    (
        Field("AppId", Text(256, "refused")),
        Field("Channel", Text(256, "refused")),
        Field("ChannelProfile", Whole(0, 1, "refused")),
        Field("Token", _secret(MAX_TEXT, "refused")),
        Field("Uid", Whole(0, 2**63 - 1, "refused")),
        Field("TrustedUserIdList", Wholes(MAX_ENTRIES, Whole(0, 2**63 - 1))),
        Field("UntrustedUserIdList", Wholes(MAX_ENTRIES, Whole(0, 2**63 - 1))),
    )
)
_INPUT = Table(
    (
        _required("Url", _secret(2_047, "a stream's URL, up to 2047 visible ASCII", _VISIBLE)),
        Field("Format", Text(4, "rtmp", "rtmp")),
        Field("AgoraParam", _AGORA),  # requests refuse it: there is no SDK of Agora's here
    )
)
_LIVE = Table(
    (
        Field("ModerationType", Whole(1, 3, "1 audio, 2 frames, 3 both"), default=3),
        Field("MaxIdleTime", Whole(30, 1_800, "seconds"), default=30),
        Field("SliceVideo", Whole(1, 60, "seconds"), default=5),
        Field("SliceAudio", Whole(5, 60, "seconds"), default=15),
        Field("SaveModerationFile", Whole(0, 2, "0 none, 1 all, 2 hits"), default=1),
        Field("CallbackAllResults", Whole(0, 1, "0 all, 1 hits only"), default=0),
    )
)
_SOURCE = Table(
    (
        Field("RoomId", Text(64, "a name of your own, up to 64 bytes")),
        Field("RoomIdType", Whole(0, 1, "0 string, 1 32-bit integer"), default=0),
        Field("UserId", Text(32, "1 to 32 of A-Z a-z 0-9 _ -", _ID)),
    )
)
_AUDIO = (
    replace(_APP, name="Sdkappid"),
    Field("BizType", Text(256, "accepted and ignored")),
    Field("DataId", Text(64, "up to 64 of A-Z a-z 0-9 _ - @ #", _NAME)),
    Field("FileFormat", Text(3, "wav, mp3 or m4a", "wav|mp3|m4a")),
    Field("FileName", Text(64, "up to 64 of A-Z a-z 0-9 _ - @ #", _NAME)),
    Field("FileContent", Text(MAX_AUDIO_TEXT, "up to 5 MB in Base64", r"[A-Za-z0-9+/=]+")),
    Field("FileUrl", Text(2_047, "refused")),  # this machine fetches nothing for a caller
)
_TASK = (_APP, _required("TaskId", Text(256, "as Create gave it"), "TaskId"))


class Verb(Enum):
    """What is done with a task."""

    CREATE = "Create"
    DESCRIBE = "Describe"
    MODIFY = "Modify"
    DELETE = "Delete"
    JUDGE = "CreateSync"
    """Of a file that comes with the request; the verdict is the answer."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action: of which product, what it does, and its fields."""

    product: Product
    verb: Verb
    fields: tuple[Field, ...]


_CREATE = {
    Product.SLICE: (
        _APP,
        *_ROOM,
        *_ROBOT,
        _required("SliceParams", _SLICE, "SliceParams"),
        _required(
            "SliceStorageParams",
            Table((_required("CloudSliceStorage", _STORAGE, "SliceStorageParams"),)),
            "SliceStorageParams",
        ),
        Field("ResourceExpiredHour", Whole(6, 720, "hours"), default=72),
        Field("PrivateMapKey", _secret(MAX_TEXT, "the robot's permission ticket for this room")),
    ),
    Product.MODERATION: (
        _APP,
        *_ROOM,
        *_ROBOT,
        _required("ModerationParams", _MODERATION, "SliceParams"),
        # Required unless SaveModerationFile is 0: requests.py knows.
        Field(
            "ModerationStorageParams",
            Table((_required("CloudModerationStorage", _STORAGE, "SliceStorageParams"),)),
            missing="MissingParameter.SliceStorageParams",
        ),
        Field("ResourceExpiredHour", Whole(6, 72, "hours"), default=24),
    ),
    Product.LIVE: (
        _APP,
        _required("Input", _INPUT),
        _required("LiveModerationParams", _LIVE),
        Field("DataId", Text(60, "up to 60 bytes")),
        Field("SourceInfo", _SOURCE),
        # As with the other: unless SaveModerationFile is 0.
        Field(
            "LiveModerationStorageParams",
            Table((_required("CloudModerationStorage", _STORAGE, "SliceStorageParams"),)),
            missing="MissingParameter.SliceStorageParams",
        ),
        Field("ResourceExpiredHour", Whole(1, 72, "hours"), default=48),
    ),
}
_FIELDS = {Verb.DESCRIBE: _TASK, Verb.MODIFY: (*_TASK, _SUBSCRIPTION), Verb.DELETE: _TASK}
_NOUNS = {
    Product.SLICE: "CloudSliceTask",
    Product.MODERATION: "CloudModeration",
    Product.LIVE: "LiveStreamModeration",
}
_VERBS = {Product.LIVE: (Verb.CREATE, Verb.DESCRIBE, Verb.DELETE)}

ACTIONS: Mapping[str, Action] = {
    verb.value + noun: Action(product, verb, _FIELDS.get(verb) or _CREATE[product])
    for product, noun in _NOUNS.items()
    for verb in _VERBS.get(product, (Verb.CREATE, Verb.DESCRIBE, Verb.MODIFY, Verb.DELETE))
} | {AUDIO_SYNC: Action(Product.MODERATION, Verb.JUDGE, _AUDIO)}


def walk(fields: tuple[Field, ...], path: str = "") -> Iterator[tuple[str, Field]]:
    """Every field with its full path, objects before what they hold."""
    for field in fields:
        yield path + field.name, field
        if isinstance(field.rule, Table):
            yield from walk(field.rule.fields, f"{path}{field.name}.")
