"""Whether what is sent to us without a key is SRTP: the first packets of each payload type tell."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from slicer.rooms.replay.encryption import Sample
from slicer.rooms.rtp.session import Port
from slicer.rtp import packet, rtcp
from slicer.rtp.parameters import Codec, Kind


class Ciphertext:
    """Looks at one sender's packets. *ports*: those that have no key."""

    def __init__(self, ports: Iterable[Port]) -> None:
        self.seen = False
        """It sends SRTP."""
        self._codecs: dict[int, tuple[Kind, Codec]] = {
            number: (section.kind, codec)
            for port in ports
            for section in port.sections
            for number, codec in section.codecs.items()
        }
        self._samples: dict[int, Sample] = {}

    def is_in(self, datagrams: Sequence[bytes]) -> bool:
        """Whether it is told by one of these, and those before, that they are SRTP."""
        self.seen = any(map(self._is_told_by, datagrams))
        return self.seen

    def forget(self) -> None:
        """Another sender may come."""
        self.seen = False
        self._samples.clear()

    def _is_told_by(self, datagram: bytes) -> bool:
        number = datagram[1] & 0x7F if len(datagram) > 1 else -1
        if number not in self._codecs or rtcp.is_rtcp(datagram):
            return False
        sample = self._samples.setdefault(number, Sample())
        if sample.is_full:
            return False
        kind, codec = self._codecs[number]
        with suppress(ValueError):
            sample.take(packet.parse(datagram), codec)
        # Headers of video have more values than an audio codec's: all of the sample counts there.
        return bool(sample.encrypted()) and (kind is Kind.AUDIO or sample.is_full)
