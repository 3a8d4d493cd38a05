"""Buckets are listed and read, each vendor's, in a real SeaweedFS: COS by its S3 API, the others
through fronts that check signatures."""

import pytest

from slicer.errors import BadInput, StorageRefused, StorageUnavailable
from slicer.storage import Credentials, open_storage
from slicer.storage.objects import Timeouts
from slicer.storage.reading import (
    VENDORS,
    BucketReader,
    ObstoreReader,
    StoredObject,
    open_reader,
)
from tests.harness.storage import cos_front, objects
from tests.harness.storage.seaweed import WRITER

KEYS = ("t/b%20o/audios/1.ogg", "t/房间/images/2 +.png", "t/c/images/3.png")


@pytest.fixture(params=sorted(VENDORS))
def vendor(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def reader_of(
    request: pytest.FixtureRequest, vendor: str, keys: Credentials = WRITER, prefix: str = "read"
) -> BucketReader:
    url = objects.url_in_seaweed(request, vendor, prefix)
    return open_reader(url, objects.target(request, vendor).credentials(keys))


async def test_what_was_stored_is_listed_and_read(
    request: pytest.FixtureRequest, vendor: str
) -> None:
    reader = reader_of(request, vendor, prefix="re ad/here")
    target = objects.target(request, vendor)
    for prefix in ("re ad/here", "re ad/hereafter"):
        store = open_storage(target.url(prefix), target.credentials())
        for number, key in enumerate(KEYS):
            await store.put(key, b"x" * (number + 1), "audio/ogg")
        await store.close()
    found = sorted([one async for one in reader.objects()], key=lambda one: one.size)
    assert [(one.key, one.size) for one in found] == [(KEYS[n], n + 1) for n in range(3)]
    assert [await reader.read(one) for one in found] == [b"x", b"xx", b"xxx"]
    assert "re ad/here" in reader.label
    with pytest.raises(StorageUnavailable, match="1 byte, 7 were listed"):
        await reader.read(StoredObject(KEYS[0], 7))


async def test_a_wrong_key_is_refused(request: pytest.FixtureRequest, vendor: str) -> None:
    reader = reader_of(request, vendor, Credentials(WRITER.access_key, "wrong-secret-0123456789"))
    with pytest.raises(StorageRefused) as refused:
        [one async for one in reader.objects()]
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(StorageRefused):
        await reader.read(StoredObject("k", 1))


async def test_nobody_is_there() -> None:
    url = "s3://slices/x?region=eu-west-1&endpoint=http://127.0.0.1:9"
    reader = open_reader(url, WRITER, Timeouts(1.0, 1.0))
    with pytest.raises(StorageUnavailable):
        [one async for one in reader.objects()]


async def test_without_keys_the_store_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    reader = open_reader("oss://slices?region=cn-hangzhou&endpoint=http://127.0.0.1:9")
    with pytest.raises(StorageRefused, match="no credentials were found"):
        [one async for one in reader.objects()]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("file:///slices", "a bucket: s3://, cos://, oss://, gs://, az://"),
        ("oss://slices?region=oss-cn-hangzhou", "the region alone"),
        ("s3://UPPER", "a bucket's name"),
        ("cos://slices-1250000000", "region"),
        ("s3://slices", "the same with its region"),
    ],
)
def test_what_is_no_bucket_that_can_be_read(url: str, allowed: str) -> None:
    with pytest.raises(BadInput, match=allowed):
        open_reader(url)


def test_cos_is_reached_by_its_s3_api(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, object] = {}

    def store(bucket: str, **more: object) -> str:
        made.update(more, bucket=bucket)
        return "open"

    monkeypatch.setattr("obstore.store.S3Store", store)
    reader = open_reader(f"cos://slices-{cos_front.APPID}/x?region=ap-guangzhou", WRITER)
    assert isinstance(reader, ObstoreReader)
    opened: object = reader.store()
    assert opened == "open"
    assert made["endpoint"] == f"https://slices-{cos_front.APPID}.cos.ap-guangzhou.myqcloud.com"
    assert made["virtual_hosted_style_request"] is True
