"""What every store of objects does when its vendor refuses, fails, lies, hangs, breaks off or is
slow: the same for each vendor and each client. Nothing may be said to be stored that is not."""

import asyncio
import hashlib
import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from slicer.errors import StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials, s3_fast
from slicer.storage.azure import AZURE, azure_storage
from slicer.storage.bucket import Bucket
from slicer.storage.cos import COS, cos_storage
from slicer.storage.gcs import GCS, gcs_storage
from slicer.storage.objects import ObjectStorage, Timeouts
from slicer.storage.oss import OSS, oss_storage
from slicer.storage.s3 import S3, s3_storage
from tests.harness.storage import objects
from tests.harness.storage.faults import Answer, Cut, CutAnswer, Fault, Front, Hang, Slow, front_of
from tests.harness.storage.seaweed import READER, WRITER, Seaweed

OGG = "audio/ogg"
DATA = hashlib.shake_256(b"slice").digest(1000)
MD5 = hashlib.md5(DATA).hexdigest()
OTHER = "0" * 32
SHORT = Timeouts(connect=2.0, read=0.3)
RIGHTS = {
    "az": "Storage Blob Data Contributor",
    "cos": "name/cos:PutObject",
    "gs": "storage.objects.create",
    "oss": "oss:PutObject",
    "s3": "s3:PutObject",
}
NOBODY = "401 AuthenticationRequired"
FORGED = "403 AuthenticationFailed"
# Where a vendor says it otherwise.
REFUSALS = {
    "az": {
        "403 SignatureDoesNotMatch": FORGED,
        "403 InvalidAccessKeyId": FORGED,
        "403 AccessDenied": "403 AuthorizationPermissionMismatch",
    },
    "gs": {"403 SignatureDoesNotMatch": NOBODY, "403 InvalidAccessKeyId": NOBODY},
}
COLD = {"az": "Cold", "gs": "COLDLINE", "oss": "IA"}
KMS = {"cos": "cos/kms", "oss": "KMS", "s3": "aws:kms"}
CLIENTS = [*objects.VENDORS, "s3 without obstore"]
OPENERS = {
    "az": (AZURE, azure_storage),
    "cos": (COS, cos_storage),
    "gs": (GCS, gcs_storage),
    "oss": (OSS, oss_storage),
    "s3": (S3, s3_storage),
}


@dataclass
class Shop:
    """One vendor's bucket behind a front that misbehaves when told to."""

    target: objects.Target
    front: Front
    seaweed: Seaweed
    prefix: str

    def store(
        self,
        keys: Credentials = WRITER,
        timeouts: Timeouts | None = None,
        more: str = "",
        endpoint: str = "",
    ) -> ObjectStorage:
        url = self.target.url(self.prefix, endpoint=endpoint or self.front.endpoint, more=more)
        vendor, make = OPENERS[self.target.vendor]
        bucket = Bucket.from_url(urlsplit(url), vendor)
        return make(bucket, self.target.credentials(keys), timeouts)

    def keys(self) -> set[str]:
        prefix = f"{self.prefix}/"
        found = self.seaweed.keys(self.target.bucket, prefix)
        return {key.removeprefix(prefix) for key in found}

    def read(self, key: str) -> bytes:
        return self.seaweed.read(self.target.bucket, f"{self.prefix}/{key}")[0]

    def facts(self, key: str) -> dict[str, str]:
        name = f"{self.prefix}/{key}"
        head = self.seaweed.client.head_object(Bucket=self.target.bucket, Key=name)
        return head["Metadata"]


