"""Test pictures that carry their frame number for programs and people; knows no codec, no file."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""A picture: (height, width, 3), red, green, blue, 0…255."""

MAX_FRAME = (1 << 24) - 1
BLACK, WHITE = 16, 235
ROWS, COLUMNS = 2, 16
BAND_TOP = 0.8
"""The band of ROWS x COLUMNS black or white blocks fills the picture from here to its bottom."""

# Five columns, seven rows a glyph; one number a row, the left column is its highest bit.
_GLYPHS = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ":": (0, 4, 4, 0, 4, 4, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
}


@dataclass(frozen=True)
class Painter:
    """Draws the frames of one anchor: its colour, a clock, the frame number, a ball, the band.

    *fps* turns frame numbers into the time shown; *width* and *height* in pixels, 64 x 36 at least.
    """

    colour: tuple[int, int, int] = (36, 99, 235)
    width: int = 640
    height: int = 360
    fps: int = 15

    def draw(self, frame: int) -> Rgb:
        """The picture of this frame, 0 ≤ frame ≤ MAX_FRAME. Raises ValueError beyond that."""
        if not 0 <= frame <= MAX_FRAME:
            raise ValueError(f"frame {frame} does not fit into 24 bits")
        picture = self._background.copy()
        self._draw_ball(picture, frame)
        tenths = frame * 10 // self.fps
        clock = f"{tenths // 600:02}:{tenths // 10 % 60:02}.{tenths % 10}"
        _write(picture, clock, 0.06, 0.14, 0.22)
        _write(picture, f"{frame:06}", 0.06, 0.50, 0.14)
        _draw_band(picture, frame)
        return picture

    @cached_property
    def _background(self) -> Rgb:
        down = np.linspace(0, 1, self.height)[:, None]
        across = np.linspace(0, 1, self.width)[None, :]
        shade = 0.45 + 0.55 * (0.6 * (1 - down) + 0.4 * across)
        return np.asarray(shade[..., None] * np.array(self.colour), np.uint8)

    def _draw_ball(self, picture: Rgb, frame: int) -> None:
        # Once round in 4 s on each axis' own multiple: every frame differs, loops of 4 s close.
        turn = 2 * np.pi * frame / (4 * self.fps)
        radius = int(0.06 * self.height)
        x = round(self.width * (0.88 + 0.07 * np.cos(turn)))
        y = round(self.height * (0.40 + 0.28 * np.sin(2 * turn)))
        down, across = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        inside = down**2 + across**2 <= radius**2
        space = picture[y - radius : y + radius + 1, x - radius : x + radius + 1]
        space[inside[: space.shape[0], : space.shape[1]]] = (250, 250, 90)


def _write(picture: Rgb, text: str, left: float, top: float, tall: float) -> None:
    """White text; *left*, *top* and *tall* as shares of the picture's width and height."""
    height, width = picture.shape[:2]
    dot = max(1, int(tall * height) // 7)
    x, y = int(left * width), int(top * height)
    for character in text:
        rows = [[row >> bit & 1 for bit in (4, 3, 2, 1, 0)] for row in _GLYPHS[character]]
        glyph = np.kron(np.array(rows, np.uint8), np.ones((dot, dot), np.uint8)).astype(bool)
        space = picture[y : y + 7 * dot, x : x + 5 * dot]
        space[glyph[: space.shape[0], : space.shape[1]]] = WHITE
        x += 6 * dot


def _checksum(number: int) -> int:
    """CRC-8 (polynomial 0x07, start 0xFF) of a 24-bit number."""
    crc = 0xFF
    for byte in number.to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def _edges(height: int, width: int) -> tuple[list[int], list[int]]:
    """Where the band's rows and columns begin and end, in pixels, for a picture of any size."""
    rows = [round(height * (BAND_TOP + (1 - BAND_TOP) * row / ROWS)) for row in range(ROWS + 1)]
    columns = [round(width * column / COLUMNS) for column in range(COLUMNS + 1)]
    return rows, columns


def _draw_band(picture: Rgb, frame: int) -> None:
    word = frame << 8 | _checksum(frame)
    rows, columns = _edges(*picture.shape[:2])
    for index in range(ROWS * COLUMNS):
        row, column = divmod(index, COLUMNS)
        value = WHITE if word >> (ROWS * COLUMNS - 1 - index) & 1 else BLACK
        picture[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = value


def _luma(rgb: Rgb) -> npt.NDArray[np.float64]:
    return np.asarray(rgb[..., :3] @ np.array([0.299, 0.587, 0.114]), np.float64)


def read_frame_number(rgb: Rgb) -> int | None:
    """The frame number a picture of any size carries; None where it cannot be read for certain.

    Each block's middle must be clearly dark or clearly light, and the checksum must agree.
    """
    luma = _luma(rgb)
    rows, columns = _edges(*luma.shape)
    word = 0
    for index in range(ROWS * COLUMNS):
        row, column = divmod(index, COLUMNS)
        block = luma[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        y, x = block.shape[0] // 4, block.shape[1] // 4
        level = float(block[y : block.shape[0] - y, x : block.shape[1] - x].mean())
        if 90 < level < 165:
            return None
        word = word << 1 | (level >= 165)
    number, checksum = divmod(word, 256)
    return number if checksum == _checksum(number) else None


def is_grey(rgb: Rgb) -> bool:
    """Whether a tenth of the picture is the mid-grey a decoder shows where it has nothing to show.

    The test pictures themselves hold no grey. A black picture (a muted camera) is not grey.
    """
    colours = rgb[..., :3].astype(np.int16)
    spread = colours.max(axis=2) - colours.min(axis=2)
    level = colours.mean(axis=2)
    return float(((spread < 14) & (level > 96) & (level < 160)).mean()) > 0.1
