"""What is cut of a LiveKit room, joined to the m-lines that it comes by.

A task asks for the track of an anchor; the server is asked to send it; some answers later an m-line
carries it, and only then can it be cut.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from slicer.rtp.parameters import RtpParameters, Slot
from slicer.slicing.outputs import Subscribe, TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc.path import Media

Owner = Callable[[str], tuple[str, Slot] | None]
"""Whose a track is, by its SID, and which of theirs."""


class Tracks:
    """The subscriptions of one connection, by anchor and slot."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._wanted: dict[tuple[str, Slot], Subscribe] = {}
        self._attached: set[tuple[str, Slot]] = set()
        self._sections: dict[str, tuple[RtpParameters, ...]] = {}

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut this track once it comes."""
        self._wanted[subscribe.track.anchor, subscribe.track.slot] = subscribe
        self._attach()

    def unsubscribe(self, track: TrackKey) -> None:
        """Give its last cut, and cut it no longer."""
        what = track.anchor, track.slot
        self._wanted.pop(what, None)
        if what in self._attached:
            self._attached.discard(what)
            self._media.detach(track)

    def spec(self, anchor: str, slot: Slot) -> AudioSpec | VideoSpec | None:
        """What a task wants of this track; None where it is not wanted."""
        found = self._wanted.get((anchor, slot))
        return None if found is None else found.spec

    def place(self, sections: Mapping[str, RtpParameters], owner: Owner) -> None:
        """The m-lines by track, as of the last answer."""
        placed: dict[str, list[RtpParameters]] = {}
        for track, section in sections.items():
            if found := owner(track):
                anchor, (_, role) = found
                placed.setdefault(anchor, []).append(replace(section, role=role))
        for anchor in [*self._sections.keys() - placed.keys(), *placed]:
            now = tuple(placed.get(anchor, ()))
            if now == self._sections.get(anchor, ()):
                continue
            self._media.set_sections(anchor, now)
            slots = {section.slot for section in now}
            # What is carried no longer was given up with its m-line.
            self._attached -= {
                one for one in self._attached if one[0] == anchor and one[1] not in slots
            }
            if now:
                self._sections[anchor] = now
            else:
                del self._sections[anchor]
        self._attach()

    def _attach(self) -> None:
        for what, subscribe in self._wanted.items():
            slots = {section.slot for section in self._sections.get(what[0], ())}
            if what[1] in slots and what not in self._attached:
                self._attached.add(what)
                self._media.attach(subscribe)
