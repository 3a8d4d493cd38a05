"""What an `rtp:` URL says: where we listen, for whom, what payload types mean, and the SRTP key.

    rtp:///folder/session.sdp                        all of it from a session description
    rtp://HOST:PORT?audio=111:opus&video=96:h264     audio and video at one port
    …&video_port=5006                                video at a port of its own
    …&rtcp=mux                                       no RTCP at the port above it

Further options, for both: `anchor` (the id of who sends), `source` (the address it sends from, if
any other is to be refused), `suite` and `key` (SDES, RFC 4568; of a file they are in a=crypto).
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote

from slicer.errors import BadInput
from slicer.rooms.options import options
from slicer.rooms.redaction import shown
from slicer.rooms.replay.keys import Keys
from slicer.rooms.whip.address import check_user, listen_host
from slicer.rtp.parameters import Codec, Kind, RtpParameters
from slicer.webrtc.link import SrtpKeys
from slicer.webrtc.negotiation import CODECS, described
from slicer.webrtc.sdp import Section, parse

MAX_SDP = 64 * 1024
ANCHOR = "rtp"
"""The anchor's id where the URL names none."""
SUITE = "AES_CM_128_HMAC_SHA1_80"
_COMMON = frozenset({"anchor", "source", "suite", "key"})
_OPTIONS = _COMMON | {"audio", "video", "video_port", "rtcp"}
# Keyframes are asked for: a sender that does not answer loses nothing by it.
_FEEDBACK = {Kind.AUDIO: frozenset[str](), Kind.VIDEO: frozenset({"nack pli"})}
# Those that libsrtp has here (RFC 5764 4.1.2, RFC 7714 14.2).
_PROFILES = frozenset({1, 7, 8})
_ALLOWED = "rtp:///absolute/file.sdp, or rtp://ADDRESS:PORT?audio=111:opus&video=96:h264"


