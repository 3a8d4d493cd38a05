"""Offer in, answer out (RFC 3264, RFC 9429): which streams we receive, and how; knows no socket."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slicer.errors import BadInput
from slicer.rtp.codecs import refusal
from slicer.rtp.parameters import (
    AV1,
    G722,
    H264,
    H265,
    MID,
    OPUS,
    PCMA,
    PCMU,
    TRANSPORT_WIDE_CC,
    VP8,
    VP9,
    Codec,
    Kind,
    RtpParameters,
)
from slicer.webrtc.sdp import Attributes, Description, Section, first

CODECS = {
    Kind.AUDIO: {codec.name: codec for codec in (OPUS, PCMU, PCMA, G722)},
    Kind.VIDEO: {codec.name: codec for codec in (VP8, H264, VP9, AV1, H265)},
}
STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})
EXTENSIONS = frozenset({MID, TRANSPORT_WIDE_CC})
FINGERPRINTS = frozenset({"sha-256", "sha-384", "sha-512"})
# RFC 5761 section 4: 64 to 95 would be taken for RTCP on a shared port.
_PAYLOAD_TYPES = frozenset(str(number) for number in (*range(64), *range(96, 128)))
# The extension ids that fit a one-byte header (RFC 8285 section 4.2).
_EXTENSION = re.compile(r"([1-9]|1[0-4])(?:/(\w+))? (\S+).*")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_OUR_SETUP = {"actpass": "passive", "active": "passive", "passive": "active"}


@dataclass(frozen=True, slots=True)
class Peer:
    """How the offerer's transport is reached and known. *setup* is ours: "active" or "passive"."""

    ufrag: str
    pwd: str
    lite: bool
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ours:
    """What the answer tells of our transport: *candidates* as in `a=candidate`, best one first."""

    ufrag: str
    pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    address: str
    port: int
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The sections of the offer, and by index the streams that are received."""

    sections: tuple[Section, ...]
    streams: dict[int, RtpParameters]
    peer: Peer
    bundle: bool


def negotiate(offer: Description) -> Agreement:
    """Choose at most one audio and one video of an offer. Raises BadInput for `sdp`."""
    group = _bundle(offer)
    streams: dict[int, RtpParameters] = {}
    for index, section in enumerate(offer.sections):
        if any(section.kind == taken.kind for taken in streams.values()):
            continue
        if streams and section.first("mid") not in group:
            continue
        if parameters := _receivable(section, streams.values()):
            streams[index] = parameters
    if not streams:
        raise BadInput(
            "sdp",
            [reason for section in offer.sections for reason in _refusals(section)]
            or [section.kind for section in offer.sections],
            "an m-line that sends opus, pcmu, pcma, g722, vp8, h264, vp9, av1 or h265",
        )
    chosen = [offer.sections[index] for index in streams]
    for section in chosen:
        if not section.has("rtcp-mux"):
            raise BadInput("sdp", f"m={section.kind} without a=rtcp-mux", "rtcp-mux (RFC 5761)")
    tagged = [section for section in offer.sections if section.first("mid") in group[:1]]
    peer = _peer(offer.attributes, [chosen[0], *tagged, *chosen[1:]])
    return Agreement(offer.sections, streams, peer, chosen[0].first("mid") in group)


def _bundle(offer: Description) -> list[str | None]:
    for name, value in offer.attributes:
        semantics, *mids = value.split() or [""]
        if name == "group" and semantics == "BUNDLE":
            return list(mids)
    return []


def _receivable(section: Section, taken: Iterable[RtpParameters]) -> RtpParameters | None:
    """What can be received of a section, or None: not media, not sent, no codec of ours."""
    if section.kind not in CODECS or "RTP/SAVP" not in section.protocol:
        return None
    if section.has("recvonly") or section.has("inactive"):
        return None
    if section.port == 0 and not section.has("bundle-only"):
        return None
    return described(section, taken)


def described(section: Section, taken: Iterable[RtpParameters] = ()) -> RtpParameters | None:
    """What a section says of its RTP, whatever carries it; None where no codec of ours is in it.

    Payload types of the streams in *taken* are left out.
    """
    if section.kind not in CODECS:
        return None
    used = {pt for stream in taken for pt in (*stream.codecs, *stream.rtx)}
    codecs, rtx = _codecs(section, used)
    if not codecs:
        return None
    return RtpParameters(
        Kind(section.kind),
        codecs,
        rtx,
        _extensions(section),
        frozenset(what for pt in codecs for what in _feedback(section, pt)),
        section.first("mid") or "",
    )


def _codecs(section: Section, used: set[int]) -> tuple[dict[int, Codec], dict[int, int]]:
    """Payload types of ours in the offerer's order, and those that retransmit them."""
    maps = STATIC | _by_payload_type(section, "rtpmap")
    formats = {pt: _format(text) for pt, text in _by_payload_type(section, "fmtp").items()}
    codecs: dict[int, Codec] = {}
    usable = [pt for pt in section.formats if pt in _PAYLOAD_TYPES and int(pt) not in used]
    for pt in usable:
        codec = _codec(Kind(section.kind), maps.get(pt, ""), formats.get(pt, {}))
        if codec and not refusal(codec):
            codecs[int(pt)] = codec
    rtx = {}
    for pt in usable:
        repeated = formats.get(pt, {}).get("apt", "")
        if maps.get(pt, "").lower() == "rtx/90000" and repeated in map(str, codecs):
            rtx[int(pt)] = int(repeated)
    return codecs, rtx


