"""The anchors of a LiveKit room whose media is expected and does not come."""

from collections import Counter
from collections.abc import Callable, Collection

from slicer.clock import Clock
from slicer.rooms.silence import MediaSilence
from slicer.rtp.parameters import Slot
from slicer.slicing.outputs import AnchorTrouble
from slicer.webrtc.path import Media


class Silences:
    """Of one connection. *bound*: seconds; *muted*: what of an anchor is muted now."""

    def __init__(
        self, media: Media, clock: Clock, bound: float, muted: Callable[[str], Collection[Slot]]
    ) -> None:
        self._media, self._clock, self._bound, self._muted = media, clock, bound, muted
        self._flowing: dict[str, set[Slot]] = {}
        self._watched: dict[str, MediaSilence] = {}
        self.counters: Counter[str] = Counter()

    def flow(self, anchor: str, slot: Slot, flows: bool) -> None:
        """The server is to send this track now, or to pause it."""
        slots = self._flowing.setdefault(anchor, set())
        if flows:
            slots.add(slot)
        else:
            slots.discard(slot)
        self._watched.setdefault(anchor, MediaSilence(anchor, self._bound))
        self._expect(anchor)

    def end(self, anchor: str, slot: Slot) -> None:
        """The track is not wanted any more."""
        if anchor in self._flowing:
            self.flow(anchor, slot, False)
            if not self._flowing[anchor]:
                del self._flowing[anchor], self._watched[anchor]

    def look(self) -> list[AnchorTrouble]:
        """What is to be told, once for each silence."""
        told, heard = list[AnchorTrouble](), self._media.heard
        for anchor, watched in self._watched.items():
            self._expect(anchor)
            told += watched.look(self._media.media_heard(anchor), heard)
        self.counters["media_silent"] += len(told)
        return told

    def _expect(self, anchor: str) -> None:
        flows = self._flowing[anchor].difference(self._muted(anchor))
        self._watched[anchor].expect(bool(flows), self._clock.now())
