"""Audio whose packets have numbers: sent to many ports at once, and found again in stored files."""

import asyncio
import io
import socket
import time
from collections.abc import Sequence

import av

from slicer.rooms.frames import EncodedFrame, FrameTrack
from slicer.rtp.parameters import OPUS, Kind, Role

ROOM = "rtp://0.0.0.0:{port}?audio=96:opus&rtcp=mux"
"""The URL of the room that a port is."""
EVERY = 0.06
_SAMPLES = 2_880
_TOC = 0x58  # RFC 6716 3.1: SILK, wideband, a frame of 60 ms, mono
_FILLER = bytes(20)


class NumberedAudio:
    """The same sender for every port: each packet says which one it is."""

    def __init__(self, targets: Sequence[tuple[str, int]]) -> None:
        self.sent: list[float] = []
        """When each packet was sent, in seconds of `time.time`."""
        self.targets = targets
        self._track = FrameTrack((Kind.AUDIO, Role.MAIN), OPUS)

    async def run(self) -> None:
        """Send in real time until this is cancelled."""
        loop, began = asyncio.get_running_loop(), time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            while True:
                self._send(sender)
                due = began + len(self.sent) * EVERY
                await asyncio.sleep(max(0.0, due - loop.time()))

    def _send(self, sender: socket.socket) -> None:
        number = len(self.sent)
        data = bytes([_TOC]) + number.to_bytes(4, "big") + _FILLER
        frame = EncodedFrame(Kind.AUDIO, number * _SAMPLES, data)
        self.sent.append(time.time())
        for datagram in self._track.packets(frame):
            for target in self.targets:
                try:
                    sender.sendto(datagram, target)
                except OSError:
                    continue  # nobody can be reached there just now


def numbers(file: bytes) -> list[int]:
    """The packets that a stored file holds."""
    with av.open(io.BytesIO(file), "r", format="ogg") as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    return [int.from_bytes(one[1:5], "big") for one in packets if one[0] == _TOC and len(one) > 4]
