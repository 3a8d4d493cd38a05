"""Where slices go: one file a vendor, one line in the table below.

Other packages add to it by entry point.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import Protocol, cast
from urllib.parse import SplitResult, urlsplit

from slicer.entry_points import Group, added, extensions
from slicer.errors import BadInput


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys for a store; never shown."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return "Credentials(***)"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The store's word that it holds these bytes.

    *url*: by which anyone may read them for a while, where the store's URL asks for it (`link`).
    *sha256*: of the bytes, in hexadecimal, where `outbox.checksums` asks for it; no store sets it.
    """

    key: str
    size: int
    etag: str
    url: str = field(default="", repr=False)
    sha256: str = ""


class Storage(Protocol):
    """One bucket or folder. All keys are relative to what the URL named."""

    @property
    def label(self) -> str:
        """The destination as people may see it: no credentials."""
        ...

    async def check(self) -> None:
        """Find out before anything starts whether slices can be stored. Raises StorageError."""
        ...

    async def put(
        self,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Store whole or not at all, over whatever was there. Raises StorageError.

        *metadata*, facts about the object, is kept where the store has a place for it and its
        URL asks for it; values may hold any text.
        """
        ...

    async def close(self) -> None: ...


VENDORS: Mapping[str, str] = {
    "file": "slicer.storage.local:LocalStorage.from_url",
    "s3": "slicer.storage.s3:open_s3",
    "cos": "slicer.storage.cos:open_cos",
    "oss": "slicer.storage.oss:open_oss",
    "gs": "slicer.storage.gcs:open_gcs",
    "az": "slicer.storage.azure:open_azure",
    "null": "slicer.storage.null:NullStorage.from_url",
}


SDKS: Mapping[str, str] = {
    "s3": "boto3",
    "cos": "qcloud_cos",
    "oss": "alibabacloud_oss_v2",
    "gs": "obstore",
    "az": "obstore",
}
"""The package that a vendor needs."""


def installed(scheme: str) -> bool:
    """Whether a vendor of the table can be opened: its SDK is there."""
    return scheme not in SDKS or find_spec(SDKS[scheme]) is not None


def open_storage(url: str, credentials: Credentials | None = None) -> Storage:
    """Open `file:///folder` or `cos://bucket/prefix?region=…&endpoint=…`; no I/O. Raises BadInput.

    `null:` keeps nothing. Without *credentials*, the vendor's usual places are looked into
    (environment, profile).
    """
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError as error:
        raise BadInput("storage", _without_user(url), f"a URL ({error})") from None
    if split.scheme not in VENDORS:
        return _opened_by_another(split, credentials)
    module, name = VENDORS[split.scheme].split(":")
    opened: Storage = attrgetter(name)(import_module(module))(split, credentials)
    return opened


def _opened_by_another(url: SplitResult, credentials: Credentials | None) -> Storage:
    """A store of another package."""
    extension = extensions(Group.STORAGES, VENDORS).get(url.scheme)
    if extension is None:
        known = (*VENDORS, *added(Group.STORAGES, VENDORS))
        schemes = ", ".join(f"{scheme}://" for scheme in known)
        shown = _without_user(url.geturl())
        raise BadInput("storage", shown, f"a URL that starts with one of {schemes}")
    return cast(Storage, extension.open("storage", Storage, url, credentials))


def _without_user(url: str) -> str:
    """A URL as an error shows it: what stands before an '@' may be a password."""
    return re.sub(r"//.*@", "//…@", url)


__all__ = [
    "VENDORS",
    "Credentials",
    "Receipt",
    "SplitResult",
    "Storage",
    "installed",
    "open_storage",
]
