"""The default store's keys."""

from slicer.storage import Credentials
from slicer.storage.settings import StorageSettings


def test_both_keys_or_the_vendors_own() -> None:
    assert StorageSettings("s3://b", "id", "key").credentials() == Credentials("id", "key")
    assert StorageSettings("s3://b").credentials() is None
