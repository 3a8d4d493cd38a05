"""What obstore's errors mean, which are text alone; real ones are in tests/contract."""

import pytest
from obstore.store import MemoryStore

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials, obstore_client
from slicer.storage.objects import Timeouts, Upload
from slicer.storage.obstore_client import (
    ObstoreClient,
    answered,
    client_options,
    require_obstore,
    timed_out,
)

KEYS = Credentials("account", "s3cret-key")
ANSWERED = (
    "Generic X error: Error performing PUT http://x/k in 48ms - Server returned non-2xx status "
    "code: 403 Forbidden: <Error><Code>AccessDenied</Code><Message>for s3cret-key</Message></Error>"
    "\n\nDebug source:\n    inner: Status {\n                status: 403,\n"
)


def never() -> object:
    raise AssertionError


@pytest.fixture
def client() -> ObstoreClient:
    return ObstoreClient(never, KEYS, "the:right", "give keys", None)  # type: ignore[arg-type]


def test_an_answer_is_read_out_of_the_words() -> None:
    error = answered("k", ANSWERED, "the:right")
    assert isinstance(error, StorageRefused)
    assert error.reason == "403 AccessDenied: for s3cret-key"
    assert "(the:right)" in error.advice
    assert answered("k", "error sending request", "the:right") is None


def test_a_time_out_is_read_out_of_the_structure() -> None:
    assert timed_out("HttpError {\n    kind: Timeout,\n")
    assert not timed_out("kind: Connect,")


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("… - Received redirect without LOCATION, this …", StorageRefused, "the store redirects"),
        ("kind: Timeout,", StorageUnavailable, "no answer in time"),
        ("ETag Header missing from response", StorageUnavailable, "success was said without"),
        ('error sending request "dns error"', StorageUnavailable, "the host's name is not known"),
        ("error: InvalidMessage(\nkind: Connect,", StorageUnavailable, "no TLS connection"),
        ("error sending request\nkind: Connect,", StorageUnavailable, "no connection"),
        ("error sending request\nkind: Request,", StorageUnavailable, "the connection broke"),
        ("Generic GCS error: GCP credential error: x", StorageRefused, "no credentials were found"),
        ("odd, with s3cret-key\nand more", StorageUnavailable, "odd, with ***"),
    ],
)
def test_what_went_wrong(
    client: ObstoreClient, text: str, kind: type[StorageError], reason: str
) -> None:
    error = client.translated("k", OSError(text))
    assert type(error) is kind
    assert error.key == "k"
    assert error.reason.startswith(reason)


def test_an_error_of_ours_gets_its_key(client: ObstoreClient) -> None:
    error = client.translated("k", StorageUnavailable("", "said s3cret-key", "again"))
    assert (error.key, error.reason) == ("k", "said ***")


def test_plain_http_is_spoken_where_the_operator_wrote_it() -> None:
    assert client_options("http://127.0.0.1:1", Timeouts(1.5, 20))["allow_http"] is True
    options = client_options(None, Timeouts(1.5, 20))
    assert (options["allow_http"], options["connect_timeout"], options["timeout"]) == (
        False,
        "1500ms",
        "20000ms",
    )


def test_an_object_is_put_with_what_describes_it_and_deleted() -> None:
    memory = MemoryStore()
    client = ObstoreClient(lambda: memory, KEYS, "the:right", "give keys", "COLD")  # type: ignore[arg-type, return-value]
    client.open("k")
    upload = Upload("a/b.ogg", b"OggS", "audio/ogg", b"", {"anchor": "ann"})
    assert client.put(upload).etag
    stored = memory.get("a/b.ogg")
    assert bytes(stored.bytes()) == b"OggS"
    assert dict(stored.attributes) == {
        "Content-Type": "audio/ogg",
        "Storage-Class": "COLD",
        "anchor": "ann",
    }
    client.delete("a/b.ogg")
    with pytest.raises(FileNotFoundError):
        memory.get("a/b.ogg")
    client.close()


def test_what_the_store_answered_is_told_without_the_secret(client: ObstoreClient) -> None:
    error = client.translated("k", OSError(ANSWERED))
    assert isinstance(error, StorageRefused)
    assert (error.key, error.reason) == ("k", "403 AccessDenied: for ***")


def test_no_link_is_made(client: ObstoreClient) -> None:
    with pytest.raises(NotImplementedError, match="k"):
        client.link("k", 60)


def test_the_extra_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_obstore("gs", "gcs")
    monkeypatch.setattr(obstore_client, "find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"gs:// needs obstore: pip install 'rtc-slicer\[gcs\]'"):
        require_obstore("gs", "gcs")
