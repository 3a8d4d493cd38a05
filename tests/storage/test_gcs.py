"""GCS: URLs and credentials; the rest is in tests/contract."""

from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput, StorageRefused
from slicer.storage import Credentials, obstore_client
from slicer.storage.bucket import Bucket
from slicer.storage.gcs import GCS, gcs_storage, open_gcs
from slicer.storage.objects import Timeouts
from tests.harness.storage import gcs_front
from tests.harness.storage.faults import Answer, front_of
from tests.harness.storage.seaweed import WRITER


def read(url: str) -> Bucket:
    return Bucket.from_url(urlsplit(url), GCS)


@pytest.mark.parametrize("name", ["ab", "Abc", "-abc", "abc-", "a" * 64, "a:80", "a..b", ".ab"])
def test_bucket_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.bucket"):
        read(f"gs://{name}/x")


@pytest.mark.parametrize("name", ["slices", "my_slices-2", "slices.example.com"])
def test_bucket_names(name: str) -> None:
    assert read(f"gs://{name}/a/b").name == name


@pytest.mark.parametrize("option", ["path_style=1", "sse=AES256", "class=STANDARD_IA", "x=1"])
def test_options_of_other_vendors(option: str) -> None:
    with pytest.raises(BadInput, match="storage"):
        read(f"gs://slices/x?{option}")


def test_obstore_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstore_client, "find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"pip install 'rtc-slicer\[gcs\]'"):
        open_gcs(urlsplit("gs://slices/x"))


async def test_a_key_that_is_none() -> None:
    store = open_gcs(urlsplit("gs://slices/x"), Credentials("", "not a JSON"))
    with pytest.raises(StorageRefused, match="a service account's key") as refused:
        await store.put("a", b"x", "audio/ogg")
    assert "not a JSON" not in str(refused.value)
    await store.close()


async def test_a_refusal_names_the_right() -> None:
    async with front_of(None) as front:
        front.fault = Answer(401)
        bucket = read(f"gs://slices/x?endpoint={front.endpoint}")
        store = gcs_storage(bucket, gcs_front.account(WRITER), Timeouts(1.0, 1.0))
        with pytest.raises(StorageRefused, match=r"401.*storage\.objects\.create"):
            await store.put("a", b"x", "audio/ogg")
        await store.close()
