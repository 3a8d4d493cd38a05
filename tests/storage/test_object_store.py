"""Buckets to work with, each vendor's, in a real SeaweedFS: put, listed, read, deleted."""

import pytest

from slicer.errors import BadInput, StorageRefused, StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.object_store import ObjectStore, open_object_store
from slicer.storage.reading import OBSTORE
from tests.harness.storage import objects
from tests.harness.storage.seaweed import WRITER


@pytest.fixture(params=sorted(OBSTORE))
def vendor(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def store_of(
    request: pytest.FixtureRequest, vendor: str, keys: Credentials = WRITER, prefix: str = "a b/c"
) -> ObjectStore:
    url = objects.url_in_seaweed(request, vendor, prefix)
    return open_object_store(url, objects.target(request, vendor).credentials(keys))


async def test_what_is_put_is_listed_read_and_deleted(
    request: pytest.FixtureRequest, vendor: str
) -> None:
    store, other = store_of(request, vendor), store_of(request, vendor, prefix="a b/cc")
    await other.put("task/1/x.slice", b"another's")
    for key in ("task/1/x.slice", "task/2/y.slice", "task2/1/z.slice"):
        await store.put(key, key.encode())
    assert sorted(await store.keys("task")) == ["task/1/x.slice", "task/2/y.slice"]
    assert await store.read("task/1/x.slice") == b"task/1/x.slice"
    for _ in range(2):  # the second time it is gone
        await store.delete("task/1/x.slice")
    assert await store.read("task/1/x.slice") is None
    assert await store.keys("task") == ["task/2/y.slice"]
    assert await other.keys("task") == ["task/1/x.slice"]
    assert "a b/c" in store.label


async def test_a_wrong_key_is_refused(request: pytest.FixtureRequest, vendor: str) -> None:
    store = store_of(request, vendor, Credentials(WRITER.access_key, "wrong-secret-0123456789"))
    for work in (store.put("k/x.slice", b""), store.read("k/x.slice"), store.delete("k/x.slice")):
        with pytest.raises(StorageRefused) as refused:
            await work
        assert "wrong-secret" not in str(refused.value)


async def test_nobody_is_there() -> None:
    url = "s3://copies/x?region=eu-west-1&endpoint=http://127.0.0.1:9"
    store = open_object_store(url, WRITER)
    for work in (store.put("k", b""), store.keys("k"), store.read("k"), store.delete("k")):
        with pytest.raises(StorageUnavailable, match="no connection"):
            await work


@pytest.mark.parametrize("url", ["file:///tmp/x", "oss://bucket/x?region=cn-hangzhou"])
def test_a_folder_is_no_such_store_and_no_bucket_that_obstore_cannot_reach(url: str) -> None:
    with pytest.raises(BadInput, match=r"a bucket: s3://, cos://, gs://, az://$"):
        open_object_store(url)