@pytest.fixture(params=CLIENTS)
async def shop(
    request: pytest.FixtureRequest, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    vendor, _, slow = request.param.partition(" ")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if slow:
        monkeypatch.setattr(s3_fast, "FAST", False)
    target = objects.target(request, vendor)
    seaweed.make_bucket(target.bucket)
    async with front_of(target.endpoint) as front:
        yield Shop(target, front, seaweed, f"faults/{abs(hash(request.node.name))}")


async def failure(store: ObjectStorage, key: str = "a/b") -> StorageError:
    with pytest.raises(StorageError) as caught:
        await store.put(key, DATA, OGG)
    await store.close()
    assert caught.value.key == key
    return caught.value


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (Credentials(WRITER.access_key, "not-the-secret"), "403 SignatureDoesNotMatch"),
        (Credentials("nobody", WRITER.secret_key), "403 InvalidAccessKeyId"),
        (READER, "403 AccessDenied"),
    ],
    ids=["secret", "key", "right"],
)
async def test_what_the_vendor_itself_refuses(shop: Shop, keys: Credentials, says: str) -> None:
    """No front here: the signature is checked, and the refusal the vendor's own."""
    error = await failure(shop.store(keys, endpoint=shop.target.endpoint))
    assert isinstance(error, StorageRefused)
    assert error.reason.startswith(REFUSALS.get(shop.target.vendor, {}).get(says, says))
    assert keys.secret_key not in str(error)
    assert shop.keys() == set()


async def test_a_refusal_names_the_right_that_is_missing(shop: Shop) -> None:
    error = await failure(shop.store(READER))
    assert f"({RIGHTS[shop.target.vendor]})" in error.advice


async def test_a_bucket_that_is_not_there(shop: Shop) -> None:
    bucket = shop.target.bucket
    shop.target = objects.Target(
        shop.target.vendor, f"no-{bucket}", shop.target.region, shop.target.endpoint
    )
    error = await failure(shop.store())
    assert isinstance(error, StorageRefused)
    assert "bucket" in error.advice


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer.error(404, "NoSuchBucket"), StorageRefused, "404 NoSuchBucket: as the test"),
        (Answer.error(403, "AccessDenied"), StorageRefused, "403 AccessDenied"),
        (Answer(403), StorageRefused, "403"),
        (Answer(404, b"not here"), StorageRefused, "404"),
        (Answer.error(400, "InvalidStorageClass"), StorageRefused, "?class="),
        (Answer.error(503, "SlowDown"), StorageUnavailable, "503 SlowDown"),
        (Answer(503, b"<html>busy</html>"), StorageUnavailable, "503"),
        (Answer(503, b"<Error><Code>Slow"), StorageUnavailable, "503"),
        (Answer.error(429, "TooManyRequests"), StorageUnavailable, "fewer requests"),
        (Answer(429), StorageUnavailable, "429"),
        (Answer.error(500, "InternalError"), StorageUnavailable, "500 InternalError"),
        (Answer(502), StorageUnavailable, "502"),
        (Answer.error(400, "BadDigest"), StorageUnavailable, "damaged"),
    ],
)
async def test_what_a_vendor_says(
    shop: Shop, answer: Answer, kind: type[StorageError], says: str
) -> None:
    shop.front.fault = answer
    error = await failure(shop.store())
    assert type(error) is kind
    assert says in str(error)
    assert shop.front.requests == 1, "trying again is the outbox's part"


async def test_a_redirect_is_not_followed(shop: Shop) -> None:
    target = ("Location", f"{shop.target.endpoint}/stolen/a")
    shop.front.fault = Answer(307, b"", (target,))
    error = await failure(shop.store())
    assert "stolen" not in str(shop.seaweed.client.list_buckets()["Buckets"])
    assert isinstance(error, StorageRefused)
    assert "region or endpoint" in error.advice


def told(etag: str, *headers: tuple[str, str]) -> Answer:
    return Answer(200, b"", (("ETag", etag), ("Date", "Sat, 22 Nov 2025 00:00:00 GMT"), *headers))


def kms(vendor: str, crc: str) -> tuple[tuple[str, str], ...]:
    prefix = {"s3": "x-amz", "cos": "x-cos", "oss": "x-oss"}[vendor]
    encryption = (f"{prefix}-server-side-encryption", KMS[vendor])
    return (encryption, (f"{prefix}-hash-crc64ecma", crc))


