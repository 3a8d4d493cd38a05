"""Proofs: which answers show that the store holds our bytes, and which do not."""

import pytest

from slicer.errors import StorageUnavailable
from slicer.storage.proof import Acknowledgement, md5, prove

DATA = b"123456789"
MD5 = "25f9e794323b453885f5181f1b624d0b"
CRC = str(0x995DC9BBDF1939FA)  # the check value of CRC-64/XZ
OTHER = "0" * 32


def test_the_digest() -> None:
    assert md5(DATA).hexdigest() == MD5


@pytest.mark.parametrize(
    ("word", "etag"),
    [
        (Acknowledgement(f'"{MD5}"'), MD5),
        (Acknowledgement(MD5), MD5),
        (Acknowledgement(f'"{MD5.upper()}"'), MD5),
        (Acknowledgement(f'"{MD5}"', crc64="1"), MD5),
        (Acknowledgement(f'"{MD5}"', encrypted=True), MD5),
        (Acknowledgement(f'"{OTHER}"', encrypted=True, crc64=CRC), OTHER),
        (Acknowledgement(f'"{OTHER}"', encrypted=True), OTHER),
        (Acknowledgement('"abc-1"'), "abc-1"),
        (Acknowledgement('"abc-1"', crc64=CRC), "abc-1"),
        (Acknowledgement("abc-1", crc64=CRC), "abc-1"),
    ],
)
def test_what_holds(word: Acknowledgement, etag: str) -> None:
    assert prove("k", DATA, MD5, word) == etag


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (Acknowledgement(""), "without an ETag"),
        (Acknowledgement('""'), "without an ETag"),
        (Acknowledgement(f'"{OTHER}"'), "other bytes"),
        (Acknowledgement(f'"{OTHER}"', crc64=CRC), "other bytes"),
        (Acknowledgement(f'"{OTHER}"', encrypted=True, crc64="1"), "other bytes .CRC 1"),
        (Acknowledgement('"abc-1"', crc64="1"), "other bytes"),
        (Acknowledgement('"abc', encrypted=True), "broke off"),
        (Acknowledgement("abc"), "broke off"),
    ],
)
def test_what_does_not(word: Acknowledgement, says: str) -> None:
    with pytest.raises(StorageUnavailable, match=says) as caught:
        prove("k", DATA, MD5, word)
    assert caught.value.key == "k"
