"""Azure: URLs and credentials; the rest is in tests/contract."""

from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput, StorageRefused
from slicer.storage import Credentials, obstore_client
from slicer.storage.azure import AZURE, azure_storage, open_azure
from slicer.storage.bucket import Bucket
from slicer.storage.objects import Timeouts
from tests.harness.storage.faults import Answer, front_of


def read(url: str) -> Bucket:
    return Bucket.from_url(urlsplit(url), AZURE)


@pytest.mark.parametrize("name", ["ab", "Abc", "-abc", "abc-", "a--b", "a.b", "a" * 64, "a:80"])
def test_container_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.bucket"):
        read(f"az://{name}/x")


@pytest.mark.parametrize("option", ["path_style=1", "sse=AES256", "class=STANDARD", "x=1"])
def test_options_of_other_vendors(option: str) -> None:
    with pytest.raises(BadInput, match="storage"):
        read(f"az://slices/x?{option}")


def test_obstore_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstore_client, "find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"pip install 'rtc-slicer\[azure\]'"):
        open_azure(urlsplit("az://slices/x"))


@pytest.mark.parametrize("keys", [None, Credentials("account", "@ no base64 @")])
async def test_no_credentials(monkeypatch: pytest.MonkeyPatch, keys: Credentials | None) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    store = open_azure(urlsplit("az://slices/x"), keys)
    with pytest.raises(StorageRefused, match="the account's name as access key") as refused:
        await store.put("a", b"x", "audio/ogg")
    assert "base64" not in str(refused.value)
    await store.close()


async def test_azure_s_own_words_mean_something() -> None:
    async with front_of(None) as front:
        front.fault = Answer.error(404, "ContainerNotFound")
        bucket = read(f"az://slices/x?endpoint={front.endpoint}")
        store = azure_storage(bucket, Credentials("account", "a2V5"), Timeouts(1.0, 1.0))
        with pytest.raises(StorageRefused, match="create the container"):
            await store.put("a", b"x", "audio/ogg")
        await store.close()
