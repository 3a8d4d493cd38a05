"""Offer and answer (RFC 3264, RFC 9429): the streams that both ends agree on.

An `Agreement` holds every m-line of the session. A later offer of the peer is read against it:
m-lines keep their places, a new one may take the place of a stopped one (RFC 9429 5.2.2), and the
transport stays as it is. Our own offers are in `proposal.py`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from slicer.errors import BadInput, counted
from slicer.rtp.codecs import refusal
from slicer.rtp.parameters import (
    MAX_NAMED_SSRCS,
    MID,
    REPAIRED_RID,
    RID,
    STATIC,
    Codec,
    Kind,
    Role,
    RtpParameters,
)
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.webrtc import repair
from slicer.webrtc.parameters import Remote, remote, unchanged
from slicer.webrtc.profile import DEFAULT, FEEDBACK, OFFERED, Profile
from slicer.webrtc.sdp import Description, Section
from slicer.webrtc.simulcast import layers

CODECS = {
    kind: {codec.name: replace(codec, format={}) for codec in codecs}
    for kind, codecs in OFFERED.items()
}
"""What is taken of an offer: all that we offer ourselves, in any form that can be read."""
RTPMAPS = {str(pt): f"{codec.name.upper()}/{codec.clock_rate}" for pt, codec in STATIC.items()}
"""The a=rtpmap of static payload types, which a description may leave out."""
OFFERED_SETUPS = ("actpass", "active", "passive")
ANSWERED_SETUPS = ("active", "passive")
MAX_NAMED = 8
"""Codecs that a refusal names."""
# The bytes of a MID in a one-byte header extension (RFC 8285 4.2).
MAX_MID = 16
_KNOWN_FEEDBACK = frozenset(what for of in FEEDBACK.values() for what in of)
# RFC 5761 section 4: 64 to 95 would be taken for RTCP on a shared port.
PAYLOAD_TYPES = frozenset(str(number) for number in (*range(64), *range(96, 128)))
# The extension ids that fit a one-byte header (RFC 8285 section 4.2).
_EXTENSION = re.compile(r"([1-9]|1[0-4])(?:/(\w+))?\s+(\S+).*")


@dataclass(frozen=True, slots=True)
class Refused:
    """An m-line by which the peer would send and that we do not receive. *kind*: of its m-line."""

    mid: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The m-lines of the session as the peer described them, and which of them we receive.

    *accepted*: by index, those with a transport; *paused*: those of them that the peer does not
    send now. *group*: the MIDs of the BUNDLE group, the tagged one (which describes the transport)
    first; empty where a single m-line has no group. *next_mid*: no MID of this session was ever
    this number or a greater one.
    """

    sections: tuple[Section, ...]
    accepted: Mapping[int, RtpParameters]
    paused: frozenset[int]
    refused: tuple[Refused, ...]
    group: tuple[str, ...]
    remote: Remote
    next_mid: int
    profile: Profile = DEFAULT

    @property
    def streams(self) -> tuple[RtpParameters, ...]:
        """What the peer sends, in the order of its m-lines."""
        found = (index for index in self.accepted if index not in self.paused)
        return tuple(self.accepted[index] for index in found)


def negotiate(
    offer: Description, profile: Profile = DEFAULT, before: Agreement | None = None
) -> Agreement:
    """Choose what to receive of an offer, the first or a later one. Raises BadInput for `sdp`,
    and for `media` where nothing of the first offer can be taken.
    """
    _check_places(offer, before)
    group = bundle_group(offer)
    choice = _Choice(profile, frozenset(group))
    for index, section in enumerate(offer.sections):
        choice.look(index, section)
    if before is None and choice.paused >= choice.accepted.keys():
        raise _nothing_receivable(offer, choice.refused)
    end = _remote(offer, choice.accepted, group, OFFERED_SETUPS, before)
    mids = {stream.mid for stream in choice.accepted.values()}
    return Agreement(
        offer.sections,
        choice.accepted,
        frozenset(choice.paused),
        tuple(choice.refused),
        tuple(mid for mid in group if mid in mids),
        end,
        _next_mid((section.mid for section in offer.sections), before),
        profile,
    )


def _nothing_receivable(offer: Description, refused: Sequence[Refused]) -> BadInput:
    got = [f"{one.kind}: {one.reason}" for one in refused]
    got = got or [f"{section.kind} that is not sent" for section in offer.sections]
    codecs = "opus, pcmu, pcma, g722, vp8, h264, vp9, av1 or h265"
    pairs = [(one.kind, one.reason) for one in refused]
    return BadInput("media", got, f"an m-line that sends {codecs}", pairs)


