"""What an order means here: its room, its store, or none."""

import importlib.util
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from slicer.delivery.judging import Keep
from slicer.errors import BadInput
from slicer.service.applications import Application
from slicer.service.plan import apps_of, named, plan, room_at, storage_url
from slicer.service.registry import Record
from slicer.service.settings import ServiceSettings, VendorSettings
from slicer.storage import open_storage
from tests.harness.service.orders import BUCKET, KEYS, live_order, moderation_order, slice_order

APP = Application(200806, rooms=(("1*", "whip://127.0.0.1:1/{room}"), ("lobby", "whip://y:1/l")))
USUAL = VendorSettings()


def test_a_task() -> None:
    order = slice_order()
    spec = plan("id", APP, order, USUAL)
    assert (spec.task, spec.room, spec.user) == ("id", "whip://127.0.0.1:1/150", "robot")
    assert (spec.app, spec.room_id, spec.prefix) == (200806, "150", ("a", "b"))
    assert (spec.params, spec.images) == (order.params, order.images)
    assert (spec.to, spec.credentials) == ("s3://slices?region=eu-west-1", KEYS)
    assert not spec.check_store


def test_no_room() -> None:
    with pytest.raises(BadInput, match="room_id: got '250'; allowed: a room that a pattern"):
        plan("id", APP, slice_order("250"), USUAL)


def test_a_stream_instead_of_a_room() -> None:
    order = live_order()
    allowed = replace(APP, streams=("rtmp://live.example.com/*",))
    spec = plan("id", allowed, order, USUAL)
    assert spec.room == "rtmp://live.example.com/hidden-stream#anchor=ada"
    assert (spec.user, spec.room_id, spec.to) == ("live", "150", "null:")
    assert spec.moderation is not None
    with pytest.raises(BadInput, match="stream: "):
        plan("id", APP, order, USUAL)


def test_links_are_made_where_the_settings_say_so() -> None:
    url = storage_url(BUCKET, VendorSettings(links=3_600))
    assert parse_qs(urlsplit(url).query)["link"] == ["3600"]
    assert "link" not in storage_url(BUCKET, USUAL)


@pytest.mark.parametrize(
    ("vendor", "bucket", "scheme"),
    [(0, "slices-1250000000", "cos"), (1, "slices", "s3"), (2, "slices", "oss")],
)
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9000"])
async def test_every_vendor_has_its_store(
    vendor: int, bucket: str, scheme: str, endpoint: str
) -> None:
    vendors = VendorSettings(endpoint, endpoint, endpoint, path_style=True)
    url = storage_url(replace(BUCKET, vendor=vendor, bucket=bucket), vendors)
    split = urlsplit(url)
    assert (split.scheme, split.netloc) == (scheme, bucket)
    options = parse_qs(split.query)
    assert options["region"] == ["eu-west-1"]
    assert options.get("endpoint", [""]) == [endpoint]
    assert ("path_style" in options) == (scheme == "s3")
    await open_storage(url, KEYS).close()


@pytest.mark.parametrize("vendor", [3, -1, 7])
def test_a_vendor_without_a_store(vendor: int) -> None:
    with pytest.raises(BadInput, match=rf"vendor: got {vendor}; allowed: 0 \(COS\), 1 \(AWS S3\)"):
        storage_url(replace(BUCKET, vendor=vendor), USUAL)


@pytest.mark.parametrize(("vendor", "sdk"), [(0, "qcloud_cos"), (1, "boto3"), (2, "alibabacloud")])
def test_a_vendor_whose_sdk_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, vendor: int, sdk: str
) -> None:
    there = importlib.util.find_spec

    def without(name: str) -> object:
        return None if name.startswith(sdk) else there(name)

    monkeypatch.setattr("slicer.storage.find_spec", without)
    with pytest.raises(BadInput, match=rf"vendor: got {vendor}; allowed: [012] ") as caught:
        storage_url(replace(BUCKET, vendor=vendor), USUAL)
    assert str(vendor) not in caught.value.allowed


def test_a_region_cannot_become_another_option() -> None:
    url = storage_url(replace(BUCKET, region="a&endpoint=http://evil"), USUAL)
    with pytest.raises(BadInput, match="region"):
        open_storage(url, KEYS)


def test_applications_that_lose_a_task_are_refused() -> None:
    order, after = slice_order(), replace(APP, max_streams=7)
    tasks = [Record("id", 200806, order, 1.0, 2.0)]
    before = {200806: APP}
    assert apps_of(ServiceSettings(apps=(after,)), before, tasks) == {200806: after}
    assert apps_of(ServiceSettings(), before, []) == {}
    with pytest.raises(BadInput, match=r"apps: got 'no application 200806'; allowed: .* task id"):
        apps_of(ServiceSettings(), before, tasks)
    moved = replace(APP, rooms=(("*", "whip://127.0.0.1:2/{room}"),))
    with pytest.raises(BadInput, match="apps: got 'other rooms of application 200806'"):
        apps_of(ServiceSettings(apps=(moved,)), before, tasks)


def test_where_a_task_is() -> None:
    assert room_at(APP, slice_order()) == "whip://127.0.0.1:1/150"
    assert room_at(APP, slice_order("250")) == ""


def test_who_ordered_a_room_knows_it_by_another_name() -> None:
    error = BadInput("room", "x", "y")
    of_stream, of_room = named(error, live_order()), named(error, slice_order("1 2"))
    assert isinstance(of_stream, BadInput)
    assert isinstance(of_room, BadInput)
    assert (of_stream.field, of_stream.got) == ("stream", "x")
    assert (of_room.field, of_room.got) == ("room_id", "1 2")
    other = BadInput("vendor", 9, "0")
    assert named(other, slice_order()) is other


@pytest.mark.parametrize("keep", Keep)
def test_moderation_keeps_what_it_is_told_to(keep: Keep) -> None:
    order = moderation_order()
    assert order.moderation is not None
    moderation = replace(order.moderation, keep=keep)
    made = plan("id", APP, replace(order, bucket=BUCKET, moderation=moderation), USUAL)
    assert made.to == "s3://slices?region=eu-west-1"
    assert made.moderation is not None
    assert (made.moderation.supplier, made.moderation.keep) == (moderation.supplier, keep)
    assert plan("id", APP, replace(order, bucket=None), USUAL).to == "null:"