@dataclass(frozen=True, slots=True)
class Port:
    """One port that media comes to. *rtcp*: the port of its RTCP; None: the same one."""

    number: int
    rtcp: int | None
    sections: tuple[RtpParameters, ...]
    keys: SrtpKeys | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """*host*: our own address; *source*: the sender's, or "" for whoever comes first; *refused*:
    kind and reason of what the description has and we do not take."""

    host: str
    ports: tuple[Port, ...]
    anchor: str = ANCHOR
    source: str = ""
    refused: tuple[tuple[Kind, str], ...] = ()

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read a URL, and the file it names. Raises BadInput."""
        by_file = not url.netloc
        chosen = options(url, _COMMON if by_file else _OPTIONS)
        anchor, source = chosen.get("anchor", ANCHOR), chosen.get("source", "")
        check_user("room: anchor", anchor)
        if source and not (source := listen_host(source)):
            raise BadInput("room: source", chosen["source"], "an IP address")
        session = cls._of_file(url) if by_file else cls._of_options(url, chosen)
        keys = _given_keys(chosen)
        ports = tuple(replace(port, keys=keys or port.keys) for port in session.ports)
        types = [pt for port in ports for one in port.sections for pt in one.codecs]
        if len(types) != len(set(types)):
            raise BadInput("room", f"payload types {types}", "each payload type once")
        return replace(session, ports=ports, anchor=anchor, source=source)

    @classmethod
    def _of_options(cls, url: SplitResult, chosen: Mapping[str, str]) -> Self:
        host = listen_host(url.hostname or "")
        sections = [section_of(kind, chosen[kind]) for kind in Kind if kind in chosen]
        if not host or not url.port or url.path not in {"", "/"} or not sections:
            raise BadInput("room", shown(url.geturl()), _ALLOWED)
        if chosen.get("rtcp", "mux") != "mux":
            raise BadInput("room: rtcp", chosen["rtcp"], "mux, or no such option")
        muxed = "rtcp" in chosen
        by_port: dict[int, tuple[RtpParameters, ...]] = {}
        for section in sections:
            number = url.port
            if section.kind is Kind.VIDEO and "video_port" in chosen:
                number = _port("room: video_port", chosen["video_port"])
            by_port[number] = (*by_port.get(number, ()), section)
        return cls(host, tuple(_place(number, muxed, those) for number, those in by_port.items()))

    @classmethod
    def _of_file(cls, url: SplitResult) -> Self:
        text = _read(Path(unquote(url.path)))
        description = parse(text)
        ports: dict[int, Port] = {}
        refused: list[tuple[Kind, str]] = []
        for section in description.sections:
            if section.kind not in set(Kind) or not section.port:
                continue
            kind, stream = Kind(section.kind), _stream(section)
            if any(one.kind is kind for port in ports.values() for one in port.sections):
                refused.append((kind, f"a second {kind} m-line: the first one is taken"))
            elif stream is None:
                refused.append((kind, "none of its codecs can be taken"))
            else:
                port = _described_port(section, stream)
                before = ports.get(section.port)
                if before is not None and before.keys != port.keys:
                    raise BadInput("sdp", "two keys at one port", "one a=crypto for each port")
                earlier = () if before is None else before.sections
                ports[section.port] = replace(port, sections=(*earlier, *port.sections))
        if not ports:
            reasons = "; ".join(reason for _, reason in refused) or "no m-line of audio or video"
            raise BadInput("sdp", reasons, "audio or video that can be taken", refused)
        return cls(_host(text), tuple(ports.values()), refused=tuple(refused))


def _stream(section: Section) -> RtpParameters | None:
    stream = described(section) if "RTP/" in section.protocol else None
    # Retransmission would be asked for by NACK, of a sender that keeps nothing.
    return None if stream is None else replace(stream, feedback=_FEEDBACK[stream.kind], mid="")


def _described_port(section: Section, stream: RtpParameters) -> Port:
    muxed = section.attributes.has("rtcp-mux")
    port = _place(section.port, muxed, (stream,))
    if not muxed and (rtcp := section.attributes.first("rtcp")):
        port = replace(port, rtcp=_port("sdp: a=rtcp", rtcp.split()[0]))
    crypto = "\n".join(section.attributes.all("crypto"))
    return replace(port, keys=_keys("sdp: a=crypto", crypto) if crypto else None)


def _place(number: int, muxed: bool, sections: tuple[RtpParameters, ...]) -> Port:
    """RFC 3550 11: without anything else said, RTCP is at the next port."""
    return Port(number, None if muxed or number == 65_535 else number + 1, sections)


def section_of(kind: Kind, text: str) -> RtpParameters:
    """Read `111:opus`, or several with commas between."""
    codecs: dict[int, Codec] = {}
    for entry in text.split(","):
        number, _, name = entry.partition(":")
        known = CODECS[kind].get(name.lower())
        if known is None or not re.fullmatch(r"\d{1,3}", number, re.ASCII) or int(number) > 127:
            allowed = f"PAYLOAD-TYPE:CODEC, 0 to 127 and one of {', '.join(CODECS[kind])}"
            raise BadInput(f"room: {kind}", entry, allowed)
        codecs[int(number)] = known
    return RtpParameters(kind, codecs, feedback=_FEEDBACK[kind])


def _given_keys(chosen: Mapping[str, str]) -> SrtpKeys | None:
    if "key" not in chosen:
        return None
    # In a query a plus stands for a space, and base64 has it.
    key = chosen["key"].replace(" ", "+")
    return _keys("room: key", f"{chosen.get('suite', SUITE)} inline:{key}")


def _keys(name: str, text: str) -> SrtpKeys:
    """The first key of SDES lines that we can use. What we send is protected by it, too: nobody
    gets an answer in which ours could be. Raises BadInput that never shows one."""
    found = [key for key in Keys.read(text, name).srtp if key.profile in _PROFILES]
    if not found:
        allowed = f"{SUITE}, AEAD_AES_128_GCM or AEAD_AES_256_GCM, and inline: with its key"
        raise BadInput(name, "no such key", allowed)
    return SrtpKeys(found[0].profile, found[0].material, found[0].material)


def _port(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 0 < int(text) < 65_536:
        raise BadInput(name, text, "a port, 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    """The address of the first c-line, which is ours: that of the receiver (RFC 8866 5.7)."""
    match = re.search(r"^c=IN IP[46] ([^/\s]+)", text, re.MULTILINE)
    try:
        return str(ipaddress.ip_address(match[1] if match else ""))
    except ValueError:
        allowed = "c=IN IP4 or IP6 with an address of this host"
        raise BadInput("sdp", match[0] if match else "no c= line", allowed) from None


def _read(path: Path) -> str:
    if not path.is_absolute() or path.suffix != ".sdp":
        raise BadInput("room", str(path), _ALLOWED)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SDP + 1)
    except OSError as error:
        raise BadInput("room", str(path), f"a file that can be read ({error.strerror})") from None
    if len(data) > MAX_SDP:
        raise BadInput("sdp", f"more than {MAX_SDP} bytes", f"at most {MAX_SDP}")
    return data.decode(errors="replace")
