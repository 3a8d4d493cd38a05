"""What a user must know of a LiveKit room's anchors: whose media does not come, and what is wrong
with that of whom. All of them share one connection; what is wrong with that is counted alone."""

from collections import Counter
from collections.abc import Callable, Collection

from slicer.clock import Clock
from slicer.rooms.silence import MediaSilence
from slicer.rooms.trouble import Watch
from slicer.rtp.parameters import Slot
from slicer.slicing.outputs import AnchorTrouble
from slicer.webrtc.path import Media


class Troubles:
    """Of one connection. *bound*: seconds without media after which it is told; *muted*: what of an
    anchor is muted now."""

    def __init__(
        self, media: Media, clock: Clock, bound: float, muted: Callable[[str], Collection[Slot]]
    ) -> None:
        self._media, self._clock, self._bound, self._muted = media, clock, bound, muted
        self._flowing: dict[str, set[Slot]] = {}
        self._silences: dict[str, MediaSilence] = {}
        self._watches: dict[str, Watch] = {}
        self.counters: Counter[str] = Counter()

    def flow(self, anchor: str, slot: Slot, flows: bool) -> None:
        """The server is to send this track now, or to pause it."""
        slots = self._flowing.setdefault(anchor, set())
        if flows:
            slots.add(slot)
        else:
            slots.discard(slot)
        self._silences.setdefault(anchor, MediaSilence(anchor, self._bound))
        if anchor not in self._watches:  # it may have been here before
            self._watches[anchor] = Watch(self._media.counters_of(anchor))
        self._expect(anchor)

    def end(self, anchor: str, slot: Slot) -> list[AnchorTrouble]:
        """The track is not wanted any more. Gives what was not told yet of an anchor's last one."""
        if anchor not in self._flowing:
            return []
        self.flow(anchor, slot, False)
        if self._flowing[anchor]:
            return []
        last = self._rose(anchor)
        del self._flowing[anchor], self._silences[anchor], self._watches[anchor]
        return last

    def look(self) -> list[AnchorTrouble]:
        """What is to be told: each silence once, and what of each anchor's packets has risen."""
        silent, heard = list[AnchorTrouble](), self._media.heard
        for anchor, silence in self._silences.items():
            self._expect(anchor)
            silent += silence.look(self._media.media_heard(anchor), heard)
        self.counters["media_silent"] += len(silent)
        return silent + [trouble for anchor in self._watches for trouble in self._rose(anchor)]

    def _rose(self, anchor: str) -> list[AnchorTrouble]:
        rose = self._watches[anchor].look(self._media.counters_of(anchor), self._clock.now())
        return [AnchorTrouble(anchor, reason, count) for reason, count in rose]

    def _expect(self, anchor: str) -> None:
        flows = self._flowing[anchor].difference(self._muted(anchor))
        self._silences[anchor].expect(bool(flows), self._clock.now())
