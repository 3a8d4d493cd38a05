"""Reads from a session description (RFC 8866) what a receiver of its RTP must know; writes none."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from slicer.errors import BadInput
from slicer.rtp.parameters import G722, PCMA, PCMU, Codec, Kind, RtpParameters

FIELD = "sdp"
MAX_MEDIA = 64
# RFC 3551 6: payload types that need no rtpmap.
STATIC = {0: PCMU, 8: PCMA, 9: G722}


@dataclass(slots=True)
class _Media:
    """One m-line while its attributes are read."""

    kind: Kind
    payload_types: list[int]
    codecs: dict[int, Codec] = field(default_factory=dict)
    formats: dict[int, dict[str, str]] = field(default_factory=dict)
    extensions: dict[int, str] = field(default_factory=dict)
    feedback: set[str] = field(default_factory=set)
    mid: str = ""

    def read(self, attribute: str) -> None:
        """Take one `a=` line, without the `a=`. Raises ValueError."""
        name, _, value = attribute.partition(":")
        first, _, rest = value.partition(" ")
        if name == "rtpmap":
            self.codecs[_number(first, 127)] = _codec(rest)
        elif name == "fmtp":
            self.formats[_number(first, 127)] = dict(_parameters(rest))
        elif name == "extmap":
            self.extensions[_number(first.partition("/")[0], 255)] = rest.split()[0]
        elif name == "rtcp-fb":
            self.feedback.add(rest.strip())
        elif name == "mid":
            self.mid = value.strip()

    def parameters(self) -> RtpParameters:
        codecs: dict[int, Codec] = {}
        rtx: dict[int, int] = {}
        for payload_type in self.payload_types:
            codec = self.codecs.get(payload_type, STATIC.get(payload_type))
            formats = self.formats.get(payload_type, {})
            if codec is None:
                raise ValueError(f"payload type {payload_type} has no a=rtpmap")
            if codec.name == "rtx":
                rtx[payload_type] = _number(formats.get("apt", ""), 127)
            else:
                codecs[payload_type] = Codec(codec.name, codec.clock_rate, codec.channels, formats)
        extensions, feedback = self.extensions, frozenset(self.feedback)
        return RtpParameters(self.kind, codecs, rtx, extensions, feedback, self.mid)


def parse_sdp(text: str) -> list[RtpParameters]:
    """The audio and video m-lines of a description, in order; other media are passed over.

    Raises BadInput with the number of the line that cannot be read.
    """
    media: list[_Media] = []
    current: _Media | None = None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("m="):
                current = _media(line[2:])
                media += [current] if current else []
            elif line.startswith("a=") and current:
                current.read(line[2:])
        except (ValueError, IndexError) as error:
            raise BadInput(f"{FIELD} line {number}", line, f"SDP of RFC 8866 ({error})") from None
    if not 0 < len(media) <= MAX_MEDIA:
        allowed = f"1 to {MAX_MEDIA} m=audio or m=video lines"
        raise BadInput(FIELD, f"{len(media)} of them", allowed)
    try:
        return [one.parameters() for one in media]
    except ValueError as error:
        raise BadInput(FIELD, str(error), "an rtpmap for every payload type") from None


def _media(line: str) -> _Media | None:
    kind, _port, protocol, *payload_types = line.split()
    if kind not in ("audio", "video"):
        return None
    if "RTP/" not in protocol:
        raise ValueError(f"{protocol} is not RTP")
    return _Media(Kind(kind), [_number(text, 127) for text in payload_types])


def _codec(text: str) -> Codec:
    name, clock_rate, *channels = text.strip().split("/")
    rate = _number(clock_rate, 1_000_000)
    if not name or not rate:
        raise ValueError("rtpmap without a name or a clock")
    return Codec(name.lower(), rate, _number(channels[0], 255) if channels else 1)


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        if key:
            yield key.lower(), value


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > most:
        raise ValueError(f"{text[:20]!r} is not a number up to {most}")
    return int(text)
