"""How lost audio is to be repaired: what a peer offers for it (RFC 2198), and what we ask for."""

from collections.abc import Mapping
from dataclasses import replace

from slicer.rtp.parameters import OPUS, Codec, Kind, RtpParameters
from slicer.webrtc.profile import Profile
from slicer.webrtc.sdp import Section


def asked_for(stream: RtpParameters, protocol: str, profile: Profile) -> RtpParameters:
    """The stream of an offer, with NACK for Opus although it was not offered.

    RFC 4585 4.2 has an answer choose from the offer. But browsers repeat lost Opus if the answer
    says `nack`, and never offer it; who does not know it ignores it.
    """
    opus = any(codec.name == OPUS.name for codec in stream.codecs.values())
    if not opus or "SAVPF" not in protocol or "nack" not in profile.feedback.get(Kind.AUDIO, ()):
        return stream
    return replace(stream, feedback=stream.feedback | {"nack"})


def red(section: Section, codecs: Mapping[int, Codec]) -> dict[int, int]:
    """Payload types of redundant audio, each with that of its blocks: the first its fmtp names."""
    if section.kind != Kind.AUDIO:
        return {}
    maps = section.attributes.by_payload_type("rtpmap")
    fmtps = section.attributes.by_payload_type("fmtp")
    found = {}
    for pt in section.formats:
        block = fmtps.get(pt, "").partition("/")[0].strip()
        codec = codecs.get(int(block)) if block.isdecimal() and len(block) < 4 else None
        if codec is None or not pt.isdecimal():
            continue
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        if maps.get(pt, "").lower().removesuffix("/1") == f"red/{codec.clock_rate}{channels}":
            found[int(pt)] = int(block)
    return found
