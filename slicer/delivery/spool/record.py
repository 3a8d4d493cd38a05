"""A slice as the spool keeps it: one file that says what it is, where it goes, and proves itself.

    SLICE1 <bytes of the header> <CRC-32 of the header>\\n
    <header: JSON, UTF-8>
    <the slice's bytes, as they will be stored>

Nothing in it is secret. A file that is torn, cut short or changed raises ValueError, whatever its
bytes are. Pure: no disk, no clock.

The header is the same since the first version, so that an upgrade sends what the last one left;
only slices of auxiliary tracks have a "role", and only those of a fleet an "epoch", and a "copy"
where there is one. A manifest has an empty anchor.
"""

import json
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from typing import Any

from slicer.media.slice import File, Info, ManifestInfo, SliceInfo
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import TrackKey
from slicer.storage.keys import faults

_PREAMBLE = re.compile(rb"SLICE1 (\d{8}) ([0-9a-f]{8})\n")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")
PREAMBLE_BYTES = 25
MAX_HEADER = 2**20
"""Bytes of a header that is read; ours have some hundred."""


@dataclass(frozen=True, slots=True)
class StoreUrls:
    """Where slices go: the URL of a store, and of a second one that may stand in for it.

    *keys*: whether each was given credentials of its own; they are never kept here.
    """

    to: str
    backup: str = ""
    keys: bool = False
    backup_keys: bool = False

    @property
    def stores(self) -> tuple[str, str]:
        """The two alone."""
        return self.to, self.backup


@dataclass(frozen=True, slots=True)
class Header:
    """A record without the slice's bytes. *sha256* of them, in hexadecimal; *epoch*: in which its
    task was this process's (sharing.py), 0 where nobody else may have it; *copy*: the key of its
    copy (copies.py), if it has one."""

    urls: StoreUrls
    info: Info
    content_type: str
    width: int | None
    height: int | None
    sha256: str
    epoch: int = 0
    copy: str = ""


def describe(file: File, urls: StoreUrls, epoch: int = 0, copy: str = "") -> Header:
    """The header of a file."""
    digest, sizes = sha256(file.data).hexdigest(), (file.width, file.height)
    return Header(urls, file.info, file.content_type, *sizes, digest, epoch, copy)


def encode(header: Header) -> bytes:
    """Preamble and header; the slice's bytes follow them."""
    urls, info = header.urls, header.info
    if isinstance(info, SliceInfo):
        anchor, kind, seconds = info.anchor, info.kind, info.seconds
    else:
        anchor, kind, seconds = "", Kind.AUDIO, 0.0
    fields = {
        "to": urls.to,
        "backup": urls.backup,
        "keys": urls.keys,
        "backup_keys": urls.backup_keys,
        "key": info.key,
        "content_type": header.content_type,
        "task": info.task,
        "anchor": anchor,
        "kind": kind.value,
        "began": info.began.isoformat(),
        "seconds": seconds,
        "width": header.width,
        "height": header.height,
        "size": info.size,
        "sha256": header.sha256,
    }
    if isinstance(info, SliceInfo) and info.role is not Role.MAIN:
        fields["role"] = info.role.value
    if header.epoch:
        fields["epoch"] = header.epoch
    if header.copy:
        fields["copy"] = header.copy
    # ASCII alone, so that an anchor's id with lone surrogates can be written as well.
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"SLICE1 %08d %08x\n" % (len(text), zlib.crc32(text)) + text


def header_bytes(preamble: bytes) -> int:
    """How long the header after a preamble is. Raises ValueError."""
    found = _PREAMBLE.match(preamble)
    if found is None or int(found[1]) > MAX_HEADER:
        raise ValueError("not a record")
    return int(found[1])


def decode_header(start: bytes) -> tuple[Header, int]:
    """The header at the beginning of a file, and where the slice's bytes begin. Raises ValueError.

    *start* holds the whole header at least.
    """
    end = PREAMBLE_BYTES + header_bytes(start)
    text = start[PREAMBLE_BYTES:end]
    if b"%08x" % zlib.crc32(text) != start[16:24]:
        raise ValueError("the header is torn")
    try:
        return _header(text), end
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a header of ours: {error}") from None


def decode(record: bytes) -> tuple[Header, File]:
    """The header and the file, proven to be the bytes that were written. Raises ValueError."""
    header, begin = decode_header(record)
    data = record[begin:]
    if len(data) != header.info.size:
        raise ValueError(f"{len(data)} bytes where {header.info.size} were written")
    if sha256(data).hexdigest() != header.sha256:
        raise ValueError("other bytes than were written")
    return header, File(header.info, data, header.content_type, header.width, header.height)


def _header(text: bytes) -> Header:
    """Read a header field by field: whoever wrote it, no odd value leaves here.

    Raises KeyError, TypeError, ValueError, OverflowError and RecursionError.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise TypeError("not a table")
    to, backup = _text(fields, "to"), _text(fields, "backup")
    urls = StoreUrls(to, backup, _take(fields, "keys", bool), _take(fields, "backup_keys", bool))
    anchor, digest = _text(fields, "anchor"), _text(fields, "sha256")
    content_type = _text(fields, "content_type")
    width, height = _measure(fields, "width"), _measure(fields, "height")
    info = _info(fields, anchor)
    epoch = _take(fields, "epoch", int) if "epoch" in fields else 0
    copy = _text(fields, "copy") if "copy" in fields else ""
    if not to or not info.task or not _DIGEST.fullmatch(digest):
        raise ValueError("an empty field, or no digest")
    if not _CONTENT_TYPE.fullmatch(content_type):  # it becomes a header of the store's request
        raise ValueError("no content type")
    if epoch < 0 or (copy and any(faults(copy))):
        raise ValueError("an epoch or a copy that no slice has")
    return Header(urls, info, content_type, width, height, digest, epoch, copy)


def _info(fields: dict[str, Any], anchor: str) -> Info:
    task, key, size = _text(fields, "task"), _text(fields, "key"), _take(fields, "size", int)
    began, kind = datetime.fromisoformat(_text(fields, "began")), Kind(_text(fields, "kind"))
    began.astimezone(UTC)  # the years 1 and 9999 have times that are none in UTC: OverflowError
    seconds = float(_take(fields, "seconds", float, int))
    if began.tzinfo is None or size < 0 or not 0 <= seconds < inf:
        raise ValueError("a time or a size that no slice has")
    for fault in faults(key):
        raise ValueError(f"not a key: {fault}")
    if anchor:
        role = Role(_text(fields, "role")) if "role" in fields else Role.MAIN
        return SliceInfo(key, TrackKey(task, anchor, kind, role), began, seconds, size)
    return ManifestInfo(key, task, began, size)


def _text(fields: dict[str, Any], name: str) -> str:
    return str(_take(fields, name, str))


def _measure(fields: dict[str, Any], name: str) -> int | None:
    measure = _take(fields, name, int, type(None))
    if measure is not None and measure <= 0:
        raise ValueError(f"{name} is {measure}")
    return None if measure is None else int(measure)


def _take(fields: dict[str, Any], name: str, *types: type) -> Any:
    value = fields[name]
    if type(value) not in types:  # a bool is no whole number here
        raise TypeError(f"{name} is of another type")
    return value
