"""What a `replay:///file` URL names: the capture, its payload types, its keys."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import SplitResult, parse_qsl, unquote

from slicer.config import refuse_pipe
from slicer.errors import BadInput
from slicer.rooms.replay.keys import MAX_FILE as MAX_KEY_FILE
from slicer.rooms.replay.keys import SUITES, Keys
from slicer.rtp.parameters import STATIC, Codec, Kind, RtpParameters
from slicer.webrtc.negotiation import CODECS, described, without
from slicer.webrtc.sdp import parse

MAX_SDP = 64 * 1024
MAX_SPEED = 1_000.0
_OPTIONS = ("speed", "anchor", "audio", "video", "keys")
_ANCHOR = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Source:
    """A replay URL, parsed. *speed*: capture seconds in a second; infinite: as fast as possible."""

    path: Path
    speed: float = 1.0
    anchor: str = ""
    codecs: Mapping[Kind, Mapping[int, Codec]] = field(default_factory=dict)
    keys: Path | None = None

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read `replay:///file?speed=&anchor=&audio=111:opus&video=96:vp8&keys=/file`.

        Raises BadInput.
        """
        # Names of files need be no UTF-8; Python has what is none in surrogates.
        path = Path(unquote(url.path, errors="surrogateescape"))
        if url.netloc or not path.is_absolute():
            raise BadInput("room", url.geturl(), "replay:///absolute/path")
        pairs = parse_qsl(url.query, keep_blank_values=True, errors="surrogateescape")
        options = dict(pairs)
        if options.keys() - set(_OPTIONS) or len(options) != len(pairs):
            raise BadInput("room", url.query, f"each of {', '.join(_OPTIONS)} at most once")
        anchor = options.get("anchor", "")
        if anchor and not _ANCHOR.fullmatch(anchor):
            raise BadInput("room.anchor", anchor, "a user id: letters, digits, '_', '-', '.', '@'")
        codecs = {kind: _codecs(kind, options[kind]) for kind in Kind if kind in options}
        keys = Path(options["keys"]) if "keys" in options else None
        if keys is not None and not keys.is_absolute():
            raise BadInput("room.keys", options["keys"], "/absolute/path")
        return cls(path, _speed(options.get("speed", "1")), anchor, codecs, keys)

    @property
    def description(self) -> Path:
        """Where a session description beside the capture would be."""
        return self.path.with_suffix(".sdp")

    def streams(self, described: Sequence[RtpParameters] = ()) -> list[RtpParameters]:
        """What payload types mean, by kind: from the URL, or the .sdp beside, or *described* in the
        capture itself, or RFC 3551.

        Nobody will read what a receiver sends, so the streams claim no feedback. Raises BadInput.
        """
        streams = [RtpParameters(kind, codecs) for kind, codecs in self.codecs.items()]
        for found in (_described(self._read_description()), described):
            known = {stream.kind for stream in streams}
            streams += [stream for stream in found if stream.kind not in known]
        if all(stream.kind is not Kind.AUDIO for stream in streams):
            streams.append(RtpParameters(Kind.AUDIO, STATIC))
        return streams

    def cnames(self) -> dict[int, str]:
        """The CNAMEs that the .sdp beside the capture gives to SSRCs (RFC 5576 6.1)."""
        text = self._read_description()
        lines = () if text is None else parse(text).all("ssrc")
        matches = (re.fullmatch(r"(\d{1,10}) cname:(\S+)", line, re.ASCII) for line in lines)
        return {int(match[1]): match[2] for match in matches if match}

    def read_keys(self) -> Keys:
        """Those of the key file, and of the .sdp beside the capture. Raises BadInput."""
        keys = Keys.read(self._read_description() or "", "sdp")
        if self.keys is None:
            return keys
        keys_of_file = Keys.read(_text("keys", self.keys, MAX_KEY_FILE))
        if not keys_of_file:
            suites = f"a=crypto lines (SDES) of {', '.join(SUITES)}"
            allowed = f"{suites}, or a key log with CLIENT_RANDOM or EXPORTER_SECRET"
            raise BadInput("keys", str(self.keys), allowed)
        return keys_of_file | keys

    def _read_description(self) -> str | None:
        """The text of the .sdp beside the capture; None where there is none."""
        return _text("sdp", self.description, MAX_SDP) if self.description.exists() else None

    def open(self) -> BinaryIO:
        """Open the file. Raises BadInput."""
        refuse_pipe("room", self.path)
        try:
            return self.path.open("rb")
        except OSError as error:
            allowed = f"a file that can be read ({error.strerror})"
            raise BadInput("room", str(self.path), allowed) from None


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


def _text(name: str, path: Path, bound: int) -> str:
    """The text of a small file, as the setting *name*. Raises BadInput."""
    refuse_pipe(name, path)
    try:
        with path.open("rb") as file:
            data = file.read(bound + 1)
    except OSError as error:
        raise BadInput(name, str(path), f"a file that can be read ({error.strerror})") from None
    if len(data) > bound:
        raise BadInput(name, f"more than {bound} bytes", f"at most {bound}")
    return data.decode(errors="replace")


def _described(text: str | None) -> list[RtpParameters]:
    """What a session description says, without what nobody will obey."""
    streams: list[RtpParameters] = []
    for section in () if text is None else parse(text).sections:
        stream = described(section) if "RTP/" in section.protocol else None
        taken = {pt for other in streams for pt in (*other.codecs, *other.rtx, *other.red)}
        if stream is not None and (stream := without(stream, taken)):
            streams.append(replace(stream, feedback=frozenset()))
    return streams
