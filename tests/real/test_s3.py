"""S3Storage on a real SeaweedFS that checks signatures, and with its connection broken."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from slicer.errors import StorageRefused, StorageUnavailable
from slicer.storage import Credentials, Storage, open_storage
from slicer.storage.bucket import Bucket
from slicer.storage.keys import PROBE_KEY
from slicer.storage.objects import ObjectStorage, Timeouts
from slicer.storage.s3 import s3_storage
from tests.harness.storage.faults import Answer, Cut, Fault, Front, Hang, front_of
from tests.harness.storage.seaweed import READER, REGION, WRITER, Seaweed

BUCKET = "real-s3"
OGG = "audio/ogg"
DATA = hashlib.shake_256(b"slice").digest(300_000)


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    return seaweed.make_bucket(BUCKET)


@pytest.fixture
async def front(seaweed: Seaweed) -> AsyncIterator[Front]:
    async with front_of(seaweed.endpoint) as made:
        yield made


def behind(front: Front) -> ObjectStorage:
    """The store by way of the front, with little patience."""
    place = Bucket(BUCKET, "front", REGION, front.endpoint, path_style=True)
    return s3_storage(place, WRITER, Timeouts(connect=2.0, read=2.0))


@pytest.mark.parametrize("content_type", [OGG, "image/png", "image/jpeg", "image/webp"])
async def test_the_content_type_is_kept(seaweed: Seaweed, bucket: str, content_type: str) -> None:
    store = open_storage(seaweed.url(bucket, "types"), WRITER)
    await store.put("x", DATA, content_type)
    await store.close()
    assert seaweed.read(bucket, "types/x") == (DATA, content_type)


async def refused(store: Storage, says: str) -> None:
    """Both the check and a put are refused with these words, and without a secret."""
    for call in (store.check(), store.put("a/b", b"data", OGG)):
        with pytest.raises(StorageRefused, match=says) as caught:
            await call
        for keys in (WRITER, READER):
            assert keys.secret_key not in repr(caught.value) + str(caught.value)
    await store.close()


async def test_a_wrong_secret(seaweed: Seaweed, bucket: str) -> None:
    wrong = Credentials(WRITER.access_key, "not-the-secret")
    await refused(open_storage(seaweed.url(bucket), wrong), "403 SignatureDoesNotMatch")


async def test_a_wrong_access_key(seaweed: Seaweed, bucket: str) -> None:
    wrong = Credentials("nobody", WRITER.secret_key)
    await refused(open_storage(seaweed.url(bucket), wrong), "403 InvalidAccessKeyId")


async def test_a_key_that_may_only_read(seaweed: Seaweed, bucket: str) -> None:
    await refused(open_storage(seaweed.url(bucket), READER), "403 AccessDenied.*s3:PutObject")


async def test_a_bucket_that_is_not_there(seaweed: Seaweed) -> None:
    """SeaweedFS tells a key that may not make buckets no more than this."""
    store = open_storage(seaweed.url("no-such-bucket"), WRITER)
    await refused(store, "403 AccessDenied.*check the bucket's name")


async def test_check_leaves_nothing(seaweed: Seaweed, bucket: str) -> None:
    store = open_storage(seaweed.url(bucket, "checked"), WRITER)
    await store.check()
    await store.close()
    assert f"checked/{PROBE_KEY}" not in seaweed.keys(bucket)


@pytest.mark.parametrize(
    "fault",
    [Answer.error(503, "SlowDown"), Answer.error(429, "TooManyRequests"), Hang(), Cut(120_000)],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_fault_passes_and_the_next_put_lands(
    seaweed: Seaweed, bucket: str, front: Front, fault: Fault
) -> None:
    store, key = behind(front), f"{type(fault).__name__}-{hash(fault)}"
    await store.put("warm", b"a connection that is kept", OGG)
    await front.set(fault)
    with pytest.raises(StorageUnavailable) as caught:
        await store.put(key, DATA, OGG)
    assert caught.value.key == key
    assert front.requests
    assert f"front/{key}" not in seaweed.keys(bucket), "nothing whole can have arrived"
    await front.set(None)
    await store.put(key, DATA, OGG)
    await store.close()
    assert seaweed.read(bucket, f"front/{key}")[0] == DATA


async def test_one_that_hangs_holds_up_no_other(bucket: str, front: Front) -> None:
    store = behind(front)
    front.fault = Hang()
    hanging = asyncio.ensure_future(store.put("hangs", DATA, OGG))
    while not front.requests:
        await asyncio.sleep(0)
    front.fault = None
    assert (await store.put("passes", DATA, OGG)).size == len(DATA)
    assert not hanging.done()
    with pytest.raises(StorageUnavailable, match="no answer in time"):
        await hanging
    await store.close()