async def test_a_lie(shop: Shop) -> None:
    if shop.target.vendor == "az":
        pytest.skip("an ETag of Azure's says nothing of the bytes")
    shop.front.fault = told(f'"{OTHER}"')
    error = await failure(shop.store())
    assert isinstance(error, StorageUnavailable)
    assert error.reason == f"the store holds other bytes (ETag {OTHER})"


@pytest.mark.parametrize("etag", ["", '"', f'"{OTHER[:20]}', OTHER[:20], '""'])
async def test_half_a_word_is_none(shop: Shop, etag: str) -> None:
    shop.front.fault = told(etag)
    assert isinstance(await failure(shop.store()), StorageUnavailable)


async def test_a_lie_about_what_the_kms_has_encrypted(shop: Shop) -> None:
    """The ETag says nothing then; COS and OSS tell the CRC all the same."""
    if shop.target.vendor not in KMS:
        pytest.skip("it has no option for a KMS")
    shop.front.fault = told(f'"{OTHER}"', *kms(shop.target.vendor, "12345"))
    if shop.target.vendor == "s3":
        store = shop.store()
        assert (await store.put("a/b", DATA, OGG)).etag == OTHER
        await store.close()
        return
    error = await failure(shop.store())
    assert isinstance(error, StorageUnavailable)
    assert "CRC 12345" in error.reason


async def test_what_the_kms_encrypts_is_proven_by_its_crc(shop: Shop) -> None:
    if shop.target.vendor == "s3":
        pytest.skip("S3 tells no CRC, and SeaweedFS has no KMS here")
    if shop.target.vendor not in KMS:
        pytest.skip("it has no option for a KMS")
    store = shop.store(more=f"sse={KMS[shop.target.vendor]}&sse_key=key-1")
    assert (await store.put("k", DATA, OGG)).etag == OTHER
    await store.close()
    facts = shop.facts("k")
    assert (facts["front-sse"], facts["front-sse-key"]) == (KMS[shop.target.vendor], "key-1")


async def test_facts_and_class_go_beside_the_object(shop: Shop) -> None:
    cold = COLD.get(shop.target.vendor, "STANDARD_IA")
    store = shop.store(more=f"metadata=1&class={cold}")
    await store.put("k", DATA, OGG, {"task": "t-1", "anchor": "主播 1\r\nX: y%"})
    await store.close()
    facts = shop.facts("k")
    assert facts["task"] == "t-1"
    assert facts["anchor"] == "%E4%B8%BB%E6%92%AD%201%0D%0AX%3A%20y%25".replace("%3A", ":")
    if shop.target.vendor != "s3":
        assert facts["front-class"] == cold


async def test_facts_stay_here_unless_they_are_asked_for(shop: Shop) -> None:
    store = shop.store()
    await store.put("k", DATA, OGG, {"task": "t-1"})
    await store.close()
    assert "task" not in shop.facts("k")


async def test_a_store_that_hangs(shop: Shop) -> None:
    shop.front.fault = Hang()
    error = await failure(shop.store(timeouts=SHORT))
    assert isinstance(error, StorageUnavailable)
    assert error.reason == "no answer in time"
    assert shop.front.requests == 1


async def test_nobody_listens(shop: Shop) -> None:
    store = shop.store(endpoint="http://127.0.0.1:9")
    error = await failure(store)
    assert isinstance(error, StorageUnavailable)
    assert error.reason == "no connection"


async def test_plain_http_where_tls_is_wanted(shop: Shop) -> None:
    error = await failure(shop.store(endpoint=shop.front.endpoint.replace("http:", "https:")))
    assert isinstance(error, StorageUnavailable)
    assert error.reason == "no TLS connection"


