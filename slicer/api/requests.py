"""What was read by the table, to orders: the checks that need two fields, or a key."""

import re

from slicer.api.errors import ApiError
from slicer.api.fields import Values
from slicer.delivery.judging import Keep
from slicer.errors import BadInput, Unauthorized, shown
from slicer.moderation import SUPPLIERS
from slicer.service.order import Application, Bucket, Moderation, Order, Product, SupplierSpec
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import IdList, Lists, Subscription
from slicer.storage import Credentials
from slicer.usersig import ROBOT, SdkApp

MAX_ROOM = 2**32 - 1
_WITHOUT_PARAMS = {"trtc", "local", "webhook"}
_WITH_APP_ID = {"tianyu", "shumei"}
_AUDIO, _VIDEO = 1, 2


def read_order(app: Application, product: Product, values: Values, now: float) -> Order:
    """The order of a Create request. *now* is UTC in seconds. Raises ApiError and BadInput."""
    check_room_number("RoomId", values.text("RoomId"), values.whole("RoomIdType"))
    _check_robot(app, product, values, now)
    if product is Product.SLICE:
        params, moderation = values.table("SliceParams"), None
        storage = values.table("SliceStorageParams").table("CloudSliceStorage")
        kinds, path = params.whole("SliceType"), "SliceParams."
        image = ImageFormat.JPEG if params.whole("SliceImageType") else ImageFormat.PNG
    else:
        params = values.table("ModerationParams")
        moderation = _moderation(params)
        storage = values.table("ModerationStorageParams").table("CloudModerationStorage")
        kinds, path, image = params.whole("ModerationType"), "ModerationParams.", ImageFormat.PNG
        check_storage(moderation.keep, "ModerationStorageParams", values)
    keeps = moderation is None or moderation.keep is not Keep.NONE
    audio, video = read_kinds(params, kinds)
    return Order(
        product=product,
        room_id=values.text("RoomId"),
        room_type=values.whole("RoomIdType"),
        user_id=values.text("UserId"),
        params=SliceParams(
            audio,
            video,
            read_lists(params, path),
            max_idle=params.whole("MaxIdleTime"),
        ),
        images=image,
        bucket=read_bucket(storage) if keeps else None,
        expire_hours=values.whole("ResourceExpiredHour"),
        moderation=moderation,
    )


def read_lists(values: Values, path: str = "") -> Subscription:
    """The four lists of SubscribeStreamUserIds. Raises BadInput that names the entry."""
    lists = values.table("SubscribeStreamUserIds")

    def ids(name: str) -> IdList:
        return IdList.parse(lists.texts(name), f"{path}SubscribeStreamUserIds.{name}")

    return Subscription(
        Lists(ids("SubscribeAudioUserIds"), ids("UnSubscribeAudioUserIds")),
        Lists(ids("SubscribeVideoUserIds"), ids("UnSubscribeVideoUserIds")),
    )


def read_kinds(params: Values, kinds: int) -> tuple[AudioSpec | None, VideoSpec | None]:
    """What is cut: *kinds* is 1 audio, 2 frames, 3 both."""
    return (
        AudioSpec(params.whole("SliceAudio")) if kinds & _AUDIO else None,
        VideoSpec(params.whole("SliceVideo")) if kinds & _VIDEO else None,
    )


def check_room_number(field: str, room: str, room_type: int) -> None:
    """Raise BadInput unless an id of type 1 is a number that TRTC has."""
    is_number = re.fullmatch(r"[1-9][0-9]{0,9}", room) and int(room) <= MAX_ROOM
    if room_type == 1 and not is_number:
        raise BadInput(field, room, f"1 to {MAX_ROOM} in decimal, since RoomIdType is 1")


def _check_robot(app: Application, product: Product, values: Values, now: float) -> None:
    """UserSig where the app has a key; PrivateMapKey where it has permission control on."""
    if not app.usersig_key:
        return
    signer = SdkApp(app.sdk_app_id, app.usersig_key)
    user = values.text("UserId")
    try:
        signer.verify_usersig(values.text("UserSig"), user, now)
    except Unauthorized as error:
        raise ApiError("InvalidParameter.UserSig", f"UserSig: {error}") from None
    # CreateCloudModeration has no PrivateMapKey.
    if not app.permission_control or product is Product.MODERATION:
        return
    room: int | str = values.text("RoomId")
    ticket = values.text("PrivateMapKey")
    if not ticket:
        raise ApiError(
            "MissingParameter",
            "PrivateMapKey: missing; allowed: a ticket, since permission control is on",
        )
    if values.whole("RoomIdType") == 1:
        room = int(room)
    try:
        rights = signer.verify_private_map_key(ticket, user, room, now)
    except Unauthorized as error:
        raise Unauthorized(f"PrivateMapKey: {error}") from None
    if ROBOT & ~rights:
        raise Unauthorized(
            f"PrivateMapKey: privileges {int(rights)}; allowed: those with {int(ROBOT)} "
            "(2 enter, 8 receive audio, 32 receive video)"
        )


def check_storage(keep: Keep, field: str, values: Values) -> None:
    """Raise ApiError where files are to be kept and nothing says where."""
    if keep is not Keep.NONE and field not in values:
        raise ApiError(
            "MissingParameter.SliceStorageParams",
            f"{field}: missing; allowed: an object, since SaveModerationFile is {keep.value}",
        )


def read_bucket(storage: Values) -> Bucket:
    """The six fields of a store."""
    return Bucket(
        storage.whole("Vendor"),
        storage.text("Region"),
        storage.text("Bucket"),
        Credentials(storage.text("AccessKey"), storage.text("SecretKey")),
        storage.texts("FileNamePrefix"),
    )


def _moderation(params: Values) -> Moderation:
    name = params.text("ModerationSupplier").lower()
    table = params.table("ModerationSupplierParam")
    path = "ModerationParams.ModerationSupplierParam"
    # What a supplier of another package needs, it says itself.
    if name in SUPPLIERS and name not in _WITHOUT_PARAMS:
        if "ModerationSupplierParam" not in params:
            raise ApiError(
                "MissingParameter", f"{path}: missing; allowed: an object, for {shown(name)}"
            )
        if not table.text("SecretKey"):
            raise ApiError(
                "MissingParameter.SecretKey", f"{path}.SecretKey: missing; needed for {name}"
            )
    if name in _WITH_APP_ID and not table.text("AppID"):
        raise ApiError("MissingParameter.AppId", f"{path}.AppID: missing; needed for {name}")
    supplier = SupplierSpec(
        name,
        table.text("AppID"),
        table.text("SecretId"),
        table.text("SecretKey"),
        table.text("AudioBizType"),
        table.text("ImageBizType"),
    )
    hits_only = params.whole("CallbackAllResults") == 1
    return Moderation(supplier, Keep(params.whole("SaveModerationFile")), hits_only)
