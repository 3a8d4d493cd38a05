"""Who is in a LiveKit room: the server's updates become facts.

A task cuts one track of a kind from each anchor. Of several, the microphone and the camera go
before what is shared of a screen, and then the one that came first. A track that is muted stays: it
sends nothing, and goes on later.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from livekit.protocol import models

from slicer.errors import BadInput
from slicer.rooms.whip.address import check_user
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import TrackRefused

MAX_PARTICIPANTS = 10_000
"""Participants that are kept; what is told of more is counted and left out."""
_KINDS = {models.TrackType.AUDIO: Kind.AUDIO, models.TrackType.VIDEO: Kind.VIDEO}
_SHARED = (models.TrackSource.SCREEN_SHARE, models.TrackSource.SCREEN_SHARE_AUDIO)
_ENCRYPTED = "it is encrypted end to end: nobody but its participants can read it"


@dataclass(slots=True)
class Participant:
    """One anchor; *tracks*: the SID of what is taken, by kind; *layers*: those of its video;
    *muted*: what it has muted."""

    sid: str
    version: int
    tracks: dict[Kind, str] = field(default_factory=dict)
    layers: Sequence[models.VideoLayer] = ()
    refused: set[tuple[Kind, str]] = field(default_factory=set)
    muted: frozenset[Kind] = frozenset()


class Participants:
    """Everyone but *robot*, ourselves."""

    def __init__(self, robot: str) -> None:
        self._robot = robot
        self._present: dict[str, Participant] = {}
        self._refused: set[str] = set()
        self.ignored = 0

    def track(self, anchor: str, kind: Kind) -> str | None:
        """The SID of what is taken of an anchor."""
        found = self._present.get(anchor)
        return None if found is None else found.tracks.get(kind)

    def quality(
        self, anchor: str, height: int | None, most: models.VideoQuality
    ) -> models.VideoQuality:
        """The lowest quality of its video that is so high, but none above *most*; that one, too,
        where no height is asked for, none reaches it, or the server does not tell them."""
        found = self._present.get(anchor)
        layers = () if found is None or height is None else found.layers
        enough = [one for one in layers if one.height >= (height or 0) and one.quality <= most]
        return min(enough, key=lambda one: (one.height, one.quality)).quality if enough else most

    def muted(self, anchor: str) -> frozenset[Kind]:
        """What this anchor has muted."""
        found = self._present.get(anchor)
        return frozenset() if found is None else found.muted

    def owner(self, track: str) -> tuple[str, Kind] | None:
        """Whose this track is, if it is taken."""
        for anchor, participant in self._present.items():
            for kind, sid in participant.tracks.items():
                if sid == track:
                    return anchor, kind
        return None

    def everyone(self) -> list[Fact]:
        """Who is there, as if they had just come."""
        facts: list[Fact] = []
        for anchor, participant in self._present.items():
            facts.append(AnchorJoined(anchor))
            facts += [TrackPublished(anchor, kind) for kind in sorted(participant.tracks)]
        return facts

    def replace(self, told: Iterable[models.ParticipantInfo]) -> list[Fact]:
        """Everyone who is there: who is not named is gone."""
        told = list(told)
        names = {one.identity for one in told}
        gone = [anchor for anchor in self._present if anchor not in names]
        facts = [fact for anchor in gone for fact in self._leave(anchor, "")]
        return facts + self.update(told)

    def update(self, told: Iterable[models.ParticipantInfo]) -> list[Fact]:
        """Take what has changed, in order."""
        return [fact for one in told for fact in self._take(one)]

    def _take(self, told: models.ParticipantInfo) -> Iterator[Fact]:
        anchor = told.identity
        if anchor == self._robot:
            return
        known = self._present.get(anchor)
        if told.state == models.ParticipantInfo.State.DISCONNECTED:
            if known is not None and known.sid == told.sid:
                yield from self._leave(anchor, _reason(told.disconnect_reason))
            return
        if known is not None and known.sid != told.sid:
            # The same identity, once more: the server ended the older one.
            yield from self._leave(anchor, "replaced by a newer participant of the same identity")
            known = None
        if known is None:
            if not self._admits(anchor):
                if anchor not in self._refused and len(self._refused) < MAX_PARTICIPANTS:
                    self._refused.add(anchor)
                    reason = "its identity can be no anchor's: it would be a part of a path"
                    yield from (TrackRefused(anchor, kind, reason) for kind in Kind)
                return
            known = self._present[anchor] = Participant(told.sid, told.version)
            yield AnchorJoined(anchor)
        elif told.version < known.version:
            return  # an update that was overtaken
        known.version = told.version
        yield from self._tracks(anchor, known, told)

    def _admits(self, anchor: str) -> bool:
        if len(self._present) >= MAX_PARTICIPANTS:
            self.ignored += 1
            return False
        try:
            check_user("identity", anchor)
        except BadInput:
            self.ignored += 1
            return False
        return True

    def _tracks(
        self, anchor: str, known: Participant, told: models.ParticipantInfo
    ) -> Iterator[Fact]:
        sids = {track.sid for track in told.tracks}
        known.refused = {one for one in known.refused if one[1] in sids}
        readable = []
        for track in told.tracks:
            kind = _KINDS.get(track.type)
            if kind is None:
                continue
            if track.encryption == models.Encryption.Type.NONE:
                readable.append(track)
            elif (kind, track.sid) not in known.refused:
                known.refused.add((kind, track.sid))
                yield TrackRefused(anchor, kind, _ENCRYPTED)
        video = _choose(readable, Kind.VIDEO)
        layers = (_layers(one) for one in readable if one.sid == video)
        known.layers = next(layers, ())
        for kind in Kind:
            chosen, before = _choose(readable, kind), known.tracks.get(kind)
            if chosen == before:
                continue
            if before is not None:
                del known.tracks[kind]
                yield TrackUnpublished(anchor, kind)
            if chosen is not None:
                known.tracks[kind] = chosen
                yield TrackPublished(anchor, kind)
        muted = {one.sid for one in readable if one.muted}
        known.muted = frozenset(kind for kind, sid in known.tracks.items() if sid in muted)
        yield from self._further(anchor, known, readable)

    def _further(
        self, anchor: str, known: Participant, tracks: Iterable[models.TrackInfo]
    ) -> Iterator[Fact]:
        """Those that are not taken, each once."""
        for track in tracks:
            kind = _KINDS[track.type]
            if known.tracks.get(kind) == track.sid or (kind, track.sid) in known.refused:
                continue
            known.refused.add((kind, track.sid))
            what = "a shared screen" if track.source in _SHARED else "a further track"
            yield TrackRefused(anchor, kind, f"{what} is left out: there is another {kind} track")

    def _leave(self, anchor: str, reason: str) -> Iterator[Fact]:
        participant = self._present.pop(anchor)
        for kind in sorted(participant.tracks):
            yield TrackUnpublished(anchor, kind, reason)
        yield AnchorLeft(anchor, reason)


def _choose(tracks: Iterable[models.TrackInfo], kind: Kind) -> str | None:
    """The SID of the track to take of this kind."""
    found = [track for track in tracks if _KINDS[track.type] == kind]
    found.sort(key=lambda track: track.source in _SHARED)
    return found[0].sid if found else None


def _layers(track: models.TrackInfo) -> Sequence[models.VideoLayer]:
    """Of a track that is sent in several codecs, those of the first."""
    return list(track.layers) or [layer for codec in track.codecs[:1] for layer in codec.layers]


def _reason(code: models.DisconnectReason) -> str:
    """`PARTICIPANT_REMOVED` in words; empty where the server gives none."""
    if not code:
        return ""
    try:
        return str(models.DisconnectReason.Name(code)).lower().replace("_", " ")
    except ValueError:
        return f"reason {code}"
