"""Writes our session descriptions: answers in the peer's numbers, offers in ours."""

from collections.abc import Iterable, Sequence

from slicer.rtp.parameters import OPUS, PCMU, Kind, RtpParameters
from slicer.webrtc.negotiation import PAYLOAD_TYPES, RTPMAPS, Agreement, feedback
from slicer.webrtc.parameters import Local
from slicer.webrtc.proposal import PROTOCOL, Line, Proposal
from slicer.webrtc.sdp import Section
from slicer.webrtc.simulcast import answered as simulcast


def write_answer(agreement: Agreement, ours: Local, session: int, version: int = 1) -> str:
    """The answer as SDP text, with all candidates: we do not trickle."""
    lines = [*_head(session, version, agreement.group), *_lite(ours)]
    # RFC 8843 7.3.2: the m-line that is first in the group describes the transport.
    tagged = next(
        (i for i, one in agreement.accepted.items() if one.mid in agreement.group[:1]),
        next(iter(agreement.accepted), None),
    )
    for index, section in enumerate(agreement.sections):
        stream = agreement.accepted.get(index)
        if stream is None:
            lines += _rejected(section)
            continue
        formats = [pt for pt in dict.fromkeys(section.formats) if _agreed(pt, stream)]
        if agreement.profile.redundancy:
            formats.sort(key=lambda pt: int(pt) not in stream.red)
        lines += _media(stream, section.protocol, formats, ours)
        lines += _mid(stream.mid)
        lines.append("a=inactive" if index in agreement.paused else "a=recvonly")
        lines += ["a=rtcp-mux"]
        lines += ["a=rtcp-rsize"] if section.attributes.has("rtcp-rsize") else []
        lines += _transport(ours, agreement.remote.our_setup)
        lines += _extensions(stream)
        lines += _formats(section, formats, stream)
        lines += simulcast(section, stream.rids, (*stream.codecs, *stream.rtx))
        # One m-line is enough by RFC 8843 7.1.3. But aiortc looks at those of the last alone, and a
        # lite agent does not call it.
        lines += _candidates(ours) if index == tagged or ours.lite else []
    return _text(lines)


def write_offer(proposal: Proposal, ours: Local, session: int, version: int = 1) -> str:
    """The offer as SDP text: all m-lines in one BUNDLE group, on one transport."""
    offered = proposal.offered
    before = () if proposal.before is None else proposal.before.group
    live = dict.fromkeys(stream.mid for stream in offered.values() if stream.mid)
    # The m-line that tells the transport goes on telling it (RFC 8843 7.5), if it is still there.
    group = list(dict.fromkeys((*(mid for mid in before if mid in live), *live)))
    lines = _head(session, version, group)
    for line in proposal.lines:
        if line.stream is None:
            lines += [*_stopped(line), *_transport(ours, proposal.profile.setup)]
            continue
        stream = line.stream
        formats = [str(pt) for pt in (*stream.codecs, *stream.rtx, *stream.red)]
        if proposal.profile.redundancy:
            formats.sort(key=lambda pt: int(pt) not in stream.red)
        lines += _media(stream, PROTOCOL, formats, ours)
        lines += _mid(stream.mid)
        lines += ["a=recvonly", "a=rtcp-mux"]
        lines += ["a=rtcp-rsize"] if proposal.profile.reduced_size else []
        lines += _transport(ours, proposal.profile.setup)
        lines += _extensions(stream)
        lines += _own_formats(stream, proposal.profile.feedback.get(stream.kind, ()))
        lines += _candidates(ours) if [stream.mid] == (group or [""])[:1] else []
    return _text(lines)


def write_fragment(agreement: Agreement, ours: Local) -> str:
    """Our end after a restart of ICE, as an SDP fragment (RFC 8840 section 9, RFC 9725 4.3.3)."""
    lines = [*_lite(ours), f"a=group:BUNDLE {' '.join(agreement.group)}"]
    stream = next(iter(agreement.accepted.values()))
    lines += [f"m={stream.kind} 9 UDP/TLS/RTP/SAVPF {next(iter(stream.codecs), 0)}"]
    lines += [*_mid(stream.mid), *_credentials(ours), *_candidates(ours)]
    return _text(lines)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _head(session: int, version: int, group: Sequence[str]) -> list[str]:
    bundle = [f"a=group:BUNDLE {' '.join(group)}"] if group else []
    return ["v=0", f"o=- {session} {version} IN IP4 127.0.0.1", "s=-", "t=0 0", *bundle]


def _lite(ours: Local) -> list[str]:
    return ["a=ice-lite"] if ours.lite else []


