"""A stream and the packets that are put into it, for tests of what comes out in order."""

from slicer.rtp.packet import Packet
from slicer.rtp.parameters import OPUS, PCMU, Kind, RtpParameters
from slicer.rtp.stream import Ordered
from tests.harness.rtp.parts import SenderClock, Stream

AUDIO = RtpParameters(Kind.AUDIO, {111: OPUS, 0: PCMU})
PACE = 0.02


class Line:
    """A stream and the packets that are put in; each is 20 ms after the last."""

    def __init__(self, parameters: RtpParameters = AUDIO) -> None:
        self.stream = Stream(parameters, SenderClock())
        self.payload_type = next(iter(parameters.codecs))
        self.ticks = 960 if parameters.kind is Kind.AUDIO else 1800
        self.now = 10.0
        self.out: list[Ordered] = []

    def put(
        self,
        sequence: int,
        timestamp: int | None = None,
        ssrc: int = 1,
        payload_type: int | None = None,
        payload: bytes = b"x",
    ) -> None:
        self.now += PACE
        self.stream.insert(
            Packet(
                self.payload_type if payload_type is None else payload_type,
                False,
                sequence & 0xFFFF,
                (sequence * self.ticks if timestamp is None else timestamp) & 0xFFFFFFFF,
                ssrc,
                payload,
                arrival=self.now,
            )
        )
        self.out += self.stream.drain(self.now)

    def begin(self, packets: int = 10) -> None:
        for sequence in range(packets):
            self.put(sequence)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.out += self.stream.drain(self.now)

    @property
    def sequences(self) -> list[int]:
        return [ordered.packet.sequence for ordered in self.out]

    @property
    def epochs(self) -> list[int]:
        return sorted({ordered.epoch for ordered in self.out})