async def test_an_upload_that_breaks_anywhere(shop: Shop) -> None:
    store = shop.store()
    await store.put("whole", DATA, OGG)
    size, cuts = shop.front.up, range(0, shop.front.up, 31)
    assert size > len(DATA), "head and body"
    for cut in cuts:
        await broken(shop, store, Cut(cut), f"cut-{cut}")
    assert shop.keys() == {"whole"}, "nothing whole can have arrived"
    await lands(shop, store)


async def test_an_answer_that_breaks_at_every_tenth_byte(shop: Shop) -> None:
    """It may be told as stored once the proof is in; then it is there."""
    store = shop.store()
    await store.put("whole", DATA, OGG)
    size, good = shop.front.down, set()
    for cut in range(0, size, 10):
        try:
            await broken(shop, store, CutAnswer(cut), f"cut-{cut}")
        except pytest.fail.Exception:
            good.add(f"cut-{cut}")
    assert not good & {f"cut-{cut}" for cut in range(0, 40, 10)}, "the ETag stands behind these"
    assert good <= shop.keys()
    await lands(shop, store)


async def broken(shop: Shop, store: ObjectStorage, fault: Fault, key: str) -> None:
    await shop.front.set(fault)
    with pytest.raises(StorageUnavailable) as caught:
        await store.put(key, DATA, OGG)
    assert caught.value.key == key


async def lands(shop: Shop, store: ObjectStorage) -> None:
    """The next put is none the worse for it."""
    await shop.front.set(None)
    await store.put("after", DATA, OGG)
    await store.close()
    assert shop.read("after") == DATA


async def test_a_line_of_a_few_kilobytes_a_second(request: pytest.FixtureRequest) -> None:
    """Slow is not dead: 40 KB at 6 KB a second, with the timeouts that are the default."""
    seaweed, data = request.getfixturevalue("seaweed"), bytes(40_000)

    async def slowly(vendor: str) -> None:
        target = objects.target(request, vendor)
        seaweed.make_bucket(target.bucket)
        async with front_of(target.endpoint) as front:
            front.fault = Slow(6_000)
            shop = Shop(target, front, seaweed, f"slow/{vendor}")
            store = shop.store()
            await store.put("x", data, OGG)
            await store.close()
            assert shop.read("x") == data

    started = asyncio.get_running_loop().time()
    await asyncio.gather(*(slowly(vendor) for vendor in objects.VENDORS))
    assert asyncio.get_running_loop().time() - started > 5.0, "else this test proves nothing"


async def test_a_vendor_that_repeats_our_keys_is_not_quoted(shop: Shop) -> None:
    keys = shop.target.credentials()
    if not keys.access_key:
        pytest.skip("its key is a JSON of many lines, and is never sent")
    echo = f"you sent {keys.secret_key} with {keys.access_key}"
    shop.front.fault = Answer.error(403, "SignatureDoesNotMatch", echo)
    store = shop.store()
    error = await failure(store)
    assert "you sent *** with ***" in str(error)
    shown = repr(store) + str(vars(store)) + store.label + repr(error) + str(vars(error))
    for secret in (keys.secret_key, keys.access_key):
        assert secret not in shown


@pytest.mark.parametrize("fault", [None, Answer.error(403, "AccessDenied"), Cut(100)])
async def test_no_secret_is_logged_or_in_a_traceback(
    shop: Shop, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even by an SDK at its most talkative."""
    caplog.set_level(logging.DEBUG)
    for name in ("qcloud_cos", "qcloud_cos.cos_auth", "qcloud_cos.cos_client", "botocore"):
        caplog.set_level(logging.DEBUG, logger=name)
    shop.front.fault = fault
    store = shop.store()
    shown = ""
    try:
        await store.put("a/b", DATA, OGG)
    except StorageError as error:
        shown = "".join(traceback.format_exception(error))
    await store.close()
    for secret in (WRITER.secret_key, "q-signature", "sign_key", "PRIVATE KEY", "SharedKey "):
        assert secret not in caplog.text + shown