def _media(stream: RtpParameters, protocol: str, formats: Sequence[str], ours: Local) -> list[str]:
    version = "IP6" if ":" in ours.address else "IP4"
    return [
        f"m={stream.kind} {ours.port} {protocol} {' '.join(formats)}",
        f"c=IN {version} {ours.address}",
        *([f"b=TIAS:{stream.max_bitrate}"] if stream.max_bitrate else []),
        f"a=rtcp:{ours.port} IN {version} {ours.address}",
    ]


def _transport(ours: Local, setup: str) -> list[str]:
    return [
        *_credentials(ours),
        *(f"a=fingerprint:{algorithm} {value}" for algorithm, value in ours.fingerprints),
        f"a=setup:{setup}",
    ]


def _credentials(ours: Local) -> list[str]:
    return [f"a=ice-ufrag:{ours.ufrag}", f"a=ice-pwd:{ours.pwd}"]


def _mid(mid: str) -> list[str]:
    return [f"a=mid:{mid}"] if mid else []


def _candidates(ours: Local) -> list[str]:
    return [*(f"a=candidate:{candidate}" for candidate in ours.candidates), "a=end-of-candidates"]


def _extensions(stream: RtpParameters) -> list[str]:
    return [f"a=extmap:{number} {uri}" for number, uri in stream.extensions.items()]


def _rejected(section: Section) -> list[str]:
    """Port 0 turns an m-line down, and it keeps its place (RFC 3264 section 6)."""
    media = f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    return [media, "c=IN IP4 0.0.0.0", "a=inactive", *_mid(section.mid)]


def _stopped(line: Line) -> list[str]:
    """A stopped m-line of an offer. aiortc wants one that could live."""
    assert line.section is not None
    parameters = [
        f"a={name}:{value}"
        for name in ("rtpmap", "fmtp")
        for value in line.section.attributes.all(name)
    ]
    return [*_rejected(line.section), "a=rtcp-mux", *parameters]


def _agreed(payload_type: str, stream: RtpParameters) -> bool:
    agreed = {*stream.codecs, *stream.rtx, *stream.red}
    return payload_type in PAYLOAD_TYPES and int(payload_type) in agreed


def _formats(section: Section, formats: Sequence[str], stream: RtpParameters) -> list[str]:
    """What the peer said of these formats, and what we may send of that which it obeys."""
    rtpmaps = RTPMAPS | section.attributes.by_payload_type("rtpmap")
    fmtps = section.attributes.by_payload_type("fmtp")
    obeyed = feedback(section)
    lines = []
    for pt in formats:
        lines.append(f"a=rtpmap:{pt} {rtpmaps[pt]}")
        both = dict.fromkeys((*obeyed.get("*", ()), *obeyed.get(pt, ())))
        if stream.kind is Kind.AUDIO and stream.codecs.get(int(pt), PCMU).name == OPUS.name:
            both["nack"] = None  # also where it was not offered: `negotiate` has the reason
        lines += [f"a=rtcp-fb:{pt} {what}" for what in both if what in stream.feedback]
        # What is `sprop-` in an answer is of media that the answerer sends, and we send none (RFC
        # 6184 8.2.2, RFC 7798 7.2.2); all else of a codec stays as it was offered.
        parts = fmtps.get(pt, "").split(";")
        kept = ";".join(part for part in parts if not part.strip().startswith("sprop-"))
        if kept.strip():
            lines.append(f"a=fmtp:{pt} {kept}")
    return lines


def _own_formats(stream: RtpParameters, order: Sequence[str]) -> list[str]:
    lines = []
    for payload_type, codec in stream.codecs.items():
        name = codec.name if codec.name == OPUS.name else codec.name.upper()
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        lines.append(f"a=rtpmap:{payload_type} {name}/{codec.clock_rate}{channels}")
        lines += [f"a=rtcp-fb:{payload_type} {one}" for one in order if one in stream.feedback]
        if codec.format:
            fmtp = ";".join(f"{key}={value}" for key, value in codec.format.items())
            lines.append(f"a=fmtp:{payload_type} {fmtp}")
    for payload_type, repeated in stream.rtx.items():
        lines.append(f"a=rtpmap:{payload_type} rtx/90000")
        lines.append(f"a=fmtp:{payload_type} apt={repeated}")
    for payload_type, block in stream.red.items():
        codec = stream.codecs[block]
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        lines.append(f"a=rtpmap:{payload_type} red/{codec.clock_rate}{channels}")
        lines.append(f"a=fmtp:{payload_type} {block}/{block}")
    return lines
