"""Orders as JSON, to be kept; their secrets apart, so that they can be kept otherwise."""

import json
from collections.abc import Mapping
from typing import Any

from slicer.delivery.judging import Keep
from slicer.service.order import Bucket, LiveStream, Moderation, Order, Product, SupplierSpec
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials


def to_json(order: Order) -> str:
    """Everything but the secrets."""
    params, bucket, moderation = order.params, order.bucket, order.moderation
    stream = order.stream
    return json.dumps(
        {
            "service": int(order.product.value),
            "room_id": order.room_id,
            "room_type": order.room_type,
            "user_id": order.user_id,
            "audio": params.audio.seconds if params.audio else None,
            "video": params.video.seconds if params.video else None,
            "max_idle": params.max_idle,
            "max_anchors": params.max_anchors,
            "lists": _lists(params.subscription),
            "images": order.images.value,
            "bucket": bucket
            and {
                "vendor": bucket.vendor,
                "region": bucket.region,
                "bucket": bucket.bucket,
                "prefix": bucket.prefix,
            },
            "expire_hours": order.expire_hours,
            "moderation": moderation and _moderation(moderation),
            "stream": stream
            and {"anchor": stream.anchor, "data_id": stream.data_id, "source": stream.source},
        }
    )


def secrets_of(order: Order) -> dict[str, str]:
    """The secrets, by names that only `from_json` knows."""
    found: dict[str, str] = {}
    if order.bucket is not None:
        keys = order.bucket.credentials
        found |= {"access_key": keys.access_key, "secret_key": keys.secret_key}
    if order.moderation is not None:
        supplier = order.moderation.supplier
        found |= {"supplier_id": supplier.secret_id, "supplier_key": supplier.secret_key}
    if order.stream is not None:
        found["stream_url"] = order.stream.url
    return found


def from_json(text: str, secrets: Mapping[str, str]) -> Order:
    """The order again. Raises ValueError, KeyError, TypeError and BadInput for other texts."""
    fields: dict[str, Any] = json.loads(text)
    bucket, moderation = fields["bucket"], fields["moderation"]
    stream = fields.get("stream")  # earlier versions had none
    params = SliceParams(
        None if fields["audio"] is None else AudioSpec(fields["audio"]),
        None if fields["video"] is None else VideoSpec(fields["video"]),
        Subscription.of(**fields["lists"]),
        max_idle=fields["max_idle"],
        max_anchors=fields["max_anchors"],
    )
    return Order(
        Product(fields["service"]),
        fields["room_id"],
        fields["room_type"],
        fields["user_id"],
        params,
        ImageFormat(fields["images"]),
        bucket and _bucket(bucket, secrets),
        fields["expire_hours"],
        moderation and _read_moderation(moderation, secrets),
        stream and LiveStream(secrets["stream_url"], **stream),
    )


def _lists(lists: Subscription) -> dict[str, list[str]]:
    return {
        "allow_audio": lists.audio.allow.entries(),
        "block_audio": lists.audio.block.entries(),
        "allow_video": lists.video.allow.entries(),
        "block_video": lists.video.block.entries(),
    }


def _moderation(moderation: Moderation) -> dict[str, object]:
    supplier = moderation.supplier
    return {
        "save": moderation.keep.value,
        "hits_only": moderation.hits_only,
        "supplier": supplier.name,
        "app_id": supplier.app_id,
        "audio_type": supplier.audio_type,
        "image_type": supplier.image_type,
    }


def _bucket(fields: Mapping[str, Any], secrets: Mapping[str, str]) -> Bucket:
    keys = Credentials(secrets["access_key"], secrets["secret_key"])
    prefix = tuple(fields["prefix"])
    return Bucket(fields["vendor"], fields["region"], fields["bucket"], keys, prefix)


def _read_moderation(fields: Mapping[str, Any], secrets: Mapping[str, str]) -> Moderation:
    supplier = SupplierSpec(
        fields["supplier"],
        fields["app_id"],
        secrets["supplier_id"],
        secrets["supplier_key"],
        fields["audio_type"],
        fields["image_type"],
    )
    return Moderation(supplier, Keep(fields["save"]), fields["hits_only"])
