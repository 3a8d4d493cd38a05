"""Byte ranges of a file in memory."""

import pytest

from slicer.console.ranges import ranged

DATA = b"0123456789"


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [
        (None, 200, DATA, None),
        ("bytes=0-", 206, DATA, "bytes 0-9/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, DATA, "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=4-2", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=-", 200, DATA, None),
        ("bytes=0-1,3-4", 200, DATA, None),
        ("lines=0-1", 200, DATA, None),
    ],
)
def test_a_range(wanted: str | None, status: int, body: bytes, content_range: str | None) -> None:
    response = ranged(DATA, wanted, "audio/ogg", {"X": "y"})
    assert (response.status_code, response.body) == (status, body)
    assert response.headers.get("content-range") == content_range
