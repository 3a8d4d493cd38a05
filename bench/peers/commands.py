"""The peers' command lines, as someone who knows them well would write them for this job.

Choices that save a peer work: one thread where more would cost more CPU; pictures are chosen before
anything is converted; Opus is copied where Ogg is wanted; GStreamer's elements that only negotiate
are left out. What makes results equal: the grid of due times begins at the first frame for all.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.peers.sender import PAYLOAD_TYPES

AUDIO_SECONDS = 15
PICTURE_SECONDS = 5
JITTER_MS = 200
RECEIVE_BUFFER = 1 << 20
JPEG_SCALE = 3
"""FFmpeg's scale; it has the luma PSNR of 85 of libjpeg's, which the others are given."""
JPEG_QUALITY = 85
WEBP_QUALITY = 80


@dataclass(frozen=True)
class Job:
    """What is to come out: a video codec in, a sound file (ogg, wav) and pictures (jpg, …) out."""

    codec: str
    sound: str
    picture: str

    @property
    def name(self) -> str:
        return f"{self.codec}-{self.sound}-{self.picture}"


def sdp(job: Job, port: int) -> str:
    """The session description that FFmpeg reads: video on *port*, sound two above."""
    video = PAYLOAD_TYPES[job.codec]
    audio = PAYLOAD_TYPES["opus"]
    lines = [
        "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=bench", "c=IN IP4 127.0.0.1", "t=0 0",
        f"m=video {port} RTP/AVP {video}", f"a=rtpmap:{video} {job.codec.upper()}/90000",
        *([f"a=fmtp:{video} packetization-mode=1"] if job.codec == "h264" else []),
        f"m=audio {port + 2} RTP/AVP {audio}", f"a=rtpmap:{audio} opus/48000/2",
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines)


def ffmpeg(binary: str, job: Job, description: Path, folder: Path, keys_only: bool) -> list[str]:
    """One anchor. *keys_only*: decode keyframes alone."""
    # The grid 0, 5, 10 …: the first decoded frame at or after each; a plain fps filter would repeat
    # frames, and "5 s since the last one" would drift with keyframes two seconds apart.
    due = f"select=gte(t\\,{PICTURE_SECONDS}*selected_n)"
    sound = {
        "ogg": ["-c:a", "copy", "-f", "segment", "-segment_format", "ogg"],
        "wav": ["-c:a", "pcm_s16le", "-f", "segment", "-segment_format", "wav"],
    }[job.sound]
    picture = {
        "jpg": [
            *("-c:v", "mjpeg", "-q:v", f"{JPEG_SCALE}", "-huffman", "default"),
            *("-pix_fmt", "yuvj420p"),
        ],
        "png": ["-c:v", "png", "-compression_level", "1", "-pix_fmt", "rgb24"],
        "webp": ["-c:v", "libwebp", "-quality", f"{WEBP_QUALITY}", "-compression_level", "0"],
    }[job.picture]
    return [
        binary, "-nostdin", "-hide_banner", "-loglevel", "warning",
        "-protocol_whitelist", "file,udp,rtp", "-buffer_size", f"{RECEIVE_BUFFER}",
        "-max_delay", f"{JITTER_MS * 1000}", "-analyzeduration", "3M",
        "-threads", "1", *(["-skip_frame", "nokey"] if keys_only else []),
        "-i", f"{description}",
        "-map", "0:v", "-an", "-filter_threads", "1", "-vf", due, "-fps_mode", "vfr",
        *picture, "-threads", "1", "-f", "image2", f"{folder}/picture-%05d.{job.picture}",
        "-map", "0:a", "-vn", *sound, "-segment_time", f"{AUDIO_SECONDS}",
        "-reset_timestamps", "1", f"{folder}/audio-%04d.{job.sound}",
    ]  # fmt: skip


def gstreamer_branches(job: Job, port: int, folder: Path, keys_only: bool) -> list[str]:
    """What one anchor needs within a pipeline. *keys_only*: decode keyframes alone."""
    video, audio = PAYLOAD_TYPES[job.codec], PAYLOAD_TYPES["opus"]
    depayload, decode = {
        "h264": (["rtph264depay"], ["avdec_h264", "max-threads=1"]),
        "vp8": (["rtpvp8depay"], ["vp8dec", "threads=1"]),
    }[job.codec]
    picture = {
        "jpg": ["jpegenc", f"quality={JPEG_QUALITY}", "idct-method=ifast"],
        "png": ["videoconvert", "n-threads=1", "!", "pngenc", "compression-level=1"],
        "webp": ["webpenc", f"quality={WEBP_QUALITY}", "speed=0"],
    }[job.picture]
    # splitmuxsink cannot use oggmux (its pads are named otherwise), and multifilesink does not see
    # the time of its pages: Opus is copied to Matroska, which costs the same.
    sound, muxer, ending = {
        "ogg": (["opusparse"], "matroskamux", "mka"),
        "wav": (["opusdec", "!", "audioconvert", "!", "audio/x-raw,format=S16LE"], "wavenc", "wav"),
    }[job.sound]
    sink = f"sound{port}"
    return [
        "udpsrc", f"port={port}", "address=127.0.0.1", f"buffer-size={RECEIVE_BUFFER}",
        f"caps=application/x-rtp,media=video,clock-rate=90000,encoding-name={job.codec.upper()},"
        f"payload={video}",
        "!", "rtpjitterbuffer", f"latency={JITTER_MS}", "!", *depayload,
        *(["!", "identity", "drop-buffer-flags=delta-unit"] if keys_only else []),
        "!", *decode, "!", "videorate", "drop-only=true", "!",
        f"video/x-raw,framerate=1/{PICTURE_SECONDS}",
        "!", *picture, "!", "multifilesink", f"location={folder}/picture-%05d.{job.picture}",
        "udpsrc", f"port={port + 2}", "address=127.0.0.1",
        f"caps=application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload={audio}",
        "!", "rtpjitterbuffer", f"latency={JITTER_MS}", "!", "rtpopusdepay", "!", *sound,
        "!", f"{sink}.audio_0",
        "splitmuxsink", f"name={sink}", f"muxer={muxer}",
        f"max-size-time={AUDIO_SECONDS * 10**9}", f"location={folder}/audio-%04d.{ending}",
    ]  # fmt: skip


def gstreamer(binary: str, branches: list[list[str]]) -> list[str]:
    """One process for all these anchors."""
    return [binary, "-q", *(word for branch in branches for word in branch)]
