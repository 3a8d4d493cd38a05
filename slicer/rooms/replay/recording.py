"""What a `replay:///file` URL names: the capture, its payload types, its anchors."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import SplitResult, parse_qsl, unquote

from slicer.errors import BadInput, RoomError
from slicer.rooms.replay.capture import Capture, Captured, Endpoints, Protocol, protocol
from slicer.rtp.parameters import STATIC, Codec, Kind, RtpParameters
from slicer.webrtc.negotiation import CODECS, described, without
from slicer.webrtc.sdp import parse

MAX_FLOWS = 500
"""Flows of one capture that can be anchors; the packets of further ones are counted."""
MAX_SDP = 64 * 1024
MAX_SPEED = 1_000.0
# Fewer packets than this that look like RTP of a known payload type are somebody else's.
LEAST_PACKETS = 2
_OPTIONS = "speed, anchor, audio, video"
_ANCHOR = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Source:
    """A replay URL, parsed. *speed*: capture seconds in a second; infinite: as fast as possible."""

    path: Path
    speed: float = 1.0
    anchor: str = ""
    codecs: Mapping[Kind, Mapping[int, Codec]] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read `replay:///file?speed=&anchor=&audio=111:opus&video=96:vp8`. Raises BadInput."""
        path = Path(unquote(url.path))
        if url.netloc or not path.is_absolute():
            raise BadInput("room", url.geturl(), "replay:///absolute/path")
        pairs = parse_qsl(url.query, keep_blank_values=True)
        options = dict(pairs)
        unknown = options.keys() - {"speed", "anchor", "audio", "video"}
        if unknown or len(options) != len(pairs):
            raise BadInput("room", url.query, f"each of {_OPTIONS} at most once")
        anchor = options.get("anchor", "")
        if anchor and not _ANCHOR.fullmatch(anchor):
            raise BadInput("room.anchor", anchor, "a user id: letters, digits, '_', '-', '.', '@'")
        codecs = {kind: _codecs(kind, options[kind]) for kind in Kind if kind in options}
        return cls(path, _speed(options.get("speed", "1")), anchor, codecs)

    def streams(self) -> list[RtpParameters]:
        """What payload types mean, by kind: from the URL, or the .sdp beside, or RFC 3551.

        Nobody will read what a receiver sends, so the streams claim no feedback. Raises BadInput.
        """
        streams = [RtpParameters(kind, codecs) for kind, codecs in self.codecs.items()]
        beside = _sidecar(self.path.with_suffix(".sdp"))
        streams += [stream for stream in beside if stream.kind not in self.codecs]
        if all(stream.kind is not Kind.AUDIO for stream in streams):
            streams.append(RtpParameters(Kind.AUDIO, STATIC))
        return streams

    def open(self) -> BinaryIO:
        """Open the file. Raises BadInput."""
        try:
            return self.path.open("rb")
        except OSError as error:
            allowed = f"a file that can be read ({error.strerror})"
            raise BadInput("room", str(self.path), allowed) from None


@dataclass(frozen=True, slots=True)
class Recording:
    """A capture that was looked through once.

    *began*: UTC seconds, 0 where the file does not say; *kinds*: of each payload type that is
    played; *anchors*: whose packets a flow carries.
    """

    source: Source
    began: float
    streams: tuple[RtpParameters, ...]
    kinds: Mapping[int, Kind]
    anchors: Mapping[Endpoints, str]

    @classmethod
    def survey(cls, source: Source) -> Self:
        """Read the whole file to find its anchors. Raises BadInput, and RoomError without any."""
        streams = source.streams()
        kinds = {
            number: stream.kind
            for stream in streams
            for number in (*stream.codecs, *stream.rtx, *stream.red)
        }
        media, control, unknown = Counter[Endpoints](), set[Endpoints](), Counter[int]()
        with source.open() as file:
            capture = Capture(file)
            for captured in capture:
                if protocol(captured.data) is Protocol.RTCP:
                    control.add(captured.flow)
                elif payload_type(captured) not in kinds:
                    unknown[payload_type(captured)] += 1
                elif captured.flow in media or len(media) < MAX_FLOWS:
                    media[captured.flow] += 1
        flows = [flow for flow, packets in media.items() if packets >= LEAST_PACKETS]
        if not flows:
            raise RoomError(_nobody(source.path, unknown))
        anchors = dict(zip(flows, _names(source, len(flows)), strict=True))
        for flow in control - anchors.keys():
            if (companion := _one_below(flow)) in anchors:
                anchors[flow] = anchors[companion]
        return cls(source, capture.began, tuple(streams), kinds, anchors)


def payload_type(captured: Captured) -> int:
    """The payload type of an RTP packet."""
    return captured.data[1] & 0x7F


def _speed(text: str) -> float:
    try:
        speed = 0.0 if text == "max" else float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= MAX_SPEED:
        raise BadInput("room.speed", text, f"a number up to {MAX_SPEED:g}; 0 or max: unlimited")
    return speed or math.inf


def _codecs(kind: Kind, text: str) -> dict[int, Codec]:
    """Read `111:opus,9:g722`."""
    known = CODECS[kind]
    found = {}
    for entry in text.split(","):
        number, _, name = entry.partition(":")
        if not re.fullmatch(r"\d{1,3}", number, re.ASCII) or int(number) > 127:
            raise BadInput(f"room.{kind}", entry, "number:codec, a payload type of 0 to 127")
        if name.lower() not in known:
            raise BadInput(f"room.{kind}", entry, f"number:codec, with one of {', '.join(known)}")
        found[int(number)] = known[name.lower()]
    return found


def _sidecar(path: Path) -> list[RtpParameters]:
    """What the description beside the capture says, without what nobody will obey."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SDP + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput("sdp", str(path), f"a file that can be read ({error.strerror})") from None
    if len(data) > MAX_SDP:
        raise BadInput("sdp", f"more than {MAX_SDP} bytes", f"at most {MAX_SDP}")
    streams: list[RtpParameters] = []
    for section in parse(data.decode(errors="replace")).sections:
        stream = described(section) if "RTP/" in section.protocol else None
        taken = {pt for other in streams for pt in (*other.codecs, *other.rtx, *other.red)}
        if stream is not None and (stream := without(stream, taken)):
            streams.append(replace(stream, feedback=frozenset()))
    return streams


def _names(source: Source, flows: int) -> list[str]:
    """The anchor of each flow: the one named, or the file's stem, numbered if there are several."""
    if source.anchor:
        return [source.anchor] * flows
    stem = re.sub(r"[^A-Za-z0-9_.@-]+", "-", source.path.stem)[:56].lstrip(".") or "anchor"
    return [stem] if flows == 1 else [f"{stem}-{number}" for number in range(1, flows + 1)]


def _one_below(flow: Endpoints) -> Endpoints:
    """The flow whose RTCP this may be: RFC 3550 11 gives RTCP the next higher port."""
    ends = []
    for end in flow:
        address, _, port = end.rpartition(":")
        ends.append(f"{address}:{int(port or 0) - 1}")
    return Endpoints(*ends)


def _nobody(path: Path, unknown: Mapping[int, int]) -> str:
    if not unknown:
        return f"{path.name} holds no RTP"
    seen = ", ".join(f"{number} ({count} packets)" for number, count in sorted(unknown.items())[:8])
    return (
        f"{path.name} holds only payload types without a codec: {seen}; say what they are by "
        f"?audio=111:opus&video=96:vp8 or in {path.stem}.sdp beside it"
    )
