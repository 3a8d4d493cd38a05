"""What makes a destination one, and which one a folder of the spool is for."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slicer.delivery.spool.folder import folder_name
from slicer.delivery.spool.record import Header, StoreUrls
from slicer.errors import BadInput
from slicer.storage import Credentials


@dataclass(frozen=True, slots=True)
class DestinationKey:
    """What makes a destination one: a store, its backup, and the keys to both."""

    to: str
    credentials: Credentials | None = None
    backup: str = ""
    backup_credentials: Credentials | None = None

    @property
    def urls(self) -> StoreUrls:
        """The same as the spool may know it."""
        keys = (self.credentials is not None, self.backup_credentials is not None)
        return StoreUrls(self.to, self.backup, *keys)

    @property
    def key_ids(self) -> tuple[str, str]:
        """Whose keys they are; no secret."""
        both = (self.credentials, self.backup_credentials)
        first, second = (keys.access_key if keys else "" for keys in both)
        return first, second


Lookup = Callable[[str, str], Credentials | None]
"""Finds the keys for a URL that a task (by its id) was given; None: not known any more."""


def key_of(folder: str, headers: Sequence[Header], lookup: Lookup) -> DestinationKey:
    """The destination of a folder's records, by the newest task whose keys are known.

    It is the one that the folder's name is made of. Where none of them is, for a store may have
    other keys since, it is what most records name. Raises BadInput where that is none, and where
    the keys are not known.
    """
    known: list[DestinationKey] = []
    for urls, task in dict.fromkeys((each.urls, each.info.task) for each in reversed(headers)):
        try:
            key = with_keys(urls, task, lookup)
        except BadInput:
            continue
        if folder_name(key.urls, *key.key_ids) == folder:
            return key
        known.append(key)
    most = _most(folder, headers)
    found = next((key for key in known if key.urls == most), None)
    return found or with_keys(most, headers[-1].info.task, lookup)


def with_keys(urls: StoreUrls, task: str, lookup: Lookup) -> DestinationKey:
    """A record's destination with its keys. Raises BadInput where they are not known."""
    keys = _keys(urls.to, task, lookup) if urls.keys else None
    backup_keys = _keys(urls.backup, task, lookup) if urls.backup_keys else None
    return DestinationKey(urls.to, keys, urls.backup, backup_keys)


def _most(folder: str, headers: Sequence[Header]) -> StoreUrls:
    """What most records name."""
    (stores, count), *others = Counter(each.urls.stores for each in headers).most_common(2)
    if others and others[0][1] == count:
        raise BadInput("spool", folder, "a folder most of whose records name one store; they wait")
    named = Counter(each.urls for each in headers if each.urls.stores == stores)
    return named.most_common(1)[0][0]


def _keys(url: str, task: str, lookup: Lookup) -> Credentials:
    keys = lookup(url, task)
    if keys is None:
        raise BadInput("spool", url, "a store whose keys are known; the slices wait")
    return keys
