"""Which anchors a task wants: an allow list and a block list each for audio and for video."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind

MAX_ENTRIES = 32
MAX_ENTRY_LENGTH = 64
_PREFIX_END = ".*$"
_ID = re.compile(r"[A-Za-z0-9_.@-]+")
_ALLOWED = (
    "an exact user id, or a prefix written 'x.*$': letters, digits, '_', '-', '.', '@', "
    f"{MAX_ENTRY_LENGTH} characters at most"
)


@dataclass(frozen=True, slots=True)
class IdList:
    """Exact ids and prefixes. No other patterns: their cost would be the caller's to choose."""

    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str], field_name: str = "list") -> Self:
        """Read entries `id` or `x.*$`. Raises BadInput that names the entry."""
        entries = [entries] if isinstance(entries, str) else list(entries)
        if len(entries) > MAX_ENTRIES:
            raise BadInput(field_name, f"{len(entries)} entries", f"at most {MAX_ENTRIES} entries")
        exact, prefixes = set(), []
        for index, entry in enumerate(entries):
            if not isinstance(entry, str) or len(entry) > MAX_ENTRY_LENGTH:
                raise BadInput(f"{field_name}[{index}]", entry, _ALLOWED)
            prefix = entry.removesuffix(_PREFIX_END)
            if not _ID.fullmatch(prefix):
                raise BadInput(f"{field_name}[{index}]", entry, _ALLOWED)
            if prefix != entry:
                prefixes.append(prefix)
            else:
                exact.add(entry)
        return cls(frozenset(exact), tuple(prefixes))

    def entries(self) -> list[str]:
        """As `parse` takes them: sorted ids, then prefixes in their original order."""
        return sorted(self.exact) + [prefix + _PREFIX_END for prefix in self.prefixes]

    def __contains__(self, anchor: str) -> bool:
        return anchor in self.exact or anchor.startswith(self.prefixes)

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefixes)


@dataclass(frozen=True, slots=True)
class Lists:
    """Allow and block for one kind. An empty allow list allows everybody; block beats allow."""

    allow: IdList = IdList()
    block: IdList = IdList()

    def __contains__(self, anchor: str) -> bool:
        return anchor not in self.block and (not self.allow or anchor in self.allow)


@dataclass(frozen=True, slots=True)
class Subscription:
    """The four lists of a task."""

    audio: Lists = field(default_factory=Lists)
    video: Lists = field(default_factory=Lists)

    @classmethod
    def of(
        cls,
        *,
        allow_audio: Iterable[str] = (),
        block_audio: Iterable[str] = (),
        allow_video: Iterable[str] = (),
        block_video: Iterable[str] = (),
    ) -> Self:
        """Build from plain strings. Raises BadInput that names the list and the entry."""
        return cls(
            Lists(
                IdList.parse(allow_audio, "allow_audio"), IdList.parse(block_audio, "block_audio")
            ),
            Lists(
                IdList.parse(allow_video, "allow_video"), IdList.parse(block_video, "block_video")
            ),
        )

    def wants(self, anchor: str, kind: Kind) -> bool:
        """Whether this anchor's media of this kind is to be cut."""
        return anchor in (self.audio if kind is Kind.AUDIO else self.video)
