"""GStreamer's rtpbin as a sender of plain RTP that answers requests for keyframes."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness.rooms.gstreamer_elements import PYTHON, lacking

PROCESS = Path(__file__).with_name("rtpbin_process.py")
_ELEMENTS = ("rtpbin", "vp8enc", "rtpvp8pay", "opusenc", "rtpopuspay", "udpsink", "udpsrc")
# Keyframes come when they are asked for, and the first one.
_PIPELINE = (
    "rtpbin name=r "
    "videotestsrc is-live=true ! video/x-raw,width=160,height=96,framerate=15/1 ! "
    "vp8enc deadline=1 keyframe-max-dist=10000 ! rtpvp8pay pt=97 ! r.send_rtp_sink_0 "
    "r.send_rtp_src_0 ! udpsink host=127.0.0.1 port={video} bind-address=127.0.0.1 "
    "bind-port={source} "
    "r.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={video_rtcp} sync=false async=false "
    "name=reports udpsrc name=answers ! r.recv_rtcp_sink_0 "
    "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=1 ! opusenc ! "
    "rtpopuspay pt=96 ! r.send_rtp_sink_1 "
    "r.send_rtp_src_1 ! udpsink host=127.0.0.1 port={audio} bind-address=127.0.0.1 "
    "r.send_rtcp_src_1 ! udpsink host=127.0.0.1 port={audio_rtcp} sync=false async=false "
    "bind-address=127.0.0.1"
)


def missing() -> str:
    """What GStreamer lacks here; "" where nothing is missing."""
    return lacking(_ELEMENTS)


@contextlib.contextmanager
def rtpbin(audio: int, video: int, source: int) -> Iterator[None]:
    """Send Opus (96) and VP8 (97) to two ports of loopback, RTCP to those above them; *source*: the
    port that video comes from. At the one above it answers are read."""
    pipeline = _PIPELINE.format(
        audio=audio,
        audio_rtcp=audio + 1,
        video=video,
        video_rtcp=video + 1,
        source=source,
    )
    process = subprocess.Popen(
        [PYTHON, str(PROCESS), pipeline, str(source + 1)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "playing":
            raise RuntimeError("GStreamer does not play")
        yield
    finally:
        process.kill()
        process.communicate()
