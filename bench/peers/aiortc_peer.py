"""The process that is measured for aiortc: a receiver of its public parts, as its examples are.

`python -m bench.peers.aiortc_peer FOLDER IMAGE`: takes offers by HTTP, answers with a peer
connection, and writes what its tracks' `recv` gives: a WAV file every 15 s, and a picture of the
first frame at or after every 5 s. Pictures are made by the function that rtc-slicer uses, which is
the fastest here.
"""

import asyncio
import json
import sys
import wave
from pathlib import Path

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from bench.peers.commands import AUDIO_SECONDS, PICTURE_SECONDS
from slicer.media import image
from slicer.slicing.spec import ImageFormat
from slicer.webrtc.transport import gather

LOOPBACK = "127.0.0.1"


async def pictures(track: MediaStreamTrack, folder: Path, kind: ImageFormat) -> None:
    """Write the first frame at or after each due time."""
    first: float | None = None
    taken = 0
    while True:
        frame = await track.recv()
        assert isinstance(frame, av.VideoFrame)
        assert frame.time is not None
        first = frame.time if first is None else first
        if frame.time - first >= taken * PICTURE_SECONDS:
            path = folder / f"picture-{taken:05}.{kind.value}"
            path.write_bytes(image.encode(frame, kind))
            taken += 1


async def sounds(track: MediaStreamTrack, folder: Path) -> None:
    """Write all that is heard, in files of AUDIO_SECONDS."""
    number, left = 0, 0
    file: wave.Wave_write | None = None
    while True:
        frame = await track.recv()
        assert isinstance(frame, av.AudioFrame)
        if file is None or left < frame.samples:
            if file is not None:
                file.close()
            file = wave.open(str(folder / f"audio-{number:04}.wav"), "wb")  # noqa: SIM115
            file.setnchannels(len(frame.layout.channels))
            file.setsampwidth(2)
            file.setframerate(frame.sample_rate)
            number, left = number + 1, AUDIO_SECONDS * frame.sample_rate
        file.writeframesraw(bytes(frame.planes[0])[: frame.samples * file.getnchannels() * 2])
        left -= frame.samples


class Receiver:
    """All connections of the process."""

    def __init__(self, root: Path, kind: ImageFormat) -> None:
        self._root, self._kind = root, kind
        self._connections: list[RTCPeerConnection] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def answer(self, user: str, offer: str) -> str:
        """Connect one anchor."""
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)
        folder = self._root / user

        @connection.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            work = sounds(track, folder) if track.kind == "audio" else self._see(track, folder)
            self._tasks.append(asyncio.create_task(work))

        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        # On loopback alone: aioice would leave that out.
        gatherer = connection.getReceivers()[0].transport.transport.iceGatherer
        await gather(gatherer, [LOOPBACK])
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    async def _see(self, track: MediaStreamTrack, folder: Path) -> None:
        await pictures(track, folder, self._kind)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Just so much HTTP as the senders need."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line for line in head.lower().split("\r\n") if "content-length" in line]
        offer = (await reader.readexactly(int(lengths[0].split(":")[1]))).decode()
        answer = (await self.answer(head.split()[1].rpartition("/")[2], offer)).encode()
        writer.write(
            b"HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
        )
        await writer.drain()
        writer.close()

    async def close(self) -> None:
        """Raises what a task ended with, the end of its track excepted."""
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, MediaStreamError):
                raise ended
        for connection in self._connections:
            await connection.close()


async def main(folder: str, kind: str) -> None:
    """Receive until told otherwise."""
    receiver = Receiver(Path(folder), ImageFormat(kind))
    server = await asyncio.start_server(receiver.serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"whip": f"http://{LOOPBACK}:{port}"}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    server.close()
    await receiver.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
