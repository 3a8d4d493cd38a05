"""What an order means here: the room's URL and the store's URL, as the settings have them."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from slicer.engine.spec import Moderation, TaskSpec
from slicer.errors import BadInput
from slicer.rooms.stream.address import ANCHOR
from slicer.service import streams
from slicer.service.applications import Application
from slicer.service.order import Bucket, Order
from slicer.service.registry import Record
from slicer.service.settings import ServiceSettings, VendorSettings
from slicer.storage import VENDORS, installed

NOWHERE = "null:"
_SCHEMES = {0: "cos", 1: "s3", 2: "oss"}
_NAMES = {0: "0 (COS)", 1: "1 (AWS S3)", 2: "2 (Aliyun OSS)"}


def plan(task: str, app: Application, order: Order, vendors: VendorSettings) -> TaskSpec:
    """The task that an order becomes. Raises BadInput for `room_id`, `stream` and `vendor`."""
    bucket = order.bucket
    return TaskSpec(
        room=room_of(app, order),
        to=storage_url(bucket, vendors) if bucket else NOWHERE,
        params=order.params,
        images=order.images,
        user=order.user_id,
        prefix=bucket.prefix if bucket else (),
        app=app.sdk_app_id,
        room_id=order.room_id,
        credentials=bucket.credentials if bucket else None,
        task=task,
        check_store=False,  # a store that fails is told by callback, and the answer is in 6 s
        moderation=moderation_of(app.sdk_app_id, order),
    )


def room_of(app: Application, order: Order) -> str:
    """Its room URL. Raises BadInput for `room_id` and `stream`."""
    if order.stream is not None:
        streams.check_stream(order.stream.url, app.streams)
        return streams.room_of(order.stream.url, order.stream.anchor or ANCHOR)
    room = app.room_url(order.room_id)
    if room is None:
        raise BadInput("room_id", order.room_id, "a room that a pattern of the app's rooms fits")
    return room


def moderation_of(app: int, order: Order) -> Moderation | None:
    """Who judges the slices of an application's order, and which are kept."""
    ordered = order.moderation
    return Moderation(ordered.supplier, ordered.keep, app) if ordered is not None else None


def storage_url(bucket: Bucket, vendors: VendorSettings) -> str:
    """Where a bucket is. Raises BadInput for a vendor that has no store here, or no SDK."""
    scheme = _SCHEMES.get(bucket.vendor, "")
    if scheme not in VENDORS or not installed(scheme):
        there = [_NAMES[vendor] for vendor, name in _SCHEMES.items() if installed(name)]
        raise BadInput("vendor", bucket.vendor, ", ".join(there) or "none: no SDK is installed")
    options = {"region": bucket.region}
    if endpoint := getattr(vendors, f"{scheme}_endpoint"):
        options["endpoint"] = endpoint
    if vendors.links:
        options["link"] = str(vendors.links)
    if scheme == "s3" and vendors.path_style:
        options["path_style"] = "1"
    return f"{scheme}://{bucket.bucket}?{urlencode(options)}"


def apps_of(
    settings: ServiceSettings, before: Mapping[int, Application], tasks: Iterable[Record]
) -> dict[int, Application]:
    """The applications of new settings, by their ids. Raises BadInput where one of *tasks* would
    lose its application or its room: the users of another one could publish into that room."""
    apps = {app.sdk_app_id: app for app in settings.apps}
    for record in tasks:
        old, new = before.get(record.app), apps.get(record.app)
        if old is not None and new is None:
            allowed = f"settings that have it: task {record.task} has not ended"
            raise BadInput("apps", f"no application {record.app}", allowed)
        if old and new and room_at(old, record.order) != room_at(new, record.order):
            allowed = f"the same room for {record.order.room_id!r}: task {record.task} is in it"
            raise BadInput("apps", f"other rooms of application {record.app}", allowed)
    return apps


def room_at(app: Application, order: Order) -> str:
    """Where a task is; nothing where the settings no longer have its room."""
    try:
        return room_of(app, order)
    except BadInput:
        return ""


def named(error: BaseException, order: Order) -> BaseException:
    """The error of a creation, with the name that its caller knows the field by."""
    if not isinstance(error, BadInput) or error.field != "room":
        return error
    if order.stream is not None:
        return BadInput("stream", error.got, error.allowed)
    allowed = "an id that the room URL of its pattern can hold"
    return BadInput("room_id", order.room_id, allowed)
