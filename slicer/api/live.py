"""CreateLiveStreamModeration: a request that names a stream, to an order."""

import json

from slicer.api.errors import ApiError
from slicer.api.fields import Values
from slicer.api.requests import check_room_number, check_storage, read_bucket, read_kinds
from slicer.delivery.judging import Keep
from slicer.service.order import LiveStream, Moderation, Order, Product, SupplierSpec
from slicer.slicing.spec import ImageFormat, SliceParams

ROBOT = "live"
"""The robot of every stream: a second task of the same stream replaces the first."""


def read_live_order(values: Values, supplier: str) -> Order:
    """The order; *supplier* judges, since the request names none. Raises ApiError and BadInput."""
    params, source = values.table("LiveModerationParams"), values.table("SourceInfo")
    stream = values.table("Input")
    if "AgoraParam" in stream:
        text = "Input.AgoraParam: got an object; allowed: nothing (no SDK of Agora's is here)"
        raise ApiError("UnsupportedOperation", text)
    room, room_type = source.text("RoomId"), 0
    if "SourceInfo" in values:
        room_type = source.whole("RoomIdType")
        check_room_number("SourceInfo.RoomId", room, room_type)
    keep = Keep(params.whole("SaveModerationFile"))
    check_storage(keep, "LiveModerationStorageParams", values)
    storage = values.table("LiveModerationStorageParams").table("CloudModerationStorage")
    audio, video = read_kinds(params, params.whole("ModerationType"))
    return Order(
        product=Product.LIVE,
        room_id=room,
        room_type=room_type,
        user_id=ROBOT,
        params=SliceParams(audio, video, max_idle=params.whole("MaxIdleTime")),
        images=ImageFormat.PNG,
        bucket=read_bucket(storage) if keep is not Keep.NONE else None,
        expire_hours=values.whole("ResourceExpiredHour"),
        moderation=Moderation(
            SupplierSpec(supplier), keep, params.whole("CallbackAllResults") == 1
        ),
        stream=LiveStream(
            stream.text("Url"),
            source.text("UserId"),
            values.text("DataId"),
            json.dumps(source.read) if "SourceInfo" in values else "",
        ),
    )
