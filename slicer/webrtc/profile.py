"""Profiles: the codecs, feedback, extensions and DTLS roles to use with one kind of peer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    AV1,
    G722,
    H264,
    H265,
    MID,
    OPUS,
    ORIENTATION,
    PCMA,
    PCMU,
    TRANSPORT_WIDE_CC,
    VP8,
    VP9,
    Codec,
    Kind,
)

Setup = Literal["actpass", "active", "passive"]


def h264(profile: str) -> Codec:
    """H.264 of one profile-level-id (RFC 6184 8.1), not interleaved."""
    fmtp = {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": profile}
    return Codec(H264.name, H264.clock_rate, 1, fmtp)


# An answerer takes a profile of H.264 only where it was offered: constrained baseline, main, high.
OFFERED: Mapping[Kind, tuple[Codec, ...]] = {
    Kind.AUDIO: (
        Codec(OPUS.name, OPUS.clock_rate, OPUS.channels, {"minptime": "10", "useinbandfec": "1"}),
        PCMU,
        PCMA,
        G722,
    ),
    Kind.VIDEO: (VP8, h264("42e01f"), h264("4d001f"), h264("640032"), VP9, AV1, H265),
}
FEEDBACK: Mapping[Kind, tuple[str, ...]] = {
    Kind.AUDIO: ("nack", "transport-cc"),
    Kind.VIDEO: ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What our offers say, and what is taken of a peer's. We only ever receive, by one transport.

    *codecs*: the preferred one first in our offers; those of an offerer keep its order.
    *retransmission*: whether RFC 4588 is offered for video. *redundancy*: whether RED (RFC 2198) is
    preferred to the audio codec that it repeats; what a peer offers is taken in any case.
    *feedback*: `a=rtcp-fb` by kind.
    *extensions*: URIs of header extensions. *setup*: in our offers, who may be the DTLS client
    ("active": we are). *reduced_size*: whether RFC 5506 is offered. *sections*: how many of a kind
    are received at once; a kind that is not in it has no such bound. *named_ssrcs*: whether
    `a=ssrc` says whose a packet is, for peers whose packets bring no MID. *max_bitrate*: bit/s of a
    video that the peer is asked to stay below (b=TIAS of RFC 3890, and REMB); 0: it is not asked.
    """

    codecs: Mapping[Kind, tuple[Codec, ...]] = field(default_factory=lambda: OFFERED)
    retransmission: bool = True
    redundancy: bool = False
    feedback: Mapping[Kind, tuple[str, ...]] = field(default_factory=lambda: FEEDBACK)
    extensions: tuple[str, ...] = (MID, TRANSPORT_WIDE_CC, ORIENTATION, AUDIO_LEVEL)
    setup: Setup = "actpass"
    reduced_size: bool = True
    sections: Mapping[Kind, int] = field(default_factory=dict)
    named_ssrcs: bool = False
    max_bitrate: int = 0


DEFAULT = Profile()