def conclude(
    answer: Description,
    offered: Mapping[int, RtpParameters],
    places: int,
    profile: Profile = DEFAULT,
    before: Agreement | None = None,
) -> Agreement:
    """The agreement by an answer to our offer: *offered* by index, of *places* m-lines.

    Only payload types and header extensions that we offered count. Raises BadInput.
    """
    if len(answer.sections) != places:
        raise BadInput("sdp", counted(len(answer.sections), "m-line"), f"{places}, as in our offer")
    group = bundle_group(answer)
    accepted, paused = {}, set()
    for index, ours in offered.items():
        section = answer.sections[index]
        if section.port == 0:
            continue
        if section.kind != ours.kind or section.mid not in {ours.mid, ""}:
            raise BadInput("sdp", f"m={section.kind}, a=mid:{section.mid}", _place(index, ours))
        if len(offered) > 1 and ours.mid not in group:
            raise BadInput("sdp", f"a=mid:{ours.mid} outside a=group:BUNDLE", "all in one group")
        _check_mux(section)
        if stream := _narrowed(described(section, profile), ours):
            accepted[index] = stream
            if not _sends(section):
                paused.add(index)
    if before is None and not accepted:
        got = [section.kind for section in answer.sections]
        raise BadInput("sdp", got, "an m-line that takes one of the codecs in our offer")
    end = _remote(answer, accepted, group, ANSWERED_SETUPS, before)
    mids = {stream.mid for stream in accepted.values()}
    return Agreement(
        answer.sections,
        accepted,
        frozenset(paused),
        (),
        tuple(mid for mid in group if mid in mids),
        end,
        _next_mid((stream.mid for stream in offered.values()), before),
        profile,
    )


def _narrowed(theirs: RtpParameters | None, ours: RtpParameters) -> RtpParameters | None:
    """What both have; our MID, which the answer may leave out."""
    if theirs is None:
        return None
    codecs = {pt: codec for pt, codec in theirs.codecs.items() if pt in ours.codecs}
    if not codecs:
        return None
    rtx = {pt: of for pt, of in theirs.rtx.items() if pt in ours.rtx and of in codecs}
    red = {pt: of for pt, of in theirs.red.items() if pt in ours.red and of in codecs}
    known = theirs.extensions.items() & ours.extensions.items()
    return RtpParameters(
        ours.kind,
        codecs,
        rtx,
        dict(known),
        theirs.feedback & ours.feedback,
        ours.mid,
        red,
        ssrcs=theirs.ssrcs,
        max_bitrate=ours.max_bitrate,
    )


def _place(index: int, ours: RtpParameters) -> str:
    return f"m={ours.kind} with a=mid:{ours.mid} in place {index}"


def _check_places(offer: Description, before: Agreement | None) -> None:
    """A later offer has every m-line in its place; only a stopped one may have become another."""
    if before is None:
        return
    if len(offer.sections) < len(before.sections):
        allowed = f"the session's {len(before.sections)} or more (RFC 3264 8)"
        raise BadInput("sdp", counted(len(offer.sections), "m-line"), allowed)
    for index, stream in before.accepted.items():
        section = offer.sections[index]
        # One that stops now may leave out all its attributes, the MID too (RFC 3264 8.2).
        if section.port == 0 and section.kind == stream.kind and not section.mid:
            continue
        if (section.kind, section.mid) != (stream.kind, stream.mid):
            got = f"m={section.kind}, a=mid:{section.mid}"
            raise BadInput("sdp", got, f"{_place(index, stream)}: it was not stopped before")


def _next_mid(mids: Iterable[str], before: Agreement | None) -> int:
    """A MID is never used again (RFC 9429 5.2.1), so ours count on from the greatest number."""
    numbers = (int(mid) for mid in mids if mid.isdecimal() and len(mid) < MAX_MID)
    return max((0 if before is None else before.next_mid, *(number + 1 for number in numbers)))


