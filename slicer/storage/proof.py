"""Whether a store's acknowledgement proves that it holds our bytes."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from slicer.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_MD5 = re.compile(r"[0-9a-f]{32}")
# ECMA-182, as COS and OSS compute it: reflected, inverted at both ends.
_ECMA = 0x142F0E1EBA9EA3693
_INVERTED = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a store answered to an upload. *encrypted*: by a key that makes the ETag something
    else than the MD5. *crc64*: in decimal, as COS and OSS write it."""

    etag: str
    encrypted: bool = False
    crc64: str = ""


def md5(data: bytes) -> "hashlib._Hash":
    """The digest that stores compare with; no secret hangs on it."""
    return hashlib.md5(data, usedforsecurity=False)


def prove(key: str, data: bytes, digest: str, word: Acknowledgement) -> str:
    """The ETag, proven to be of *data*, whose MD5 is *digest*, where it can be.

    The ETag is the MD5 of what a single request put, unless the store encrypts with a key of
    its KMS or of the customer; then the CRC is compared, where there is one. No ETag at all
    means that not the store answered, but a proxy or portal between. Raises StorageUnavailable.
    """
    etag = word.etag.strip('"')
    if not etag:
        raise StorageUnavailable(
            key, "success was said without an ETag", "was it the store that answered?"
        )
    if etag.lower() == digest:
        return digest
    if not word.encrypted and _MD5.fullmatch(etag.lower()):
        raise _other_bytes(key, f"ETag {etag}")
    if word.crc64 and word.crc64 != str(_crc64()(data)):
        raise _other_bytes(key, f"CRC {word.crc64[:20]}")
    if not word.crc64 and word.etag != f'"{etag}"':
        raise StorageUnavailable(key, "the answer broke off", "it is tried again")
    return etag


def _other_bytes(key: str, sign: str) -> StorageUnavailable:
    return StorageUnavailable(key, f"the store holds other bytes ({sign})", "it is tried again")


@cache
def _crc64() -> "Callable[[bytes], int]":
    from crcmod.crcmod import mkCrcFun  # noqa: PLC0415  # both SDKs bring it, S3 needs none

    crc: Callable[[bytes], int] = mkCrcFun(_ECMA, initCrc=0, rev=True, xorOut=_INVERTED)
    return crc
