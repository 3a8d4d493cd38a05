"""Descriptions of a peer that sends, in the form of an SFU's: offers, later offers, and answers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from slicer.rtp.parameters import MID, TRANSPORT_WIDE_CC
from slicer.webrtc.sdp import Section, parse

UFRAG = "Gm7s"
TRANSPORT = (
    f"a=ice-ufrag:{UFRAG}",
    "a=ice-pwd:0QqtkDq1yMZ4e2pE1rK/IV",
    "a=fingerprint:sha-256 B4:57:D4:0B",
)
FORMATS = {
    "audio": ("111", "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc"),
    "video": (
        "96 97",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 transport-cc",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
    ),
}


CODECS = ("opus/48000/2", "VP8/90000")


@dataclass(frozen=True)
class Track:
    """One m-line. *direction*: "sendonly", "inactive", or "stopped", which is port 0."""

    kind: str
    mid: str
    direction: str = "sendonly"

    def lines(self, transport: Iterable[str], extensions: Iterable[str]) -> list[str]:
        """As the peer writes it."""
        formats, *explained = FORMATS[self.kind]
        stopped = self.direction == "stopped"
        return [
            f"m={self.kind} {0 if stopped else 9} UDP/TLS/RTP/SAVPF {formats}",
            "c=IN IP4 192.0.2.2",
            "a=inactive" if stopped else f"a={self.direction}",
            f"a=mid:{self.mid}",
            "a=rtcp-mux",
            *transport,
            *explained,
            *extensions,
        ]


def described(
    tracks: Sequence[Track],
    setup: str = "actpass",
    extensions: Sequence[str] = (MID,),
    transport: Sequence[str] = TRANSPORT,
) -> str:
    """An offer of these m-lines, in one bundle."""
    extmap = [f"a=extmap:{4 + i} {uri}" for i, uri in enumerate(extensions)]
    bundled = " ".join(one.mid for one in tracks if one.direction != "stopped")
    lines = ["v=0", "o=- 17958 1 IN IP4 192.0.2.2", "s=room", "t=0 0", f"a=group:BUNDLE {bundled}"]
    ends = [*transport, f"a=setup:{setup}"]
    sections = [line for one in tracks for line in one.lines(ends, extmap)]
    return "\r\n".join([*lines, "a=extmap-allow-mixed", *sections, ""])


def many(anchors: int) -> list[Track]:
    """An audio and a video m-line for each."""
    kinds = ("audio", "video")
    return [Track(kinds[n % 2], str(n)) for n in range(2 * anchors)]


def changed(tracks: Iterable[Track], direction: str, *mids: str) -> list[Track]:
    """The same m-lines, those of these MIDs in another direction."""
    return [replace(one, direction=direction) if one.mid in mids else one for one in tracks]


def answer(
    offer: str,
    setup: str = "active",
    rejected: Collection[str] = (),
    inactive: Collection[str] = (),
    transport: Sequence[str] = TRANSPORT,
    codecs: Collection[str] = CODECS,
) -> str:
    """What a peer answers who takes these codecs of our offer, and sends by every m-line of it."""
    description = parse(offer)
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.2", "s=-", "t=0 0"]
    live = [one.mid for one in description.sections if one.port and one.mid not in rejected]
    lines.append(f"a=group:BUNDLE {' '.join(live)}")
    for section in description.sections:
        silent = section.mid not in live or section.mid in inactive
        lines += _answered(section, section.mid in live, silent, codecs)
        lines += [*transport, f"a=setup:{setup}"]
    return "\r\n".join([*lines, ""])


def _answered(section: Section, live: bool, silent: bool, codecs: Collection[str]) -> list[str]:
    if section.kind == "application":
        head = f"m=application {9 if live else 0} {section.protocol} webrtc-datachannel"
        return [head, f"a=mid:{section.mid}", "a=sctp-port:5000"]
    rtpmaps = section.attributes.by_payload_type("rtpmap")
    taken = [pt for pt in section.formats if rtpmaps.get(pt) in codecs]
    known = [
        value
        for value in section.attributes.all("extmap")
        if value.split()[1] in {MID, TRANSPORT_WIDE_CC}
    ]
    return [
        f"m={section.kind} {9 if live else 0} {section.protocol} {' '.join(taken or ['0'])}",
        f"a=mid:{section.mid}",
        f"a={'inactive' if silent else 'sendonly'}",
        "a=rtcp-mux",
        *(f"a=rtpmap:{pt} {rtpmaps[pt]}" for pt in taken),
        *(f"a=rtcp-fb:{pt} nack pli" for pt in taken if section.kind == "video"),
        *(f"a=extmap:{value}" for value in known),
    ]
