"""Captures what Chromium sends, decrypted: python samples/capture.py [SECONDS]

Our own room takes Chromium's WHIP session; every RTP and RTCP datagram goes into an rtpdump, and
what was negotiated into the .sdp beside it. Camera and microphone are the drawn test content.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

import slicer.rooms.whip.anchor  # noqa: E402
from slicer.engine.engine import Engine  # noqa: E402
from slicer.engine.spec import TaskSpec  # noqa: E402
from slicer.hot import Bundle  # noqa: E402
from slicer.rooms.replay.capture import write_rtpdump  # noqa: E402
from slicer.rtp.parameters import RtpParameters  # noqa: E402
from slicer.slicing.outputs import Cut, Transmit  # noqa: E402
from tests.harness.media.content import Content, Painter, write_wav, write_y4m  # noqa: E402
from tests.harness.rooms.chromium import PublishOptions, chromium  # noqa: E402

ROOM = "whip://127.0.0.1:0/capture"
WARM_UP = 4.0
"""Seconds that are not captured: by then Chromium has found its bitrate."""


class Recorder(Bundle):
    """A bundle that also keeps what it is given."""

    heard: list[tuple[float, bytes]] = []  # noqa: RUF012 (one capture, one list)
    streams: Sequence[RtpParameters] = ()

    def set_sections(
        self, anchor: str, sections: Sequence[RtpParameters], now: float
    ) -> list[Cut | Transmit]:
        """Keep, and take."""
        Recorder.streams = sections
        return super().set_sections(anchor, sections, now)

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[Cut | Transmit]:
        """Keep, and take."""
        Recorder.heard += [(now, datagram) for datagram in datagrams]
        return super().receive(datagrams, now)


def describe(streams: Sequence[RtpParameters]) -> str:
    """What was negotiated, as a session description without addresses and keys."""
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    for stream in streams:
        types = [*stream.codecs, *stream.rtx]
        lines.append(f"m={stream.kind} 9 RTP/AVP {' '.join(map(str, types))}")
        lines += ["c=IN IP4 0.0.0.0", f"a=mid:{stream.mid}"]
        for payload_type, codec in stream.codecs.items():
            channels = f"/{codec.channels}" if codec.channels > 1 else ""
            lines.append(f"a=rtpmap:{payload_type} {codec.name}/{codec.clock_rate}{channels}")
        for payload_type, original in stream.rtx.items():
            lines.append(f"a=rtpmap:{payload_type} rtx/{stream.codecs[original].clock_rate}")
            lines.append(f"a=fmtp:{payload_type} apt={original}")
        lines += [f"a=extmap:{number} {uri}" for number, uri in stream.extensions.items()]
    return "\r\n".join([*lines, ""])


async def capture(seconds: float) -> None:
    """Publish, wait, write."""
    slicer.rooms.whip.anchor.Bundle = Recorder  # type: ignore[attr-defined,misc]
    with tempfile.TemporaryDirectory() as folder:
        content = Content(Painter(), seconds=60)
        camera, microphone = Path(folder) / "camera.y4m", Path(folder) / "microphone.wav"
        write_y4m(camera, content)
        write_wav(microphone, content)
        async with Engine() as engine, chromium(camera, microphone) as browser:
            await engine.create(TaskSpec(ROOM, Path(folder, "slices").as_uri()))
            endpoint = engine.connector("whip").endpoint(urlsplit(ROOM))  # type: ignore[attr-defined]
            page = await browser.publisher()
            await page.start(
                f"{endpoint}/chromium", PublishOptions(codec="VP8", max_bitrate=250_000)
            )
            await asyncio.sleep(WARM_UP + seconds)
            await page.stop()
    began = Recorder.heard[0][0] + WARM_UP
    kept = [(now - began, datagram) for now, datagram in Recorder.heard if now >= began]
    with (HERE / "chromium-vp8.rtpdump").open("wb") as file:
        write_rtpdump(file, kept)
    (HERE / "chromium-vp8.sdp").write_text(describe(Recorder.streams), newline="")
    print(f"{len(kept)} datagrams, {sum(len(datagram) for _, datagram in kept)} bytes")


if __name__ == "__main__":
    asyncio.run(capture(float(sys.argv[1]) if len(sys.argv) > 1 else 12.0))
