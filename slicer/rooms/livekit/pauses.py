"""Videos that a LiveKit server does not send until their next picture is due."""

from collections.abc import Callable

from slicer.clock import Clock
from slicer.hot import KeyframeRequests
from slicer.rooms.keyframes import Resumption
from slicer.rooms.pause import resume_at
from slicer.slicing.outputs import PictureCut
from slicer.slicing.spec import VideoSpec


class Pauses:
    """By the SID of a track. *disable* asks the server not to send a track, or to send it again."""

    def __init__(self, clock: Clock, disable: Callable[[str, bool], None]) -> None:
        self._clock, self._disable = clock, disable
        self._resumptions: dict[str, Resumption] = {}
        # Other tasks' requests were in the way of their resumptions. Such a video is better not
        # paused: it gets the keyframes that others ask for.
        self._shared: set[str] = set()

    @property
    def paused(self) -> list[str]:
        return list(self._resumptions)

    def taken(self, sid: str, cut: PictureCut, spec: VideoSpec, requests: KeyframeRequests) -> None:
        """A picture was taken of this track; *requests*: those to it, of all tasks."""
        until = resume_at(cut, spec, self._clock.now())
        if until is None or sid in self._resumptions or sid in self._shared:
            return
        self._resumptions[sid] = Resumption(
            self._clock, until, requests, spec.asks_every, lambda waited: self._resume(sid, waited)
        )
        self._disable(sid, True)

    def forget(self, sid: str) -> None:
        """The track is not wanted any more."""
        self._shared.discard(sid)
        if resumption := self._resumptions.pop(sid, None):
            resumption.cancel()

    def close(self) -> None:
        for sid in list(self._resumptions):
            self.forget(sid)

    def _resume(self, sid: str, waited: bool) -> None:
        self._resumptions.pop(sid).cancel()
        if waited:
            self._shared.add(sid)
        self._disable(sid, False)
