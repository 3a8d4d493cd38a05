"""A slice as the spool keeps it: one file that says what it is, where it goes, and proves itself.

    SLICE1 <bytes of the header> <CRC-32 of the header>\\n
    <header: JSON, UTF-8>
    <the slice's bytes, as they will be stored>

Nothing in it is secret. A file that is torn, cut short or changed raises ValueError, whatever its
bytes are. Pure: no disk, no clock.
"""

import json
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from slicer.media.slice import Slice
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey

_PREAMBLE = re.compile(rb"SLICE1 (\d{8}) ([0-9a-f]{8})\n")
PREAMBLE_BYTES = 25


@dataclass(frozen=True, slots=True)
class Address:
    """Where slices go: the URL of a store, and of a second one that may stand in for it.

    *keys*: whether each was given credentials of its own; they are never kept here.
    """

    to: str
    backup: str = ""
    keys: bool = False
    backup_keys: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """The header: a slice without its bytes. *size* in bytes; *sha256* in hexadecimal."""

    address: Address
    key: str
    content_type: str
    track: TrackKey
    began: datetime
    seconds: float
    width: int | None
    height: int | None
    size: int
    sha256: str


def describe(made: Slice, address: Address) -> Record:
    """The record of a slice."""
    return Record(
        address,
        made.key,
        made.content_type,
        made.track,
        made.began,
        made.seconds,
        made.width,
        made.height,
        made.size,
        sha256(made.data).hexdigest(),
    )


def encode(record: Record) -> bytes:
    """Preamble and header; the slice's bytes follow them."""
    task, anchor, kind = record.track
    address = record.address
    header = {
        "to": address.to,
        "backup": address.backup,
        "keys": address.keys,
        "backup_keys": address.backup_keys,
        "key": record.key,
        "content_type": record.content_type,
        "task": task,
        "anchor": anchor,
        "kind": kind.value,
        "began": record.began.isoformat(),
        "seconds": record.seconds,
        "width": record.width,
        "height": record.height,
        "size": record.size,
        "sha256": record.sha256,
    }
    # ASCII alone, so that an anchor's id with lone surrogates can be written as well.
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"SLICE1 %08d %08x\n" % (len(text), zlib.crc32(text)) + text


def header_bytes(preamble: bytes) -> int:
    """How long the header after a preamble is. Raises ValueError."""
    found = _PREAMBLE.match(preamble)
    if found is None:
        raise ValueError("not a record")
    return int(found[1])


def decode_header(start: bytes) -> tuple[Record, int]:
    """The record at the beginning of a file, and where its slice's bytes begin. Raises ValueError.

    *start* holds the whole header at least.
    """
    end = PREAMBLE_BYTES + header_bytes(start)
    text = start[PREAMBLE_BYTES:end]
    if b"%08x" % zlib.crc32(text) != start[16:24]:
        raise ValueError("the header is torn")
    try:
        return _record(json.loads(text)), end
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a header of ours: {error}") from None


def decode(file: bytes) -> tuple[Record, Slice]:
    """The record and the slice, proven to be the bytes that were written. Raises ValueError."""
    record, begin = decode_header(file)
    data = file[begin:]
    if len(data) != record.size:
        raise ValueError(f"{len(data)} bytes where {record.size} were written")
    if sha256(data).hexdigest() != record.sha256:
        raise ValueError("other bytes than were written")
    said = (record.key, data, record.content_type, record.track, record.began, record.seconds)
    return record, Slice(*said, record.width, record.height)


def _record(header: dict[str, Any]) -> Record:
    address = (header["to"], header["backup"], header["keys"], header["backup_keys"])
    return Record(
        Address(*address),
        header["key"],
        header["content_type"],
        TrackKey(header["task"], header["anchor"], Kind(header["kind"])),
        datetime.fromisoformat(header["began"]),
        header["seconds"],
        header["width"],
        header["height"],
        header["size"],
        header["sha256"],
    )
