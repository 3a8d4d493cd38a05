"""Who is in a LiveKit room: the server's updates become facts.

A task cuts one track of each kind and role from each anchor: what is shared of a screen is
auxiliary, all else is main. Of several in one place, the one that came first is taken. A track that
is muted stays: it sends nothing, and goes on later.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from livekit.protocol import models

from slicer.errors import BadInput
from slicer.rooms.whip.address import check_user
from slicer.rtp.parameters import Kind, Role, Slot
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
_SLOTS: tuple[Slot, ...] = tuple(product(Kind, Role))
_ENCRYPTED = "it is encrypted end to end: nobody but its participants can read it"


@dataclass(slots=True)
class Participant:
    """One anchor; *tracks*: the SID of what is taken, by its slot; *layers*: those of a video, by
    its SID; *muted*: what it has muted."""

    sid: str
    version: int
    tracks: dict[Slot, str] = field(default_factory=dict)
    layers: dict[str, Sequence[models.VideoLayer]] = field(default_factory=dict)
    refused: set[tuple[Kind, str]] = field(default_factory=set)
    muted: frozenset[Slot] = frozenset()


class Participants:
    """Everyone but *robot*, ourselves."""

    def __init__(self, robot: str) -> None:
        self._robot = robot
        self._present: dict[str, Participant] = {}
        self._refused: set[str] = set()
        self.ignored = 0

    def track(self, anchor: str, slot: Slot) -> str | None:
        """The SID of what is taken of an anchor."""
        found = self._present.get(anchor)
        return None if found is None else found.tracks.get(slot)

    def quality(
        self, anchor: str, role: Role, height: int | None, most: models.VideoQuality
    ) -> models.VideoQuality:
        """The lowest quality of a video that is so high, but none above *most*; that one, too,
        where no height is asked for, none reaches it, or the server does not tell them."""
        found = self._present.get(anchor)
        sid = self.track(anchor, (Kind.VIDEO, role))
        if found is None or sid is None or height is None:
            return most
        layers = found.layers.get(sid, ())
        enough = [one for one in layers if one.height >= height and one.quality <= most]
        return min(enough, key=lambda one: (one.height, one.quality)).quality if enough else most

    def muted(self, anchor: str) -> frozenset[Slot]:
        """What this anchor has muted."""
        found = self._present.get(anchor)
        return frozenset() if found is None else found.muted

    def owner(self, track: str) -> tuple[str, Slot] | None:
        """Whose this track is, if it is taken."""
        for anchor, participant in self._present.items():
            for slot, sid in participant.tracks.items():
                if sid == track:
                    return anchor, slot
        return None

    def everyone(self) -> list[Fact]:
        """Who is there, as if they had just come."""
        facts: list[Fact] = []
        for anchor, participant in self._present.items():
            facts.append(AnchorJoined(anchor))
            facts += [TrackPublished(anchor, *slot) for slot in _in_order(participant.tracks)]
        return facts

    def replace(self, participants: Iterable[models.ParticipantInfo]) -> list[Fact]:
        """Everyone who is there: who is not named is gone."""
        participants = list(participants)
        names = {one.identity for one in participants}
        gone = [anchor for anchor in self._present if anchor not in names]
        facts = [fact for anchor in gone for fact in self._leave(anchor, "")]
        return facts + self.update(participants)

    def update(self, participants: Iterable[models.ParticipantInfo]) -> list[Fact]:
        """Take what has changed, in order."""
        return [fact for one in participants for fact in self._take(one)]

    def _take(self, info: models.ParticipantInfo) -> Iterator[Fact]:
        anchor = info.identity
        if anchor == self._robot:
            return
        known = self._present.get(anchor)
        if info.state == models.ParticipantInfo.State.DISCONNECTED:
            if known is not None and known.sid == info.sid:
                yield from self._leave(anchor, _reason(info.disconnect_reason))
            return
        if known is not None and known.sid != info.sid:
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
            known = self._present[anchor] = Participant(info.sid, info.version)
            yield AnchorJoined(anchor)
        elif info.version < known.version:
            return  # an update that was overtaken
        known.version = info.version
        yield from self._tracks(anchor, known, info)

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
        self, anchor: str, known: Participant, info: models.ParticipantInfo
    ) -> Iterator[Fact]:
        sids = {track.sid for track in info.tracks}
        known.refused = {one for one in known.refused if one[1] in sids}
        readable = []
        for track in info.tracks:
            kind = _KINDS.get(track.type)
            if kind is None:
                continue
            if track.encryption == models.Encryption.Type.NONE:
                readable.append(track)
            elif (kind, track.sid) not in known.refused:
                known.refused.add((kind, track.sid))
                yield TrackRefused(anchor, kind, _ENCRYPTED, _slot(track)[1])
        known.layers = {one.sid: _layers(one) for one in readable}
        for kind, role in _SLOTS:
            slot = kind, role
            chosen, before = _choose(readable, slot), known.tracks.get(slot)
            if chosen == before:
                continue
            if before is not None:
                del known.tracks[slot]
                yield TrackUnpublished(anchor, kind, role=role)
            if chosen is not None:
                known.tracks[slot] = chosen
                yield TrackPublished(anchor, kind, role)
        muted = {one.sid for one in readable if one.muted}
        known.muted = frozenset(slot for slot, sid in known.tracks.items() if sid in muted)
        yield from self._further(anchor, known, readable)

    def _further(
        self, anchor: str, known: Participant, tracks: Iterable[models.TrackInfo]
    ) -> Iterator[Fact]:
        """Those that are not taken, each once."""
        for track in tracks:
            kind, role = slot = _slot(track)
            if known.tracks.get(slot) == track.sid or (kind, track.sid) in known.refused:
                continue
            known.refused.add((kind, track.sid))
            what = "a further track" if role is Role.MAIN else "a further shared screen"
            reason = f"{what} is left out: there is another {kind} track"
            yield TrackRefused(anchor, kind, reason, role)

    def _leave(self, anchor: str, reason: str) -> Iterator[Fact]:
        participant = self._present.pop(anchor)
        for kind, role in _in_order(participant.tracks):
            yield TrackUnpublished(anchor, kind, reason, role)
        yield AnchorLeft(anchor, reason)


def _slot(track: models.TrackInfo) -> Slot:
    return _KINDS[track.type], Role.AUX if track.source in _SHARED else Role.MAIN


def _in_order(slots: Collection[Slot]) -> list[Slot]:
    return [slot for slot in _SLOTS if slot in slots]


def _choose(tracks: Iterable[models.TrackInfo], slot: Slot) -> str | None:
    """The SID of the track to take in this place."""
    return next((track.sid for track in tracks if _slot(track) == slot), None)


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