def _codec(kind: Kind, rtpmap: str, parameters: dict[str, str]) -> Codec | None:
    name, _, rest = rtpmap.strip().partition("/")
    known = CODECS[kind].get(name.lower())
    if known is None:
        return None
    channels = f"/{known.channels}" if known.channels > 1 else ""
    if rest.removesuffix("/1") != f"{known.clock_rate}{channels}":
        return None
    return Codec(known.name, known.clock_rate, known.channels, parameters)


def _refusals(section: Section) -> list[str]:
    """Codecs of ours in a form that we cannot read, for example "h265 with tx-mode=MRST"."""
    if section.kind not in CODECS:
        return []
    maps = STATIC | _by_payload_type(section, "rtpmap")
    formats = {pt: _format(text) for pt, text in _by_payload_type(section, "fmtp").items()}
    known = (
        _codec(Kind(section.kind), maps.get(pt, ""), formats.get(pt, {})) for pt in section.formats
    )
    return [f"{codec.name} with {why}" for codec in known if codec and (why := refusal(codec))]


def _by_payload_type(section: Section, name: str) -> dict[str, str]:
    pairs = (value.partition(" ") for value in section.all(name))
    return {pt: text for pt, _, text in pairs}


def _format(text: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {key.lower(): value for key, _, value in pairs if key}


def _extensions(section: Section) -> dict[int, str]:
    found = {}
    for value in section.all("extmap"):
        match = _EXTENSION.fullmatch(value)
        if match and match[3] in EXTENSIONS and match[2] in {None, "sendrecv", "sendonly"}:
            found[int(match[1])] = match[3]
    return found


def _feedback(section: Section, payload_type: int) -> list[str]:
    """What the offerer obeys for this payload type, of that which we may send."""
    found = []
    for value in section.all("rtcp-fb"):
        pt, _, what = value.strip().partition(" ")
        if pt in {"*", str(payload_type)} and what in FEEDBACK and what not in found:
            found.append(what)
    return found


def _peer(session: Attributes, sections: Sequence[Section]) -> Peer:
    """The transport of a bundle: told by a chosen section, by the tagged one, or for all."""
    places = [section.attributes for section in sections] + [session]

    def value(name: str) -> str:
        return next((found for place in places if (found := first(place, name)) is not None), "")

    ufrag, pwd = value("ice-ufrag"), value("ice-pwd")
    if not _UFRAG.fullmatch(ufrag) or not _PWD.fullmatch(pwd):
        raise BadInput("sdp", f"a=ice-ufrag:{ufrag}", "a=ice-ufrag and a=ice-pwd (RFC 8839)")
    setup = value("setup") or "active"
    if setup not in _OUR_SETUP:
        raise BadInput("sdp", f"a=setup:{setup}", "actpass, active or passive (RFC 5763)")
    known = (_fingerprints(place) for place in places)
    fingerprints = next(filter(None, known), ())
    if not fingerprints:
        raise BadInput("sdp", "no such a=fingerprint", ", ".join(sorted(FINGERPRINTS)))
    lite = first(session, "ice-lite") is not None
    candidates = tuple(
        # The other sections' candidates are for those who do not bundle.
        dict.fromkeys(value for place in places[:2] for name, value in place if name == "candidate")
    )
    return Peer(ufrag, pwd, lite, fingerprints, _OUR_SETUP[setup], candidates)


def _fingerprints(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    pairs = (value.split() for name, value in attributes if name == "fingerprint")
    return tuple(
        (pair[0].lower(), pair[1])
        for pair in pairs
        if len(pair) == 2 and pair[0].lower() in FINGERPRINTS
    )


def write_answer(agreement: Agreement, ours: Ours, session_id: int) -> str:
    """The answer as SDP text, with all candidates, since there is no trickling on our side."""
    mids = [stream.mid for stream in agreement.streams.values()]
    lines = ["v=0", f"o=- {session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if agreement.bundle:
        lines.append(f"a=group:BUNDLE {' '.join(mids)}")
    for index, section in enumerate(agreement.sections):
        if index not in agreement.streams:
            lines += _rejected(section)
            continue
        lines += _accepted(section, agreement.streams[index], agreement.peer.setup, ours)
        if index == min(agreement.streams):
            lines += [f"a=candidate:{candidate}" for candidate in ours.candidates]
            lines.append("a=end-of-candidates")
    return "".join(f"{line}\r\n" for line in lines)


def _mid(section: Section) -> list[str]:
    mid = section.first("mid")
    return [] if mid is None else [f"a=mid:{mid}"]


def _rejected(section: Section) -> list[str]:
    """Port 0 turns an m-line down, and it keeps its place (RFC 3264 section 6)."""
    formats = " ".join(section.formats)
    media = f"m={section.kind} 0 {section.protocol} {formats}"
    return [media, "c=IN IP4 0.0.0.0", "a=inactive", *_mid(section)]


def _accepted(section: Section, stream: RtpParameters, setup: str, ours: Ours) -> list[str]:
    formats = [pt for pt in section.formats if pt in map(str, (*stream.codecs, *stream.rtx))]
    version = "IP6" if ":" in ours.address else "IP4"
    lines = [
        f"m={section.kind} {ours.port} {section.protocol} {' '.join(formats)}",
        f"c=IN {version} {ours.address}",
        f"a=rtcp:{ours.port} IN {version} {ours.address}",
        *_mid(section),
        "a=recvonly",
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if section.has("rtcp-rsize") else []),
        f"a=ice-ufrag:{ours.ufrag}",
        f"a=ice-pwd:{ours.pwd}",
        *(f"a=fingerprint:{algorithm} {value}" for algorithm, value in ours.fingerprints),
        f"a=setup:{setup}",
        *(f"a=extmap:{number} {uri}" for number, uri in stream.extensions.items()),
    ]
    rtpmaps = STATIC | _by_payload_type(section, "rtpmap")
    formats_said = _by_payload_type(section, "fmtp")
    for pt in formats:
        lines.append(f"a=rtpmap:{pt} {rtpmaps[pt]}")
        lines += [f"a=rtcp-fb:{pt} {what}" for what in _feedback(section, int(pt))]
        # What is `sprop-` in an answer is of media that the answerer sends, and we send none (RFC
        # 6184 8.2.2, RFC 7798 7.2.2); all else of a codec stays as it was offered.
        parts = formats_said.get(pt, "").split(";")
        kept = ";".join(part for part in parts if not part.strip().startswith("sprop-"))
        if kept.strip():
            lines.append(f"a=fmtp:{pt} {kept}")
    return lines
