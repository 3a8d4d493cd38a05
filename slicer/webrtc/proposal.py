"""Our own offers (RFC 9429 5.2): the m-lines the session is to have, all of them receive-only.

An m-line that is agreed on keeps its place, its MID, its payload types and its extension ids. A new
one takes the place of a stopped one, or comes last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from slicer.errors import BadInput, LimitReached
from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    ORIENTATION,
    STATIC,
    Codec,
    Kind,
    RtpParameters,
)
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.webrtc.negotiation import Agreement, conclude
from slicer.webrtc.profile import DEFAULT, Profile
from slicer.webrtc.sdp import Description, Section

PROTOCOL = "UDP/TLS/RTP/SAVPF"
# Dynamic payload types (RFC 3551 6); 64 to 95 would be taken for RTCP (RFC 5761 4).
_DYNAMIC = (111, *range(96, 111), *range(112, 128), *range(35, 64))
_STATIC = {codec.name: number for number, codec in STATIC.items()}
# RFC 8285 4.2: the ids of a one-byte header.
_EXTENSION_IDS = range(1, 15)
_OF_ONE_KIND = {ORIENTATION: Kind.VIDEO, AUDIO_LEVEL: Kind.AUDIO}


@dataclass(frozen=True, slots=True)
class Line:
    """One m-line of an offer of ours; *stream* is None where it is stopped, as in *section*."""

    stream: RtpParameters | None
    section: Section | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """An offer of ours that waits for its answer."""

    lines: tuple[Line, ...]
    profile: Profile
    before: Agreement | None

    @property
    def offered(self) -> dict[int, RtpParameters]:
        """The m-lines to receive by, by index."""
        return {index: line.stream for index, line in enumerate(self.lines) if line.stream}

    def conclude(self, answer: Description) -> Agreement:
        """The agreement by this answer. Raises BadInput."""
        return conclude(answer, self.offered, len(self.lines), self.profile, self.before)


def propose(
    wants: Sequence[Kind],
    stop: Collection[str] = (),
    profile: Profile = DEFAULT,
    before: Agreement | None = None,
) -> Proposal:
    """Offer to receive what is agreed on, less the MIDs of *stop*, and one more track of each kind
    in *wants*. Raises BadInput for `stop`, and LimitReached where there is no room for a track.
    """
    agreed = {} if before is None else before.accepted
    sections = () if before is None else before.sections
    known = {stream.mid for stream in agreed.values()}
    if unknown := sorted(set(stop) - known):
        raise BadInput("stop", unknown, f"MIDs of this session: {', '.join(sorted(known))}")
    lines = [Line(None, section) for section in sections]
    for index, stream in agreed.items():
        if stream.mid not in stop:
            lines[index] = Line(stream)
    # The place of an m-line that this offer stops is free only in the next offer.
    free = [index for index in range(len(lines)) if index not in agreed]
    present = {section.mid for section in sections}
    codecs = _payload_types(profile, agreed.values())
    ids = _extension_ids(profile, agreed.values())
    numbers = map(str, count(0 if before is None else before.next_mid))
    mids = (mid for mid in numbers if mid not in present)
    for kind, mid in zip(wants, mids, strict=False):
        if not codecs[kind][0]:
            raise LimitReached(f"no payload type is left for {kind}")
        feedback = frozenset(profile.feedback.get(kind, ()))
        limit = profile.max_bitrate if kind is Kind.VIDEO else 0
        extensions = _of_kind(ids, kind)
        line = Line(
            RtpParameters(kind, *codecs[kind], extensions, feedback, mid, max_bitrate=limit)
        )
        if free:
            lines[free.pop(0)] = line
        else:
            lines.append(line)
    proposal = Proposal(tuple(lines), profile, before)
    if (live := len(proposal.offered)) > MAX_SECTIONS:
        raise LimitReached(f"{live} tracks; one connection receives at most {MAX_SECTIONS}")
    return proposal


def _payload_types(
    profile: Profile, agreed: Collection[RtpParameters]
) -> dict[Kind, tuple[dict[int, Codec], dict[int, int]]]:
    """Numbers for the codecs of a profile, and for what repeats them: those that the bundle uses
    already (RFC 8843 9.1), or free ones. A codec is left out where a peer has taken them all.
    """
    known: dict[object, tuple[int | None, Codec]] = {}
    repeating: dict[int, int] = {}
    for stream in agreed:
        known |= {_identity(codec): (pt, codec) for pt, codec in stream.codecs.items()}
        repeating |= {repeated: pt for pt, repeated in stream.rtx.items()}
    used = {pt for stream in agreed for pt in (*stream.codecs, *stream.rtx, *stream.red)}
    free = (pt for pt in _DYNAMIC if pt not in used)
    numbers: dict[Kind, tuple[dict[int, Codec], dict[int, int]]] = {}
    for kind in Kind:
        codecs: dict[int, Codec] = {}
        rtx: dict[int, int] = {}
        for codec in profile.codecs.get(kind, ()):
            fresh = _STATIC.get(codec.name), codec
            payload_type, agreed_codec = known.get(_identity(codec), fresh)
            if payload_type is None:
                payload_type = next(free, None)
            if payload_type is None:
                continue
            codecs[payload_type] = agreed_codec
            if kind is Kind.VIDEO and profile.retransmission:
                again = repeating[payload_type] if payload_type in repeating else next(free, None)
                if again is not None:
                    rtx[again] = payload_type
        numbers[kind] = codecs, rtx
    return numbers


def _identity(codec: Codec) -> tuple[object, ...]:
    """What makes two formats the same: of fmtp, only what names another bitstream."""
    level = codec.format.get("profile-level-id", "").lower()[:4]
    names = ("packetization-mode", "profile-id", "profile")
    return codec.name, level, *(codec.format.get(name, "0") for name in names)


def _of_kind(ids: Mapping[int, str], kind: Kind) -> Mapping[int, str]:
    """Audio has no orientation, and video is not loud."""
    return {n: uri for n, uri in ids.items() if _OF_ONE_KIND.get(uri, kind) is kind}


def _extension_ids(profile: Profile, agreed: Collection[RtpParameters]) -> Mapping[int, str]:
    """Ids of the profile's extensions, likewise."""
    used: dict[int, str] = {}
    for stream in agreed:
        used |= stream.extensions
    known = {uri: number for number, uri in used.items()}
    free = (number for number in _EXTENSION_IDS if number not in used)
    numbers = {uri: known[uri] if uri in known else next(free, None) for uri in profile.extensions}
    return {number: uri for uri, number in numbers.items() if number is not None}
