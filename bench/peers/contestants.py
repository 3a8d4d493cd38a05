"""Who is compared with whom, doing what."""

from dataclasses import dataclass

from bench.peers.commands import Job

FFMPEG, FFMPEG_KEYS = "ffmpeg", "ffmpeg-nokey"
GST_EACH, GST_ONE, GST_KEYS = "gstreamer-each", "gstreamer-one", "gstreamer-nokey"
AIORTC = "aiortc"
REFERENCE, NATIVE = "reference", "native"
OURS = (REFERENCE, NATIVE)


@dataclass(frozen=True)
class Contestant:
    """*name*: the program and its use; *way* the packets come; *sound*: the file it cuts."""

    name: str
    way: str
    sound: str = "ogg"

    @property
    def key(self) -> str:
        """Names it within a comparison."""
        return self.name if self.way in {"pairs", "bundle"} else f"{self.name}-webrtc"


LABELS = {
    FFMPEG: "ffmpeg, every frame decoded",
    FFMPEG_KEYS: "ffmpeg -skip_frame nokey",
    GST_EACH: "GStreamer, a process an anchor",
    GST_ONE: "GStreamer, one process",
    GST_KEYS: "GStreamer, one process, keyframes alone",
    AIORTC: "aiortc, RTCPeerConnection",
    REFERENCE: "rtc-slicer, Python reference",
    NATIVE: "rtc-slicer, native",
}


@dataclass(frozen=True)
class Comparison:
    """One job, several contestants; rounds go through them in this order."""

    name: str
    title: str
    codec: str
    picture: str
    contestants: tuple[Contestant, ...]

    def job(self, contestant: Contestant) -> Job:
        """What this contestant is to make."""
        return Job(self.codec, contestant.sound, self.picture)


def _plain(*names: str, sound: str = "ogg") -> tuple[Contestant, ...]:
    return tuple(Contestant(n, "bundle" if n in OURS else "pairs", sound) for n in names)


COMPARISONS = (
    Comparison(
        "jpg",
        "H.264 by plain RTP to JPEG, Opus copied",
        "h264",
        "jpg",
        _plain(FFMPEG, FFMPEG_KEYS, GST_EACH, GST_ONE, GST_KEYS, REFERENCE, NATIVE),
    ),
    Comparison(
        "png",
        "H.264 by plain RTP to PNG, Opus copied",
        "h264",
        "png",
        _plain(FFMPEG, FFMPEG_KEYS, GST_ONE, GST_KEYS, REFERENCE, NATIVE),
    ),
    Comparison(
        "webrtc",
        "H.264 by WebRTC to JPEG; ffmpeg by plain RTP; sound to WAV, rtc-slicer: to Ogg",
        "h264",
        "jpg",
        (
            *_plain(FFMPEG, FFMPEG_KEYS, sound="wav"),
            Contestant(AIORTC, "whip", "wav"),
            Contestant(REFERENCE, "whip"),
            Contestant(NATIVE, "whip"),
        ),
    ),
    Comparison(
        "webp",
        "VP8 by plain RTP to WebP, Opus copied",
        "vp8",
        "webp",
        _plain(FFMPEG, FFMPEG_KEYS, REFERENCE, NATIVE),
    ),
)
