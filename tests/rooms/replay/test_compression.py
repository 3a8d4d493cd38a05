"""Captures compressed by gzip: read as they are, and no further than their size allows."""

import gzip
import io
import random

import pytest

from slicer.errors import BadInput
from slicer.rooms.replay import compression
from slicer.rooms.replay.capture import Capture
from slicer.rooms.replay.compression import ALWAYS, MAX_RATIO, Decompressed
from tests.harness.rooms.captures import block, ipv4, pcap, pcapng, rtp, udp

CHUNK = 1024 * 1024


def bomb(head: bytes, size: int) -> io.BytesIO:
    """A gzip file of *head* and zeros, *size* bytes in all."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(head)
        for at in range(len(head), size, CHUNK):
            file.write(bytes(min(CHUNK, size - at)))
    packed.seek(0)
    return packed


def test_what_was_compressed_is_read() -> None:
    data = b"a line\n" + random.Random(1).randbytes(100)
    file = Decompressed(io.BytesIO(gzip.compress(data)))
    assert file.readline(80) == b"a line\n"
    assert file.read(4) + file.read(1000) == data[7:]
    assert file.read(1) == b""


def test_any_file_may_become_so_much() -> None:
    file = Decompressed(bomb(b"", ALWAYS))
    assert sum(len(file.read(CHUNK)) for _ in range(ALWAYS // CHUNK)) == ALWAYS
    assert file.read(CHUNK) == b""


def test_a_file_that_expands_further_is_refused() -> None:
    file = Decompressed(bomb(b"", ALWAYS + 1))
    for _ in range(ALWAYS // CHUNK):
        file.read(CHUNK)
    with pytest.raises(BadInput, match=f"more than {MAX_RATIO} times"):
        file.read(CHUNK)


def test_the_bound_grows_with_the_file() -> None:
    noise = random.Random(1).randbytes(CHUNK)
    file = Decompressed(bomb(noise, 100 * CHUNK))
    assert sum(len(file.read(CHUNK)) for _ in range(100)) == 100 * CHUNK > ALWAYS


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(pcap(ipv4(udp(rtp(8, 1)))), id="records of nothing"),
        pytest.param(pcapng(*[block(5, bytes(CHUNK))] * 3), id="blocks of no interest"),
    ],
)
def test_a_capture_that_is_a_bomb_is_refused(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "ALWAYS", CHUNK)
    with pytest.raises(BadInput, match="gzip"):
        for _ in Capture(bomb(head, 2 * CHUNK)):
            pass
