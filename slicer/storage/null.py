"""A store that keeps nothing but its counts: for tasks whose slices are not to be kept."""

from collections.abc import Mapping
from typing import Self
from urllib.parse import SplitResult

from slicer.errors import BadInput
from slicer.storage import Credentials, Receipt
from slicer.storage.keys import check_key


class NullStorage:
    """Written `null:`."""

    def __init__(self) -> None:
        self.objects = self.size = 0

    @classmethod
    def from_url(cls, url: SplitResult, credentials: Credentials | None = None) -> Self:
        """Open `null:`, which has neither place nor keys. Raises BadInput."""
        if url.geturl() != "null:":
            raise BadInput("storage", url.geturl(), "null: and nothing behind it")
        return cls()

    @property
    def label(self) -> str:
        return "null:"

    async def check(self) -> None:
        """There is nothing that could refuse."""

    async def put(
        self,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Count. The receipt has no etag: nobody holds these bytes."""
        check_key(key)
        self.objects += 1
        self.size += len(data)
        return Receipt(key, len(data), "")

    async def close(self) -> None:
        """Nothing is open."""
