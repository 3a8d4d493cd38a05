"""RTP parameters of one m-line: codecs, retransmission, header extensions, feedback."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The two kinds of media."""

    AUDIO = "audio"
    VIDEO = "video"


class Role(StrEnum):
    """Which of an anchor's tracks of one kind: the main one (microphone, camera) or the auxiliary
    one (a shared screen, and its audio)."""

    MAIN = "main"
    AUX = "aux"


Slot = tuple[Kind, Role]
"""A track's place among those of its anchor, which has one of each kind and role at most."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload format: lower-case *name*, RTP clock in Hz, and what its fmtp line says."""

    name: str
    clock_rate: int
    channels: int = 1
    format: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameter_sets(self) -> str:
        """Those of the fmtp line, in base64, with commas between (RFC 6184 8.1, RFC 7798 7.1)."""
        names = ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps")
        return ",".join(self.format[name] for name in names if name in self.format)


OPUS = Codec("opus", 48_000, 2)
PCMU = Codec("pcmu", 8_000)
PCMA = Codec("pcma", 8_000)
# RFC 3551 4.5.2: the clock is 8000 Hz by an old mistake; the audio is sampled at 16 kHz.
G722 = Codec("g722", 8_000)
VP8 = Codec("vp8", 90_000)
VP9 = Codec("vp9", 90_000)
H264 = Codec("h264", 90_000)
AV1 = Codec("av1", 90_000)
H265 = Codec("h265", 90_000)

STATIC: Mapping[int, Codec] = {0: PCMU, 8: PCMA, 9: G722}
"""The payload types that need no description (RFC 3551 6)."""

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
ORIENTATION = "urn:3gpp:video-orientation"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_WIDE_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


MAX_LAYERS = 8
"""Layers of simulcast in one m-line: with retransmissions, half the SSRCs that a section has."""
MAX_NAMED_SSRCS = 16
"""SSRCs of one m-line that a description may name; what it names beyond is left out."""


@dataclass(frozen=True, slots=True)
class RtpParameters:
    """One m-line as both sides agreed on it.

    *codecs*: payload type → codec; *rtx*: payload type of RFC 4588 → the one it repeats;
    *red*: payload type of RFC 2198 → the one of its blocks;
    *extensions*: RFC 8285 id → URI; *feedback*: what the sender obeys, as in `a=rtcp-fb`
    ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"); *rids*: the layers of simulcast
    that it may be sent in (RFC 8851), in the offer's order; none without simulcast; *ssrcs*: those
    that the sender named (RFC 5576), retransmissions' included, where packets bring no MID;
    *max_bitrate*: bit/s that the sender is asked to stay below; 0: it is not asked; *role*: as
    which of the anchor's tracks of its kind it is cut.
    """

    kind: Kind
    codecs: Mapping[int, Codec]
    rtx: Mapping[int, int] = field(default_factory=dict)
    extensions: Mapping[int, str] = field(default_factory=dict)
    feedback: frozenset[str] = frozenset()
    mid: str = ""
    red: Mapping[int, int] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    max_bitrate: int = 0
    role: Role = Role.MAIN

    @property
    def slot(self) -> Slot:
        """The place of its track."""
        return self.kind, self.role
