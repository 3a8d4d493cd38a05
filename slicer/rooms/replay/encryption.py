"""Whether a stream is SRTP, told without a key, so that ciphertext is not sliced as media.

Theory of operation. SRTP (RFC 3711) leaves the RTP header as it is, makes the payload look random,
and appends a tag of constant length. Two properties that no honest sender has follow from that:

* G.711 and G.722 send one byte for each step of the timestamp. With a tag there are more: as many
  in every packet.
* The first byte of every other payload format is a header of few values in one stream (Opus' TOC, a
  NAL unit's type, a VP8 descriptor). At random, 64 packets have about 57 values of 256; never have
  they fewer than half as many as packets (10 standard deviations).

Where the payloads are too few to tell, the surroundings do: a DTLS handshake on the same ports
(RFC 5764), or RTCP that is no RTCP behind its first eight bytes, which SRTCP leaves plain.
"""

from collections import Counter
from dataclasses import dataclass, field

from slicer.rtp.packet import Packet
from slicer.rtp.parameters import G722, PCMA, PCMU, Codec

SAMPLE = 64
"""Packets of a stream that are looked at."""
_LEAST = 16
# The shortest tag has 4 bytes (RFC 4568 6.2), the longest 16 (RFC 7714), and an MKI may follow.
_TRAILERS = range(4, 33)
_A_BYTE_A_STEP = {PCMU.name, PCMA.name, G722.name}


@dataclass(slots=True)
class Sample:
    """The first packets of one stream."""

    _first_bytes: Counter[int] = field(default_factory=Counter)
    _excess: Counter[int] = field(default_factory=Counter)
    """Bytes of a payload beyond the steps of the timestamp to the next packet."""
    _before: Packet | None = None
    _taken: int = 0

    @property
    def is_full(self) -> bool:
        """No more packets are looked at."""
        return self._taken == SAMPLE

    def take(self, packet: Packet, codec: Codec) -> None:
        """Look at a packet of a known payload type."""
        if self.is_full or not packet.payload:
            return
        self._taken += 1
        before, self._before = self._before, packet
        if codec.name not in _A_BYTE_A_STEP:
            self._first_bytes[packet.payload[0]] += 1
        elif before is not None and (before.sequence + 1) & 0xFFFF == packet.sequence:
            steps = (packet.timestamp - before.timestamp) & 0xFFFFFFFF
            self._excess[len(before.payload) - steps] += 1

    def encrypted(self) -> bool | None:
        """None: these packets do not tell."""
        seen = self._first_bytes.total()
        if seen >= _LEAST:
            return len(self._first_bytes) > seen / 2
        if self._excess.total() < _LEAST / 2:
            return None
        excess, times = self._excess.most_common(1)[0]
        if times <= self._excess.total() / 2:
            return None
        return excess in _TRAILERS
