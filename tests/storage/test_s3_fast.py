"""The fast client of S3: when it is fit, where it goes, and what it leaves to botocore."""

import asyncio
from dataclasses import replace

import pytest

from slicer.errors import StorageRefused, StorageUnavailable
from slicer.storage import Credentials, s3_fast
from slicer.storage.bucket import Bucket
from slicer.storage.objects import Timeouts, Upload
from slicer.storage.proof import Acknowledgement, md5
from slicer.storage.s3_fast import RESPITE, FastS3, fits
from tests.harness.storage.faults import Answer, Hang, front_of

KEYS = Credentials("test-access-key", "test-secret-key-0123456789")
HERE = Bucket("bucket", "", "us-east-1", "http://127.0.0.1:8333")
UPLOAD = Upload("a", b"data", "audio/ogg", md5(b"data").digest())

needs_obstore = pytest.mark.skipif(not s3_fast.FAST, reason="the extra fast is not there")


@needs_obstore
def test_it_is_fit_where_it_would_say_what_botocore_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_SKIP_SIGNATURE"):
        monkeypatch.delenv(name, raising=False)
    assert fits(HERE, KEYS)
    assert fits(Bucket("bucket", region="eu-west-1"), KEYS)
    assert not fits(HERE, None), "it does not know botocore's places for keys"
    assert not fits(Bucket("bucket", endpoint="http://127.0.0.1:1"), KEYS), "no region"
    assert not fits(Bucket("bucket", region="cn-north-1"), KEYS), "another domain"
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "1")
    assert not fits(HERE, KEYS)


def test_it_is_not_fit_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_fast, "FAST", False)
    assert not fits(HERE, KEYS)


@pytest.mark.parametrize(
    ("bucket", "endpoint"),
    [
        (HERE, ("http://127.0.0.1:8333", False)),
        (Bucket("b-1", region="eu-west-1"), ("https://b-1.s3.eu-west-1.amazonaws.com", True)),
        (Bucket("b.1", region="eu-west-1"), ("https://s3.eu-west-1.amazonaws.com", False)),
        (Bucket("b-1", "", "x", "https://m.example:9000"), ("https://b-1.m.example:9000", True)),
        (Bucket("b-1", "", "x", "https://m.example", True), ("https://m.example", False)),
    ],
)
def test_where_it_goes(bucket: Bucket, endpoint: tuple[str, bool]) -> None:
    assert s3_fast.endpoint_of(bucket) == endpoint


@needs_obstore
@pytest.mark.parametrize("etag", ['"' + "0" * 32 + '"', '"abc"'])
async def test_what_it_cannot_prove_is_left_to_botocore_for_a_while(etag: str) -> None:
    async with front_of(None) as front:
        front.fault = Answer(200, b"", (("ETag", etag),))
        client = made(front.endpoint)
        for _ in range(RESPITE + 1):
            assert await put(client) is None
        assert front.requests == 1
        assert await put(client) is None
        assert front.requests == 2


@needs_obstore
@pytest.mark.parametrize(
    ("options", "etag", "encrypted"),
    [
        ({}, UPLOAD.md5.hex(), False),
        ({"encryption": "AES256", "storage_class": "STANDARD_IA"}, UPLOAD.md5.hex(), False),
        ({"encryption": "aws:kms", "encryption_key": "key"}, "0" * 32, True),
    ],
)
async def test_what_it_can_prove_is_acknowledged(
    options: dict[str, str], etag: str, encrypted: bool
) -> None:
    """Of a key of the vendor's, the ETag is no MD5."""
    async with front_of(None) as front:
        front.fault = Answer(200, b"", (("ETag", f'"{etag}"'),))
        assert await put(made(front.endpoint, **options)) == Acknowledgement(f'"{etag}"', encrypted)


@needs_obstore
async def test_an_answer_is_told_in_the_vendors_words() -> None:
    async with front_of(None) as front:
        front.fault = Answer.error(403, "AccessDenied", "status code: 200 OK: no")
        with pytest.raises(StorageRefused) as caught:
            await put(made(front.endpoint))
    assert caught.value.reason == "403 AccessDenied: status code: 200 OK: no"


@needs_obstore
async def test_after_no_answer_the_line_may_be_thin_and_botocore_has_a_turn() -> None:
    async with front_of(None) as front:
        front.fault = Hang()
        client = made(front.endpoint)
        with pytest.raises(StorageUnavailable, match="no answer in time"):
            await put(client)
        assert await put(client) is None


def made(endpoint: str, **options: str) -> FastS3:
    place = replace(Bucket("bucket", "", "us-east-1", endpoint, path_style=True), **options)  # type: ignore[arg-type]
    return FastS3(place, KEYS, Timeouts(connect=2.0, read=0.3))


async def put(client: FastS3) -> object:
    return await asyncio.to_thread(client.put, UPLOAD)
