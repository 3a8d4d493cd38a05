"""Plays one anchor while a task wants it: connects, tells facts, and connects again.

Theory of operation. What an anchor sends is known only from the answer to an offer of ours, so it
is played once when it comes. A task that wants a track subscribes while it is told of it. Where
nobody has, the connection ends at once, and the anchor stays published; the next subscription
connects again. So nobody's path carries what no task wants.

    ┌─▶ connecting ──▶ told ──▶ playing ──nothing is wanted──▶ asleep ──a subscription──┐
    │        └─fails: a pause     └──over: it has left                                 │
    └──────────────────────────────────────────────────────────────────────────────────┘
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from slicer.background import Background
from slicer.rooms import Listener, backoff
from slicer.rooms.trouble import Watch
from slicer.rooms.whep.session import Failure, Session
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import AnchorTrouble, Subscribe, TrackKey, TrackRefused

MOST_RETRY_AFTER = 60.0
"""Seconds that a server may ask us to wait."""


class Viewer:
    """One anchor. *connect* starts a session; *report* is told of each failure, and None once there
    is a session. It goes on until `stop`."""

    def __init__(
        self,
        anchor: str,
        connect: Callable[[str], Awaitable[Session | Failure]],
        listen: Listener,
        poll: float,
        report: Callable[[str, Failure | None], None],
    ) -> None:
        self.anchor = anchor
        self._connect, self._listen, self._poll, self._report = connect, listen, poll, report
        self._session: Session | None = None
        self._there = False  # whether it is published, as far as the task knows
        self._wanted: dict[TrackKey, Subscribe] = {}
        self._changed = asyncio.Event()
        self._kinds: tuple[Kind, ...] = ()
        self._refused: tuple[tuple[Kind, str], ...] = ()
        self._watch = Watch()
        self._counted: Counter[str] = Counter()
        self._running = Background()
        self._running.start(self._run())

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
        self._wanted[subscribe.track] = subscribe
        if self._session is not None:
            self._session.attach(subscribe)
        self._changed.set()

    def unsubscribe(self, track: TrackKey) -> None:
        self._wanted.pop(track, None)
        if self._session is not None:
            self._session.detach(track)
        self._changed.set()

    def forget(self) -> None:
        """The room is lost: an anchor that is asleep is told anew, as the others are."""
        if self._session is None:
            self._there = False
            self._changed.set()

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
        await self._running.finish(0.0)
        if session is not None:
            await session.close()

    async def _run(self) -> None:
        failures = 0
        while True:
            session = await self._connect(self.anchor)
            if isinstance(session, Failure):
                failures += 1
                self._leave(session.reason)
                self._report(self.anchor, session)
                await asyncio.sleep(self._pause(session, failures))
                continue
            failures = 0
            self._enter(session)
            reason = await self._until_over(session)
            if reason is not None:
                self._leave(reason)
                await session.close()
                await asyncio.sleep(backoff.wait(1, random.random()))  # noqa: S311 (no secret)
            else:
                self._end(session)
                await session.close()
                while self._there and not self._wanted:
                    self._changed.clear()
                    await self._changed.wait()

    async def _until_over(self, session: Session) -> str | None:
        """Why it is over; None once nothing of it is wanted."""
        while self._wanted:
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait((session.over, changed), return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            if session.over.done():
                return session.over.result()
        return None

    def _pause(self, failure: Failure, failures: int) -> float:
        """Seconds until the next try."""
        if failure.absent:
            return self._poll
        if failure.retry_after:
            return min(failure.retry_after, MOST_RETRY_AFTER)
        return backoff.wait(failures, random.random())  # noqa: S311 (not for secrecy)

    def _enter(self, session: Session) -> None:
        """Media comes: tell what is new, and cut what was wanted before."""
        self._session = session
        known, self._kinds = self._kinds if self._there else (), session.kinds
        self._report(self.anchor, None)
        if not self._there:
            self._there = True
            self._listen(AnchorJoined(self.anchor))
        for kind in known:
            if kind not in self._kinds:
                self._listen(TrackUnpublished(self.anchor, kind, "it is sent no longer"))
        for subscribe in list(self._wanted.values()):
            session.attach(subscribe)
        for kind in self._kinds:
            if kind not in known:
                self._listen(TrackPublished(self.anchor, kind))
        refused, self._refused = self._refused, session.refused
        for kind, reason in session.refused:
            if (kind, reason) not in refused:
                self._listen(TrackRefused(self.anchor, kind, reason))

    def _end(self, session: Session) -> None:
        """The last cuts of a session."""
        session.flush()
        self._counted += session.counters
        self._session = None

    def _leave(self, reason: str) -> None:
        """The anchor is gone: the last cuts, then the facts. May be called twice."""
        if self._session is not None:
            self._end(self._session)
        if not self._there:
            return
        self._there = False
        for kind in self._kinds:
            self._listen(TrackUnpublished(self.anchor, kind, reason))
        self._listen(AnchorLeft(self.anchor, reason))