@dataclass(slots=True)
class _Choice:
    """Takes the m-lines of an offer one by one."""

    profile: Profile
    group: frozenset[str]
    accepted: dict[int, RtpParameters] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    _sending: Counter[Kind] = field(default_factory=Counter)
    _mids: set[str] = field(default_factory=set)
    _unbundled: bool = False
    # Payload types by whether each section that has them can be told otherwise (RFC 8843 9.2).
    _payload_types: dict[int, bool] = field(default_factory=dict)

    def look(self, index: int, section: Section) -> None:
        """Accept an m-line or not, and say why not where the peer would send by it."""
        if section.port == 0 and not section.attributes.has("bundle-only"):
            return
        sends = _sends(section)
        found = self._receivable(section, sends)
        if isinstance(found, str):
            if sends:
                self.refused.append(Refused(section.mid, section.kind, found))
            return
        self.accepted[index] = found
        self._mids.add(found.mid)
        self._unbundled = found.mid not in self.group
        by_mid = self._is_named(found)
        for payload_type in (*found.codecs, *found.rtx, *found.red):
            self._payload_types[payload_type] = by_mid
        if sends:
            self._sending[found.kind] += 1
        else:
            self.paused.add(index)

    def _receivable(self, section: Section, sends: bool) -> RtpParameters | str:
        """What can be received of a section, or why nothing can."""
        if obstacle := self._obstacle(section, sends):
            return obstacle
        stream = described(section, self.profile)
        if stream is None:
            return "; ".join(_unreadable(section)) or f"no codec of ours: {_codec_names(section)}"
        stream = repair.asked_for(stream, section.protocol, self.profile)
        told_apart = self._told_apart(stream)
        if told_apart is None:
            return "its payload types are another m-line's, and no MID tells them apart"
        if sends:
            _check_mux(section)
        return told_apart if section.attributes.has("rtcp-mux") else "no a=rtcp-mux"

    def _obstacle(self, section: Section, sends: bool) -> str:
        """Why an m-line is not for us, whatever its codecs; empty where it may be."""
        if section.kind not in CODECS:
            return "neither audio nor video"
        if "RTP/SAVP" not in section.protocol:
            return f"{section.protocol} is not RTP over DTLS"
        if full := self._full(section, sends):
            return full
        if self.accepted and (self._unbundled or section.mid not in self.group):
            return "outside the BUNDLE group"
        if section.mid in self._mids:
            return f"a=mid:{section.mid} is another m-line's"
        return ""

    def _full(self, section: Section, sends: bool) -> str:
        """Which bound is reached; empty where there is room."""
        bound = self.profile.sections.get(Kind(section.kind))
        if sends and bound is not None and self._sending[Kind(section.kind)] >= bound:
            return f"a connection receives {counted(bound, f'{section.kind} m-line')} at most"
        if len(self.accepted) >= MAX_SECTIONS:
            return f"at most {MAX_SECTIONS} m-lines of a connection are received"
        return ""

    def _is_named(self, stream: RtpParameters) -> bool:
        """Whether its packets can be told by their MID, or by an SSRC that the offer names."""
        return MID in stream.extensions.values() or self.profile.named_ssrcs

    def _told_apart(self, stream: RtpParameters) -> RtpParameters | None:
        """The stream without payload types that could be taken for another m-line's."""
        by_mid = self._is_named(stream)
        taken = {pt for pt, known in self._payload_types.items() if not (known and by_mid)}
        return without(stream, taken)


def _sends(section: Section) -> bool:
    """Whether the peer would send by it; without a direction it would (RFC 8866 6.7)."""
    return not (section.attributes.has("recvonly") or section.attributes.has("inactive"))


def _check_mux(section: Section) -> None:
    if not section.attributes.has("rtcp-mux"):
        raise BadInput("sdp", f"m={section.kind} without a=rtcp-mux", "rtcp-mux (RFC 5761)")


def bundle_group(description: Description) -> tuple[str, ...]:
    """The MIDs of the first BUNDLE group (RFC 8843), the suggested tag first."""
    for value in description.attributes.all("group"):
        semantics, *mids = value.split() or [""]
        if semantics == "BUNDLE":
            return tuple(dict.fromkeys(mids))
    return ()


def described(section: Section, profile: Profile = DEFAULT) -> RtpParameters | None:
    """A section's RTP parameters, whatever its transport; None where it has no codec of ours."""
    if section.kind not in CODECS:
        return None
    kind = Kind(section.kind)
    codecs, rtx = _codecs(section)
    if not codecs:
        return None
    offered = feedback(section)
    extensions = _extensions(section, (*profile.extensions, RID, REPAIRED_RID))
    rids = layers(section, codecs) if RID in extensions.values() else ()
    return RtpParameters(
        kind,
        codecs,
        rtx,
        {id: uri for id, uri in extensions.items() if rids or uri in profile.extensions},
        frozenset(
            what
            for payload_type in map(str, codecs)
            for place in ("*", payload_type)
            for what in offered.get(place, ())
            if what in profile.feedback.get(kind, ())
        ),
        section.mid,
        {pt: of for pt, of in repair.red(section, codecs).items() if str(pt) in PAYLOAD_TYPES},
        rids,
        _named_ssrcs(section) if profile.named_ssrcs else (),
        profile.max_bitrate if kind is Kind.VIDEO else 0,
        _role(section),
    )


def _role(section: Section) -> Role:
    """Auxiliary where its sender says that it has slides (RFC 4796)."""
    content = section.attributes.first("content") or ""
    return Role.AUX if "slides" in content.split(",") else Role.MAIN


