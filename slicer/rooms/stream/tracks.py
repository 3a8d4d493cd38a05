"""The tracks of an open stream: each packet that FFmpeg gives, as frames to be wrapped."""

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import av
from av.bitstream import BitStreamFilterContext

from slicer.rooms import packetizer
from slicer.rooms.frames import EncodedFrame
from slicer.rooms.stream.transcoder import Transcoder
from slicer.rtp.parameters import H264, H265, OPUS, PCMA, PCMU, VP8, Codec, Kind

_VIDEO: Mapping[str, tuple[Codec, str]] = {
    "h264": (H264, "h264_mp4toannexb"),
    "hevc": (H265, "hevc_mp4toannexb"),
    "vp8": (VP8, ""),
}
"""FFmpeg's name → the codec, and the filter that makes a byte stream of lengths and units."""
_AUDIO: Mapping[str, Codec] = {"opus": OPUS, "pcm_mulaw": PCMU, "pcm_alaw": PCMA}
"""What goes through as it is; of G.711 only as telephones have it, mono at 8 kHz."""


AnyPacket: TypeAlias = "av.Packet[Any]"
"""A packet of any kind of stream."""


class Track(Protocol):
    """One track's packets in, frames out. *codec*: of the frames."""

    codec: Codec

    def frames(self, packet: AnyPacket) -> Iterator[EncodedFrame]: ...


class CopiedTrack:
    """Packets as they are, by their own timestamps."""

    def __init__(self, kind: Kind, codec: Codec, counters: Counter[str]) -> None:
        self.codec, self._kind, self._counters = codec, kind, counters
        self.filter: BitStreamFilterContext | None = None

    def frames(self, packet: AnyPacket) -> Iterator[EncodedFrame]:
        """The frame in this packet. One without a time has no place, and is counted."""
        for one in [packet] if self.filter is None else self.filter.filter(packet):
            if one.pts is None or one.time_base is None:
                self._counters["no_timestamp"] += 1
            elif one.size:
                ticks = round(one.pts * one.time_base * self.codec.clock_rate)
                yield EncodedFrame(self._kind, ticks, bytes(one))


@dataclass(slots=True)
class Tracks:
    """The first audio and the first video that can be taken, by the index of their stream, and
    why others cannot."""

    by_index: dict[int, Track] = field(default_factory=dict)
    codecs: dict[Kind, Codec] = field(default_factory=dict)
    refused: list[tuple[Kind, str]] = field(default_factory=list)


def find_tracks(container: av.container.InputContainer, counters: Counter[str]) -> Tracks:
    """What there is to take in an open container."""
    tracks = Tracks()
    for stream in container.streams:
        if stream.type not in set(Kind):
            continue
        kind = Kind(stream.type)
        if kind in tracks.codecs:
            tracks.refused.append((kind, f"a second {kind} track: the first one is taken"))
            continue
        track = _audio(stream, counters) if kind is Kind.AUDIO else _video(stream, counters)
        if track is None:
            tracks.refused.append((kind, f"{stream.codec_context.name} cannot be taken"))
            continue
        tracks.by_index[stream.index] = track
        tracks.codecs[kind] = track.codec
    return tracks


def _audio(stream: av.stream.Stream, counters: Counter[str]) -> Track | None:
    assert isinstance(stream, av.AudioStream)
    context = stream.codec_context
    codec = _AUDIO.get(context.name)
    if codec is OPUS or (
        codec is not None and (context.sample_rate, context.layout.nb_channels) == (8_000, 1)
    ):
        return CopiedTrack(Kind.AUDIO, codec, counters)
    return Transcoder(stream, counters) if context.sample_rate else None


def _video(stream: av.stream.Stream, counters: Counter[str]) -> Track | None:
    assert isinstance(stream, av.VideoStream)
    if stream.codec_context.name not in _VIDEO:
        return None
    codec, to_byte_stream = _VIDEO[stream.codec_context.name]
    extradata = stream.codec_context.extradata or b""
    if not to_byte_stream:
        return CopiedTrack(Kind.VIDEO, codec, counters)
    # A byte stream begins with zeros, a configuration record with its version, 1.
    if extradata[:1] == b"\1":
        track = CopiedTrack(Kind.VIDEO, codec, counters)
        track.filter = BitStreamFilterContext(to_byte_stream, stream)
        return track
    return CopiedTrack(Kind.VIDEO, _described(codec, extradata), counters)


def _described(codec: Codec, extradata: bytes) -> Codec:
    """The codec with the parameter sets that FFmpeg has read, for streams that do not repeat them
    in their keyframes."""
    try:
        sets = packetizer.annex_b(extradata)
    except ValueError:
        return codec
    texts = ",".join(base64.b64encode(nal).decode() for nal in sets)
    return replace(codec, format={"sprop-parameter-sets": texts})
