"""Fields to orders: both seeds, rooms, robots, permission tickets, suppliers."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from slicer.api.errors import code_of
from slicer.api.fields import Reader
from slicer.api.requests import read_lists, read_order
from slicer.api.schema import ACTIONS
from slicer.delivery.judging import Keep
from slicer.errors import BadInput, SlicerError
from slicer.rtp.parameters import Kind
from slicer.service.applications import Application
from slicer.service.order import Bucket, Moderation, Order, Product, SupplierSpec
from slicer.slicing.spec import AudioSpec, ImageFormat, VideoSpec
from slicer.storage import Credentials
from slicer.usersig import Privilege, SdkApp
from tests.harness.service.api import APP, NOW, seed

SLICE, MODERATION = "CreateCloudSliceTask", "CreateCloudModeration"
SIGNER = SdkApp(200806, "the-key")
KEYED = replace(APP, usersig_key="the-key")
CONTROLLED = replace(KEYED, permission_control=True)
SIGNED: dict[str, object] = {"UserSig": SIGNER.usersig("inspect", NOW)}


def order(action: str, changes: Mapping[str, object], app: Application = APP) -> Order:
    """The order of a seed with some fields changed: `A.B` is a nested one, None leaves it out."""
    body = seed(action)
    for path, value in changes.items():
        at: object = body
        *folders, last = path.split(".")
        for folder in folders:
            assert isinstance(at, dict)
            at = at.setdefault(folder, {})
        assert isinstance(at, dict)
        at[last] = value
    values = Reader().read(ACTIONS[action].fields, body)
    return read_order(app, ACTIONS[action].product, values, NOW)


def refusal(action: str, changes: Mapping[str, object], app: Application = APP) -> tuple[str, str]:
    with pytest.raises(SlicerError) as caught:
        order(action, changes, app)
    return code_of(caught.value), str(caught.value)


def test_the_seed_of_slices() -> None:
    made = order(SLICE, {})
    assert (made.product, made.room_id, made.room_type) == (Product.SLICE, "150", 1)
    assert (made.user_id, made.expire_hours, made.moderation) == ("inspect", 72, None)
    assert (made.params.audio, made.params.video) == (AudioSpec(15), VideoSpec(5))
    assert (made.params.max_idle, made.images) == (30, ImageFormat.PNG)
    assert made.bucket == Bucket(
        0,
        "ap-guangzhou",
        "av-recover-prod-1258344699",
        Credentials("AKIDiGYZYrugBPM3TbS2MO9dqxxx", "91w4wXswiDSQ7XfX8So31xxx"),
        ("prefix1",),
    )


def test_the_seed_of_moderation() -> None:
    made = order(MODERATION, {})
    supplier = SupplierSpec(
        "ace", "2501", "ace_ugc_20521", "637ae34f4069afb92xxxxxxx", "2001", "2002"
    )
    assert made.product is Product.MODERATION
    assert made.moderation == Moderation(supplier, Keep.NONE, hits_only=False)
    assert (made.params.audio, made.params.video) == (AudioSpec(15), None)
    assert made.expire_hours == 72
    # SaveModerationFile 0: nothing is kept, whatever store is named.
    assert made.bucket is None


def test_defaults() -> None:
    made = order(
        SLICE, {"RoomIdType": None, "ResourceExpiredHour": None, "SliceParams": {"SliceType": 1}}
    )
    assert (made.room_type, made.expire_hours) == (1, 72)
    assert (made.params.audio, made.params.video) == (AudioSpec(15), None)
    made = order(
        MODERATION,
        {
            "ResourceExpiredHour": None,
            "ModerationParams": {"ModerationSupplier": "trtc"},
            "ModerationStorageParams": None,
        },
    )
    assert made.expire_hours == 24
    assert (made.params.audio, made.params.video) == (AudioSpec(15), None)
    assert made.moderation == Moderation(SupplierSpec("trtc"))


def test_kinds_formats_and_lists() -> None:
    lists = {"SubscribeAudioUserIds": ["ann", "b.*$"], "UnSubscribeVideoUserIds": ["bob"]}
    made = order(
        SLICE,
        {
            "SliceParams.SliceType": 2,
            "SliceParams.SliceVideo": 60,
            "SliceParams.SliceImageType": 1,
            "SliceParams.SliceCallbackUrl": "http://ignored",
            "SliceParams.SubscribeStreamUserIds": lists,
        },
    )
    assert (made.params.audio, made.params.video) == (None, VideoSpec(60))
    assert made.images is ImageFormat.JPEG
    wanted = made.params.subscription
    assert wanted.wants("ann", Kind.AUDIO)
    assert wanted.wants("bea", Kind.AUDIO)
    assert not wanted.wants("cid", Kind.AUDIO)
    assert wanted.wants("cid", Kind.VIDEO)
    assert not wanted.wants("bob", Kind.VIDEO)


def test_a_bad_entry_is_named_in_full() -> None:
    lists = {"SubscribeAudioUserIds": ["ann", "(a+)+$"]}
    code, message = refusal(SLICE, {"SliceParams.SubscribeStreamUserIds": lists})
    assert code == "InvalidParameterValue"
    name = "SliceParams.SubscribeStreamUserIds.SubscribeAudioUserIds[1]"
    assert message.startswith(f"{name}: got '(a+)+$'; allowed:")
    with pytest.raises(BadInput, match=r"^SubscribeStreamUserIds\.SubscribeAudioUserIds\[1\]: "):
        read_lists(
            Reader().read(
                ACTIONS["ModifyCloudSliceTask"].fields,
                {"SdkAppId": 1, "TaskId": "t", "SubscribeStreamUserIds": lists},
            )
        )


@pytest.mark.parametrize("room", ["1", "150", "4294967295"])
def test_numbers_of_rooms(room: str) -> None:
    assert order(SLICE, {"RoomId": room}).room_id == room


@pytest.mark.parametrize("room", ["0", "-1", "+1", "01", " 1", "1.0", "4294967296", "x", "١"])
def test_what_is_no_number_of_a_room(room: str) -> None:
    assert refusal(SLICE, {"RoomId": room})[0] == "InvalidParameter.RoomId"


def test_names_of_rooms() -> None:
    for room in ("x", "4294967296", "日" * 21, "a" * 64):
        assert order(SLICE, {"RoomId": room, "RoomIdType": 0}).room_id == room
    for room in ("日" * 22, "a" * 65, "a\nb", "\ud800"):
        got = refusal(SLICE, {"RoomId": room, "RoomIdType": 0})
        assert got[0] == "InvalidParameter.RoomId"


def test_usersig_where_the_app_has_a_key() -> None:
    assert order(SLICE, SIGNED, KEYED).user_id == "inspect"
    code, message = refusal(SLICE, {}, KEYED)
    assert code == "InvalidParameter.UserSig"
    assert str(seed(SLICE)["UserSig"]) not in message
    late = {"UserSig": SIGNER.usersig("inspect", NOW - 61, 60)}
    assert refusal(MODERATION, late, KEYED)[0] == "InvalidParameter.UserSig"
    another = {"UserSig": SIGNER.usersig("another", NOW)}
    assert refusal(SLICE, another, KEYED)[0] == "InvalidParameter.UserSig"


def ticket(room: int | str, privileges: int = 42) -> dict[str, object]:
    return SIGNED | {
        "PrivateMapKey": SIGNER.private_map_key(
            "inspect", room, NOW, privileges=Privilege(privileges)
        )
    }


def test_permission_control() -> None:
    assert order(SLICE, ticket(150), CONTROLLED)
    assert order(SLICE, ticket("hall") | {"RoomId": "hall", "RoomIdType": 0}, CONTROLLED)
    denied = "AuthFailure.UnauthorizedOperation"
    assert refusal(SLICE, ticket(151), CONTROLLED)[0] == denied
    assert refusal(SLICE, ticket("150"), CONTROLLED)[0] == denied
    for privileges in (0, 2 + 8, 2 + 32, 8 + 32, 255 - 2):
        code, message = refusal(SLICE, ticket(150, privileges), CONTROLLED)
        assert code == denied
        assert message.startswith(f"PrivateMapKey: privileges {privileges}; allowed: those with 42")
    assert refusal(SLICE, SIGNED, CONTROLLED)[0] == "MissingParameter"
    assert refusal(SLICE, SIGNED | {"PrivateMapKey": "x"}, CONTROLLED)[0] == denied
    # The moderation action has no such field.
    assert order(MODERATION, SIGNED, CONTROLLED)
    # Without permission control it is not looked at.
    assert order(SLICE, SIGNED | {"PrivateMapKey": "x"}, KEYED)


PARAM = "ModerationParams.ModerationSupplierParam"


def test_suppliers() -> None:
    for name in ("tianyu", "ACE", "Shumei", "Yidun", "TRTC", "local", "webhook"):
        made = order(MODERATION, {"ModerationParams.ModerationSupplier": name})
        assert made.moderation is not None
        assert made.moderation.supplier.name == name.lower()
    code, _ = refusal(MODERATION, {"ModerationParams.ModerationSupplier": "other"})
    assert code == "InvalidParameterValue"
    code, _ = refusal(MODERATION, {"ModerationParams.ModerationSupplier": None})
    assert code == "MissingParameter"


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("ace", {PARAM: None}, "MissingParameter"),
        ("yidun", {f"{PARAM}.SecretKey": ""}, "MissingParameter.SecretKey"),
        ("tianyu", {f"{PARAM}.AppID": None}, "MissingParameter.AppId"),
        ("shumei", {f"{PARAM}.AppID": None}, "MissingParameter.AppId"),
    ],
)
def test_what_suppliers_need(name: str, changes: dict[str, object], code: str) -> None:
    assert refusal(MODERATION, {"ModerationParams.ModerationSupplier": name} | changes)[0] == code


def test_yidun_needs_no_app_id() -> None:
    named = {"ModerationParams.ModerationSupplier": "Yidun", f"{PARAM}.AppID": None}
    made = order(MODERATION, named)
    assert made.moderation is not None
    assert made.moderation.supplier.app_id == ""


def test_files_that_are_saved_need_a_store() -> None:
    saved = {"ModerationParams.SaveModerationFile": 2, "ModerationParams.CallbackAllResults": 1}
    made = order(MODERATION, saved)
    assert made.bucket is not None
    assert made.bucket.prefix == ("testname",)
    assert made.moderation is not None
    assert (made.moderation.keep, made.moderation.hits_only) == (Keep.HITS, True)
    without = saved | {"ModerationStorageParams": None}
    assert refusal(MODERATION, without)[0] == "MissingParameter.SliceStorageParams"


STORAGE = "ModerationStorageParams.CloudModerationStorage"
SAVED: dict[str, object] = {"ModerationParams.SaveModerationFile": 1}


def test_each_field_of_the_seed_s_storage_is_used() -> None:
    """All that the seed's list of ModerationStorageParams has; there is nothing else in it."""
    fields = seed(MODERATION)["ModerationStorageParams"]
    assert isinstance(fields, dict)
    assert set(fields) == {"CloudModerationStorage"}
    given = {
        "Vendor": 1,
        "Region": "eu-west-1",
        "Bucket": "mine",
        "AccessKey": "AK",
        "SecretKey": "SK",
        "FileNamePrefix": ["a", "b"],
    }
    assert set(fields["CloudModerationStorage"]) == set(given)
    changes = {f"{STORAGE}.{name}": value for name, value in given.items()}
    made = order(MODERATION, SAVED | changes)
    assert made.bucket == Bucket(1, "eu-west-1", "mine", Credentials("AK", "SK"), ("a", "b"))
    for name in ("Vendor", "Region", "Bucket", "AccessKey", "SecretKey"):
        code, said = refusal(MODERATION, SAVED | {f"{STORAGE}.{name}": None})
        assert code == f"MissingParameter.{name}"
        assert f"{STORAGE}.{name}" in said
    for name, odd in (("Vendor", 3), ("Region", "a b"), ("Bucket", ""), ("FileNamePrefix", ["/"])):
        code, said = refusal(MODERATION, SAVED | {f"{STORAGE}.{name}": odd})
        assert code.startswith(("InvalidParameter", "MissingParameter"))
        assert f"{STORAGE}.{name}" in said
    code, said = refusal(MODERATION, SAVED | {f"{STORAGE}.Endpoint": "x"})
    assert (code, "Endpoint" in said) == ("UnknownParameter", True), said


@pytest.mark.parametrize("vendor", [0, 1, 2])
def test_vendors(vendor: int) -> None:
    made = order(SLICE, {"SliceStorageParams.CloudSliceStorage.Vendor": vendor})
    assert made.bucket is not None
    assert made.bucket.vendor == vendor
