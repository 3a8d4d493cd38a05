"""Videos that a LiveKit server does not send until their next picture is due."""

from collections.abc import Callable

from slicer.clock import Clock, Timer
from slicer.rooms.pause import resume_at
from slicer.slicing.outputs import PictureCut


class Pauses:
    """By the SID of a track. *disable* asks the server not to send a track, or to send it again."""

    def __init__(self, clock: Clock, disable: Callable[[str, bool], None]) -> None:
        self._clock, self._disable = clock, disable
        self._timers: dict[str, Timer] = {}

    @property
    def paused(self) -> list[str]:
        return list(self._timers)

    def taken(self, sid: str, cut: PictureCut, seconds: int) -> None:
        """A picture was taken of this track, which takes one every *seconds*."""
        until = resume_at(cut, seconds, self._clock.now())
        if until is None or sid in self._timers:
            return
        self._timers[sid] = self._clock.call_at(until, lambda: self._resume(sid))
        self._disable(sid, True)

    def forget(self, sid: str) -> None:
        """The track is not wanted any more."""
        if timer := self._timers.pop(sid, None):
            timer.cancel()

    def close(self) -> None:
        for sid in list(self._timers):
            self.forget(sid)

    def _resume(self, sid: str) -> None:
        del self._timers[sid]
        self._disable(sid, False)
