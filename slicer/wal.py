"""The write-ahead log beside an SQLite file: what SQLite leaves out of it without a word.

Theory of operation. A transaction is a run of frames; its last one holds the size of the database,
the others 0. Each frame's checksum goes on from the frame before. SQLite reads as far as they are
right, and takes the rest for what a crash left half-written. That is true of a rest in which no
transaction is whole. A whole one behind a frame that is wrong was committed: it is damage, or a
loss of power before it was forced to the disk.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from pathlib import Path

HEADER, FRAME_HEADER = 32, 24
_BIG_ENDIAN_SUMS, _LITTLE_ENDIAN_SUMS = 0x377F0683, 0x377F0682
_SUMS = {_BIG_ENDIAN_SUMS: ">", _LITTLE_ENDIAN_SUMS: "<"}
Sums = tuple[int, int]


def lost(log: Path, read: int = 0) -> int:
    """How many whole transactions of a log cannot be read; 0 where there is none. Raises OSError.

    *read*: how many frames SQLite itself reads, where that is known. A log that holds no more is
    not looked into. Only for who holds the database's lock for writing: the log must stand still.
    """
    try:
        with log.open("rb") as opened:
            header = opened.read(HEADER)
            if len(header) < HEADER:
                return 0
            magic, _, page = struct.unpack(">3I", header[:12])
            size = FRAME_HEADER + page
            if read and log.stat().st_size < HEADER + (read + 1) * size:
                return 0
            content = opened.read()
    except FileNotFoundError:
        return 0
    frames = [content[at : at + size] for at in range(0, len(content) - size + 1, size)]
    order = _SUMS.get(magic, "")
    if not order or _sum(order, (0, 0), header[:24]) != struct.unpack(">2I", header[24:]):
        return int(len(content) > 0)  # where frames begin is not known: one at least
    return sum(_ends(frame) for frame in frames[_right(order, header, frames) :])


def _right(order: str, header: bytes, frames: list[bytes]) -> int:
    """How many frames at the beginning are right."""
    sums: Sums = struct.unpack(">2I", header[24:])
    for number, frame in enumerate(frames):
        sums = _sum(order, _sum(order, sums, frame[:8]), frame[FRAME_HEADER:])
        if frame[8:16] != header[16:24] or struct.unpack(">2I", frame[16:24]) != sums:
            return number
    return len(frames)


def _ends(frame: bytes) -> bool:
    """Whether a transaction ends with this frame."""
    return any(frame[4:8])


def _sum(order: str, sums: Sums, content: bytes) -> Sums:
    first, second = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFF_FFFF
        second = (second + odd + first) & 0xFFFF_FFFF
    return first, second
