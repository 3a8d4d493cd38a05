"""What FFmpeg does not pass on of libopus: decoding a packet's in-band FEC, and an encoder's mode.

The library is the one that PyAV's wheel brings, else the system's. Where there is none, or it is
older than 1.5 and cannot tell whether a packet has FEC, `library` gives None.
"""

import ctypes
from collections.abc import Callable, Mapping
from ctypes import c_char_p, c_int, c_int32, c_void_p
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt

from slicer.errors import MediaError

SAMPLE_RATE = 48_000
LONGEST_FRAME = 5_760
"""Samples of the longest packet, 120 ms."""
_LONGEST_PACKET = 1_275
"""Bytes of the longest frame (RFC 6716 3.4, R2)."""
_APPLICATION_AUDIO, _APPLICATION_VOIP = 2_049, 2_048
_GET_LOOKAHEAD = 4_027

Samples = npt.NDArray[np.int16]
"""(samples, channels) at 48 kHz."""


class Setting(IntEnum):
    """Requests of `opus_encoder_ctl` that take a number (opus_defines.h, opus_private.h)."""

    BIT_RATE = 4_002
    BANDWIDTH = 4_008
    COMPLEXITY = 4_010
    MODE = 11_002


SILK_ONLY, HYBRID = 1_000, 1_001
"""Values of Setting.MODE."""
NARROW_BAND = 1_101
"""Value of Setting.BANDWIDTH; the wider ones follow."""


@cache
def library() -> ctypes.CDLL | None:
    """libopus with its functions declared; None where it is not found or too old."""
    folder = Path(av.__file__).parent
    beside = [*folder.parent.glob("av.libs/*opus*"), *folder.glob(".dylibs/libopus*")]
    for name in (*map(str, beside), "libopus.so.0", "libopus.0.dylib"):
        try:
            found = ctypes.CDLL(name)
            _declare(found)
        except (OSError, AttributeError):
            continue
        return found
    return None


def _declare(found: ctypes.CDLL) -> None:
    """Raises AttributeError where a function is missing."""
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "opus_packet_has_lbrr": (c_int, [c_char_p, c_int32]),
        "opus_decoder_create": (c_void_p, [c_int32, c_int, c_void_p]),
        "opus_decoder_destroy": (None, [c_void_p]),
        "opus_decode": (c_int, [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]),
        "opus_encoder_create": (c_void_p, [c_int32, c_int, c_int, c_void_p]),
        "opus_encoder_destroy": (None, [c_void_p]),
        # Variadic: what is not declared is passed as a variable argument.
        "opus_encoder_ctl": (c_int, [c_void_p, c_int]),
        "opus_encode": (c_int32, [c_void_p, c_void_p, c_int, c_char_p, c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments


def has_fec(found: ctypes.CDLL, payload: bytes) -> bool:
    """Whether a packet carries the frame before it as well (LBRR, RFC 6716 4.2.3)."""
    return bool(found.opus_packet_has_lbrr(payload, len(payload)) == 1)


class _State:
    """Memory of libopus, given back at the end of a `with` block."""

    def __init__(self, memory: int | None, destroy: Callable[[int], None]) -> None:
        if not memory:
            raise MediaError("libopus has no memory")
        self._memory, self._destroy = memory, destroy

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._destroy(self._memory)


class Decoder(_State):
    """An Opus decoder at 48 kHz, of one or two *channels*."""

    def __init__(self, found: ctypes.CDLL, channels: int) -> None:
        memory = found.opus_decoder_create(SAMPLE_RATE, channels, None)
        super().__init__(memory, found.opus_decoder_destroy)
        self._found, self._channels = found, channels

    def decode(self, payload: bytes, ticks: int = LONGEST_FRAME, *, fec: bool = False) -> Samples:
        """The samples of a packet; with *fec* those of the *ticks* before it. Raises MediaError."""
        samples = np.empty((ticks, self._channels), np.int16)
        size = len(payload)
        count = self._found.opus_decode(
            self._memory, payload, size, samples.ctypes.data, ticks, int(fec)
        )
        if count < 0:
            raise MediaError(f"libopus does not decode a packet of {size} bytes: {count}")
        return samples[:count]


class Encoder(_State):
    """An Opus encoder at 48 kHz with *settings*; *voip* brings its high-pass filter."""

    def __init__(
        self,
        found: ctypes.CDLL,
        channels: int,
        settings: Mapping[Setting, int],
        *,
        voip: bool = False,
    ) -> None:
        application = _APPLICATION_VOIP if voip else _APPLICATION_AUDIO
        memory = found.opus_encoder_create(SAMPLE_RATE, channels, application, None)
        super().__init__(memory, found.opus_encoder_destroy)
        self._found = found
        try:
            for request, value in settings.items():
                self.set(request, value)
        except MediaError:
            found.opus_encoder_destroy(memory)
            raise

    def set(self, request: IntEnum, value: int) -> None:
        """Make a request of `opus_encoder_ctl` that takes a number. Raises MediaError."""
        if status := self._found.opus_encoder_ctl(self._memory, int(request), c_int32(value)):
            raise MediaError(f"libopus refuses {request.name} {value}: {status}")

    @property
    def look_ahead(self) -> int:
        """Samples by which what is coded comes later than what is fed."""
        value = c_int32()
        self._found.opus_encoder_ctl(self._memory, _GET_LOOKAHEAD, ctypes.byref(value))
        return value.value

    def encode(self, samples: Samples) -> bytes:
        """The packet of one frame of *samples*. Raises MediaError."""
        samples = np.ascontiguousarray(samples)
        packet = ctypes.create_string_buffer(_LONGEST_PACKET)
        size = self._found.opus_encode(
            self._memory, samples.ctypes.data, len(samples), packet, _LONGEST_PACKET
        )
        if size < 0:
            raise MediaError(f"libopus does not encode {len(samples)} samples: {size}")
        return packet.raw[:size]
