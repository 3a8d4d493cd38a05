"""Repairs a lost Opus packet with the copy in the next one: in-band FEC (LBRR, RFC 6716 2.1.7).

The copy is no packet that could stand alone, so it is decoded and coded anew. What was received
stays as it is. Only packets of SILK and hybrid frames carry a copy, of the one frame before them.
"""

from collections.abc import Sequence

import numpy as np

from slicer.errors import MediaError
from slicer.media import libopus
from slicer.media.libopus import Setting
from slicer.rtp.codecs.opus import frame_size, is_stereo

RUN_UP = 8
"""Packets before the hole that bring a decoder to the state of a listener's."""
WARMED = 2
"""Frames before the lost one that the encoder is fed first."""
_BIT_RATE = 32_000
"""Bits a second and channel of what is coded anew; more buys nothing."""
_COMPLEXITY = 5
"""Of libopus, 0 to 10; 10 buys nothing."""
_FULL_BAND = libopus.NARROW_BAND + 4
_FIRST_HYBRID, _FIRST_CELT = 12, 16


def carries(after: bytes) -> int:
    """48 kHz samples of the lost frame that the packet *after* it has a copy of; 0 where none."""
    found = libopus.library()
    toc = after[0] if after else 0xFF
    if toc >> 3 >= _FIRST_CELT or found is None or not libopus.has_fec(found, after):
        return 0
    return frame_size(toc)


def recover(before: Sequence[bytes], after: bytes) -> bytes:
    """A packet for the frame lost between *before* and *after*, as long as `carries` says.

    *before* are the payloads that a listener's decoder gets, those in place of lost ones included;
    the last RUN_UP are used. Raises MediaError where there is no copy or libopus does not take it.
    """
    found, ticks = libopus.library(), carries(after)
    if found is None or not ticks:
        raise MediaError("no copy of the Opus packet before")
    channels = 2 if is_stereo(after[0]) else 1
    with libopus.Decoder(found, channels) as decoder:
        heard = [decoder.decode(payload) for payload in before[-RUN_UP:]]
        heard += [decoder.decode(after, ticks, fec=True), decoder.decode(after)]
    samples = np.concatenate(heard)
    behind = len(heard[-1])
    with libopus.Encoder(found, channels, _settings(after[0], channels)) as encoder:
        # Where the lost frame begins, and what is fed later so that it is heard there.
        begin = len(samples) - behind - ticks + encoder.look_ahead
        for at in range(begin - WARMED * ticks, begin, ticks):
            if at >= 0:
                encoder.encode(samples[at : at + ticks])
        return encoder.encode(samples[begin : begin + ticks])


def _settings(toc: int, channels: int) -> dict[Setting, int]:
    """Mode and bandwidth of the TOC byte (RFC 6716 3.1, table 2), so that no decoder switches."""
    config = toc >> 3
    if config >= _FIRST_HYBRID:
        mode, bandwidth = libopus.HYBRID, _FULL_BAND - 1 + (config - _FIRST_HYBRID) // 2
    else:
        mode, bandwidth = libopus.SILK_ONLY, libopus.NARROW_BAND + config // 4
    return {
        Setting.MODE: mode,
        Setting.BANDWIDTH: bandwidth,
        Setting.BIT_RATE: _BIT_RATE * channels,
        Setting.COMPLEXITY: _COMPLEXITY,
    }