def _named_ssrcs(section: Section) -> tuple[int, ...]:
    """Those of its `a=ssrc` lines (RFC 5576), each once."""
    words = (value.partition(" ")[0] for value in section.attributes.all("ssrc"))
    numbers = (int(word) for word in words if word.isdecimal() and len(word) <= 10)
    return tuple(islice(dict.fromkeys(n for n in numbers if n < 2**32), MAX_NAMED_SSRCS))


def without(stream: RtpParameters, payload_types: Collection[int]) -> RtpParameters | None:
    """The stream less these payload types; None where no codec is left of it."""
    codecs = {pt: codec for pt, codec in stream.codecs.items() if pt not in payload_types}
    rtx = {pt: of for pt, of in stream.rtx.items() if pt not in payload_types and of in codecs}
    red = {pt: of for pt, of in stream.red.items() if pt not in payload_types and of in codecs}
    return replace(stream, codecs=codecs, rtx=rtx, red=red) if codecs else None


def _codecs(section: Section) -> tuple[dict[int, Codec], dict[int, int]]:
    """Payload types of ours in the offerer's order, and those that retransmit them."""
    maps = RTPMAPS | section.attributes.by_payload_type("rtpmap")
    fmtps = section.attributes.by_payload_type("fmtp")
    usable = [pt for pt in dict.fromkeys(section.formats) if pt in PAYLOAD_TYPES]
    formats = {pt: _format(fmtps.get(pt, "")) for pt in usable}
    codecs: dict[int, Codec] = {}
    for pt in usable:
        codec = _codec(Kind(section.kind), maps.get(pt, ""), formats[pt])
        if codec and not refusal(codec):
            codecs[int(pt)] = codec
    rtx = {}
    for pt in usable:
        repeated = formats[pt].get("apt", "")
        is_rtx = maps.get(pt, "").lower() == "rtx/90000" and repeated in PAYLOAD_TYPES
        if is_rtx and int(repeated) in codecs:
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


def _unreadable(section: Section) -> list[str]:
    """Codecs of ours in a form that we cannot read, for example "h265 with tx-mode=MRST"."""
    if section.kind not in CODECS:
        return []
    maps = RTPMAPS | section.attributes.by_payload_type("rtpmap")
    fmtps = section.attributes.by_payload_type("fmtp")
    known = (
        _codec(Kind(section.kind), maps.get(pt, ""), _format(fmtps.get(pt, "")))
        for pt in section.formats
    )
    return [f"{codec.name} with {why}" for codec in known if codec and (why := refusal(codec))]


def _codec_names(section: Section) -> str:
    """What its formats are, in the peer's words: the first few of them."""
    maps = RTPMAPS | section.attributes.by_payload_type("rtpmap")
    names = dict.fromkeys(maps.get(pt, f"payload type {pt}")[:40] for pt in section.formats)
    return ", ".join([*islice(names, MAX_NAMED), *(["…"] if len(names) > MAX_NAMED else [])])


def _format(text: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {key.strip().lower(): value.strip() for key, _, value in pairs if key}


def _extensions(section: Section, wanted: Sequence[str]) -> dict[int, str]:
    found = {}
    for value in section.attributes.all("extmap"):
        match = _EXTENSION.fullmatch(value)
        if match and match[3] in wanted and match[2] in {None, "sendrecv", "sendonly"}:
            found[int(match[1])] = match[3]
    return found


def feedback(section: Section) -> dict[str, list[str]]:
    """What the peer obeys, by payload type or "*", as in `a=rtcp-fb`."""
    found: dict[str, list[str]] = {}
    for value in section.attributes.all("rtcp-fb"):
        payload_type, *words = value.split() or [""]
        what, kinds = " ".join(words).lower(), found.setdefault(payload_type, [])
        # What no profile knows is left out, for a peer may write any number of lines.
        if what in _KNOWN_FEEDBACK and what not in kinds:
            kinds.append(what)
    return found


def _remote(
    description: Description,
    accepted: Iterable[int],
    group: Sequence[str],
    setups: Sequence[str],
    before: Agreement | None,
) -> Remote:
    """The transport of a bundle, described in an accepted section, the tagged one, or for all."""
    sections = [description.sections[index] for index in accepted]
    if not sections and before is not None:
        return before.remote
    tagged = [section for section in description.sections if section.mid in group[:1]]
    chosen = [section.attributes for section in (*sections[:1], *tagged, *sections[1:])]
    places = [*chosen, description.attributes]
    found = remote(places, places[:2], description.attributes.has("ice-lite"))
    if found.setup not in setups:
        raise BadInput("sdp", f"a=setup:{found.setup}", f"{' or '.join(setups)} (RFC 5763)")
    return found if before is None else unchanged(found, before.remote)
