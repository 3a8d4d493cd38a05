"""The store that keeps nothing: it counts, and is strict about its name and keys all the same."""

import pytest

from slicer.errors import BadInput, StorageRefused
from slicer.storage import Receipt, open_storage
from slicer.storage.null import NullStorage


async def test_it_counts() -> None:
    store = open_storage("null:")
    assert isinstance(store, NullStorage)
    await store.check()
    assert await store.put("a/b.ogg", b"12345", "audio/ogg") == Receipt("a/b.ogg", 5, "")
    await store.put("c", b"1", "image/png", {"a": "b"})
    assert (store.objects, store.size, store.label) == (2, 6, "null:")
    await store.close()


async def test_keys_are_checked() -> None:
    with pytest.raises(StorageRefused):
        await NullStorage().put("../up", b"", "")


@pytest.mark.parametrize("url", ["null:x", "null://host", "null:?a=b", "null:///"])
def test_it_has_no_place(url: str) -> None:
    with pytest.raises(BadInput, match="nothing behind it"):
        open_storage(url)
