"""Whether what is sent to us without a key is SRTP: the first packets of each payload type tell."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from slicer.rooms.replay.encryption import Sample
from slicer.rtp import packet, rtcp
from slicer.rtp.parameters import Codec, Kind, RtpParameters


class Ciphertext:
    """Looks at what one sender sends to one port. *sections*: the port's, if it has no key."""

    def __init__(self, sections: Iterable[RtpParameters]) -> None:
        self.seen = False
        """It sends SRTP."""
        self._codecs: dict[int, tuple[Kind, Codec]] = {
            number: (section.kind, codec)
            for section in sections
            for number, codec in section.codecs.items()
        }
        self._samples: dict[int, Sample]
        """Those that are not full."""
        self.forget()

    def is_in(self, datagrams: Sequence[bytes]) -> bool:
        """Whether it is told by one of these, and those before, that they are SRTP."""
        self.seen = any(map(self._is_told_by, datagrams))
        return self.seen

    def forget(self) -> None:
        """Another sender may come."""
        self.seen = False
        self._samples = {number: Sample() for number in self._codecs}

    def _is_told_by(self, datagram: bytes) -> bool:
        number = datagram[1] & 0x7F if len(datagram) > 1 else -1
        sample = self._samples.get(number)
        if sample is None or rtcp.is_rtcp(datagram):
            return False
        kind, codec = self._codecs[number]
        with suppress(ValueError):
            sample.take(packet.parse(datagram), codec)
        if sample.is_full:
            del self._samples[number]
        # Headers of video have more values than an audio codec's: all of the sample counts there.
        return bool(sample.encrypted()) and (kind is Kind.AUDIO or sample.is_full)
