"""S3Storage against a front that answers as the test wants: requests, proofs, errors, secrets."""

import asyncio
import logging
import socket
import sys
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials, Receipt, s3_fast
from slicer.storage.bucket import Bucket
from slicer.storage.objects import ObjectStorage, Timeouts
from slicer.storage.s3 import open_s3, s3_storage
from tests.harness.storage.faults import Answer, Front, Hang, front_of
from tests.harness.storage.seaweed import free_ports

KEYS = Credentials("test-access-key", "test-secret-key-0123456789")
PATIENT = Timeouts(connect=5.0, read=5.0)
SHORT = Timeouts(connect=5.0, read=0.2)
OGG = "audio/ogg"
MD5_OF_DATA = "8d777f385d3dfec8815d20f7496026dc"


@pytest.fixture(autouse=True, params={False, s3_fast.FAST}, ids=["botocore", "obstore"].__getitem__)
def _client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test holds for both clients."""
    monkeypatch.setattr(s3_fast, "FAST", request.param)


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever AWS configuration this machine has is out of reach."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def stored(
    endpoint: str, credentials: Credentials | None = KEYS, timeouts: Timeouts = PATIENT
) -> ObjectStorage:
    bucket = Bucket("bucket", "pre", "us-east-1", endpoint, path_style=True)
    return s3_storage(bucket, credentials, timeouts)


@asynccontextmanager
async def fronted(fault: Answer) -> AsyncIterator[tuple[Front, ObjectStorage]]:
    async with front_of(None) as front:
        front.fault = fault
        store = stored(front.endpoint)
        yield front, store
        await store.close()


async def failure(store: ObjectStorage, data: bytes = b"data") -> StorageError:
    with pytest.raises(StorageError) as caught:
        await store.put("a/b", data, OGG)
    assert caught.value.key == "a/b"
    return caught.value


def ok(etag: str, *headers: tuple[str, str]) -> Answer:
    return Answer(200, b"", (("ETag", f'"{etag}"'), *headers))


@pytest.mark.parametrize(
    "answer",
    [
        ok(MD5_OF_DATA),
        ok(MD5_OF_DATA, ("x-amz-server-side-encryption", "AES256")),
        ok("0" * 32, ("x-amz-server-side-encryption", "aws:kms")),
        ok("0" * 32, ("x-amz-server-side-encryption-customer-algorithm", "AES256")),
        ok("0" * 32 + "-1"),
    ],
)
async def test_a_proof_that_holds(answer: Answer) -> None:
    async with fronted(answer) as (_, store):
        etag = dict(answer.headers)["ETag"].strip('"')
        assert await store.put("a/b", b"data", OGG) == Receipt("a/b", 4, etag)


async def test_other_bytes_than_ours() -> None:
    async with fronted(ok("0" * 32)) as (_, store):
        error = await failure(store)
    assert isinstance(error, StorageUnavailable)
    assert "other bytes" in error.reason


async def test_a_success_without_proof_is_none() -> None:
    async with fronted(Answer(200, b"<html>Please log in</html>")) as (_, store):
        error = await failure(store)
    assert isinstance(error, StorageUnavailable)
    assert "without an ETag" in error.reason


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer.error(404, "NoSuchBucket"), StorageRefused, "404 NoSuchBucket: as the test"),
        (Answer.error(403, "AccessDenied"), StorageRefused, "s3:PutObject"),
        (Answer.error(503, "SlowDown"), StorageUnavailable, "503 SlowDown"),
        (Answer(503, b"<html>busy</html>"), StorageUnavailable, "503"),
        (Answer(429), StorageUnavailable, "429"),
        (Answer(500), StorageUnavailable, "500"),
        (Answer(413), StorageRefused, "413"),
        (Answer(404, b"not here"), StorageRefused, "404"),
    ],
)
async def test_what_a_store_says(answer: Answer, kind: type[StorageError], says: str) -> None:
    async with fronted(answer) as (front, store):
        error = await failure(store)
        assert front.requests == 1, "trying again is the outbox's part"
    assert type(error) is kind
    assert says in str(error)


@pytest.mark.parametrize("status", [301, 400])
async def test_the_wrong_region(status: int) -> None:
    code = "PermanentRedirect" if status == 301 else "AuthorizationHeaderMalformed"
    xml = f"<Error><Code>{code}</Code><Message>No</Message><Region>ap-south-1</Region></Error>"
    async with fronted(Answer(status, xml.encode())) as (_, store):
        error = await failure(store)
    assert isinstance(error, StorageRefused)
    assert "the store names ap-south-1" in error.advice


async def test_a_store_that_hangs() -> None:
    async with front_of(None) as front:
        front.fault = Hang()
        store = stored(front.endpoint, timeouts=SHORT)
        error = await failure(store, bytes(200_000))
        await store.close()
    assert isinstance(error, StorageUnavailable)
    assert error.reason == "no answer in time"


async def test_a_slow_upload_is_no_hang() -> None:
    """The timeouts are for each step, not for the whole: a thin line may take its time."""
    size, step, pause = 12_000_000, 100_000, 0.01

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"100-continue" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = size
        while left:
            left -= len(await reader.read(step))
            await asyncio.sleep(pause)
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "0-1"\r\nContent-Length: 0\r\n\r\n')
        await writer.drain()
        writer.close()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * step)
    async with await asyncio.start_server(slowly, sock=listening, limit=step):
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        place = Bucket("bucket", "", "us-east-1", endpoint, path_style=True)
        store = s3_storage(place, KEYS, Timeouts(connect=0.5, read=5.0))
        started = time.monotonic()
        assert (await store.put("a", bytes(size), OGG)).etag == "0-1"
        assert time.monotonic() - started > 1.0, "else this test proves nothing"
        await store.close()


async def test_nobody_listens() -> None:
    store = stored(f"http://127.0.0.1:{free_ports(1)[0]}")
    error = await failure(store)
    await store.close()
    assert isinstance(error, StorageUnavailable)
    assert error.reason == "no connection"


async def test_plain_http_where_tls_is_wanted() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        store = stored(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        error = await failure(store)
        await store.close()
    assert isinstance(error, StorageUnavailable)
    assert error.reason == "no TLS connection"


async def test_no_credentials_anywhere() -> None:
    async with front_of(None) as front:
        store = stored(front.endpoint, None)
        error = await failure(store)
        await store.close()
    assert isinstance(error, StorageRefused)
    assert "AWS_ACCESS_KEY_ID" in error.advice


async def test_no_region_anywhere() -> None:
    store = s3_storage(Bucket("bucket"), KEYS)
    error = await failure(store)
    await store.close()
    assert isinstance(error, StorageRefused)
    assert "?region=" in error.advice


async def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "elsewhere")
    store = stored("http://127.0.0.1:1", None)
    error = await failure(store)
    await store.close()
    assert isinstance(error, StorageRefused)
    assert "AWS_PROFILE" in error.reason


async def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    async with front_of(None) as front:
        front.fault = ok(MD5_OF_DATA)
        store = stored(front.endpoint, None)
        assert (await store.put("a", b"data", OGG)).etag == MD5_OF_DATA
        await store.close()


async def test_the_prefix_counts_for_the_length() -> None:
    store = stored("http://127.0.0.1:1")
    with pytest.raises(StorageRefused, match="1025 bytes"):
        await store.put("x" * 1021, b"", OGG)
    await store.close()


async def test_a_probe_that_may_not_be_deleted_is_no_fault() -> None:
    async with front_of(None) as front:
        empty = "d41d8cd98f00b204e9800998ecf8427e"
        front.fault = ok(empty)
        store = stored(front.endpoint)
        checking = asyncio.ensure_future(store.check())
        while not front.requests:
            await asyncio.sleep(0)
        front.fault = Answer.error(403, "AccessDenied")
        await checking
        assert front.requests == 2
        await store.close()


async def test_check_says_what_a_put_would() -> None:
    async with fronted(Answer.error(403, "InvalidAccessKeyId")) as (_, store):
        with pytest.raises(StorageRefused, match=r"^store: 403 InvalidAccessKeyId"):
            await store.check()


async def test_a_store_that_repeats_our_keys_is_not_quoted() -> None:
    echo = f"you sent {KEYS.secret_key} with {KEYS.access_key}"
    async with fronted(Answer.error(403, "SignatureDoesNotMatch", echo)) as (_, store):
        error = await failure(store)
        shown = repr(store) + str(vars(store)) + store.label + str(error) + repr(error)
    assert "you sent *** with ***" in str(error)
    assert KEYS.secret_key not in shown
    assert KEYS.access_key not in shown


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not even by boto3, not even at its most talkative."""
    with caplog.at_level(logging.DEBUG):
        async with fronted(Answer.error(403, "AccessDenied")) as (_, store):
            await failure(store)
    assert s3_fast.FAST or any(record.name.startswith("botocore") for record in caplog.records)
    assert KEYS.secret_key not in caplog.text


async def test_no_secret_in_a_traceback() -> None:
    async with fronted(Answer.error(403, "AccessDenied")) as (_, store):
        error = await failure(store)
    assert KEYS.secret_key not in "".join(traceback.format_exception(error))


def test_without_boto3_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'rtc-slicer\[s3\]'"):
        open_s3(urlsplit("s3://bucket/x"))


async def test_boto3_is_imported_by_the_first_put_alone() -> None:
    code = (
        "import sys; from slicer.storage import open_storage; open_storage('s3://bucket/x');"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
