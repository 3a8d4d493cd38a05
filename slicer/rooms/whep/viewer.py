"""Plays one anchor for as long as it is listed: connects, tells facts, and connects again."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from slicer.rooms import Listener, backoff
from slicer.rooms.trouble import Watch
from slicer.rooms.whep.session import Failure, Session
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import AnchorTrouble, Subscribe, TrackKey

MOST_RETRY_AFTER = 60.0
"""Seconds that a server may ask us to wait."""


class Viewer:
    """One anchor. *connect* starts a session; *told* is told of each failure, and None once there
    is a session. It goes on until `stop`."""

    def __init__(
        self,
        anchor: str,
        connect: Callable[[str], Awaitable[Session | Failure]],
        listen: Listener,
        poll: float,
        told: Callable[[str, Failure | None], None],
    ) -> None:
        self.anchor = anchor
        self._connect, self._listen, self._poll, self._told = connect, listen, poll, told
        self._session: Session | None = None
        self._kinds: tuple[Kind, ...] = ()
        self._watch = Watch()
        self._counted: Counter[str] = Counter()
        self._task = asyncio.create_task(self._run())

    @property
    def playing(self) -> bool:
        """Whether its media comes."""
        return self._session is not None

    @property
    def counters(self) -> Counter[str]:
        """Of all its sessions."""
        if self._session is None:
            return self._counted
        return self._counted + self._session.counters

    def subscribe(self, subscribe: Subscribe) -> None:
        if self._session is not None:
            self._session.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        if self._session is not None:
            self._session.detach(track)

    def look(self, now: float) -> None:
        """Tell what of its media is given up."""
        if self._session is not None:
            for reason, count in self._watch.look(self.counters, now):
                self._listen(AnchorTrouble(self.anchor, reason, count))
            for trouble in self._session.silences():
                self._listen(trouble)

    async def stop(self, reason: str) -> None:
        """End: the last cuts, then the facts."""
        session = self._session
        self._leave(reason)
        self._task.cancel()
        await asyncio.wait([self._task])
        if session is not None:
            await session.close()

    async def _run(self) -> None:
        failures = 0
        while True:
            session = await self._connect(self.anchor)
            if isinstance(session, Failure):
                failures += 1
                self._told(self.anchor, session)
                await asyncio.sleep(self._pause(session, failures))
                continue
            failures = 0
            self._enter(session)
            reason = await session.over
            self._leave(reason)
            await session.close()
            await asyncio.sleep(backoff.wait(1, random.random()))  # noqa: S311 (not for secrecy)

    def _pause(self, failure: Failure, failures: int) -> float:
        """Seconds until the next try."""
        if failure.absent:
            return self._poll
        if failure.retry_after:
            return min(failure.retry_after, MOST_RETRY_AFTER)
        return backoff.wait(failures, random.random())  # noqa: S311 (not for secrecy)

    def _enter(self, session: Session) -> None:
        self._session, self._kinds = session, session.kinds
        self._told(self.anchor, None)
        self._listen(AnchorJoined(self.anchor))
        for kind in self._kinds:
            self._listen(TrackPublished(self.anchor, kind))

    def _leave(self, reason: str) -> None:
        """Its media is over: the last cuts, then the facts. May be called twice."""
        session = self._session
        if session is None:
            return
        session.flush()
        self._counted += session.counters
        self._session = None
        for kind in self._kinds:
            self._listen(TrackUnpublished(self.anchor, kind, reason))
        self._listen(AnchorLeft(self.anchor, reason))
