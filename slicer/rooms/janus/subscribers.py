"""The publishers' connections of one presence in a room, and when one that failed is tried again.

A connection that fails takes its publisher's tracks away (TrackUnpublished, with the reason); they
are published again after a wait that grows, and the task subscribes anew. So what is not received
is told, and a publisher that Janus lists for ever, but that sends nothing, keeps no task alive.
"""

import random
from collections import Counter

from slicer.background import Background
from slicer.clock import Timer
from slicer.rooms import Listener
from slicer.rooms.backoff import wait
from slicer.rooms.janus.participants import Participants
from slicer.rooms.janus.subscriber import Ended, Media, Presence, Subscriber
from slicer.slicing.facts import AnchorLeft, Fact, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import Subscribe, TrackKey, TrackRefused

STEADY = 60.0
"""Seconds after which a publisher's next failure counts as its first."""


class Subscribers:
    """From the join to the end of a presence. Facts go through `tell`, which keeps the connections
    as the room is."""

    def __init__(
        self, participants: Participants, presence: Presence, media: Media, listen: Listener
    ) -> None:
        self._participants, self._presence, self._media = participants, presence, media
        self._listen = listen
        self._there: dict[str, Subscriber] = {}
        self._failures: dict[str, tuple[int, float]] = {}
        self._retries: dict[str, Timer] = {}
        self._ended: Counter[str] = Counter()
        self._background = Background()
        self._over = False

    def __len__(self) -> int:
        return len(self._there)

    @property
    def counters(self) -> Counter[str]:
        """Of all its connections and their media, those that have ended too."""
        return sum((one.counters for one in self._there.values()), self._ended.copy())

    def tell(self, fact: Fact) -> None:
        """Pass a fact of the room on; the task may subscribe while it takes it."""
        if self._over:
            return
        if isinstance(fact, TrackPublished | TrackUnpublished) and fact.anchor in self._there:
            feed = self._participants.feeds.get(fact.anchor)
            if feed is not None:
                self._there[fact.anchor].replace(feed)
        self._listen(fact)
        if isinstance(fact, AnchorLeft):
            self._forget(fact.anchor)

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut a track; a publisher or a stream that is gone is ignored."""
        anchor, feed = subscribe.track.anchor, self._participants.feeds.get(subscribe.track.anchor)
        if self._over or feed is None or subscribe.track.slot not in feed.streams:
            return
        if anchor not in self._there:
            self._there[anchor] = Subscriber(
                feed, self._presence, self._media, self._listen, self._failed
            )
        self._there[anchor].subscribe(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        """Deliver the track's last cut and release it; the last track's connection ends."""
        subscriber = self._there.get(track.anchor)
        if subscriber is None:
            return
        subscriber.unsubscribe(track)
        if subscriber.idle:
            self._drop(subscriber)

    def look(self) -> None:
        """Tell what of the anchors' media is given up."""
        for subscriber in list(self._there.values()):
            subscriber.mute(self._participants.muted(subscriber.feed.anchor))
            for trouble in subscriber.troubles(self._media.clock.now()):
                self.tell(trouble)

    async def close(self) -> None:
        """End all connections; no fact or cut follows."""
        self._over = True
        for anchor in [*self._retries]:
            self._forget(anchor)
        for subscriber in list(self._there.values()):
            self._drop(subscriber)
        await self._background.wait()

    def _failed(self, subscriber: Subscriber, ended: Ended) -> None:
        """A connection has ended by itself, and delivered its last cuts."""
        anchor = subscriber.feed.anchor
        if self._there.get(anchor) is not subscriber:
            return
        for trouble in subscriber.troubles(self._media.clock.now()):
            self.tell(trouble)  # it may have been here for less than a look
        self._drop(subscriber)
        if anchor not in self._participants.feeds:
            return  # that it is gone has been told
        for kind, role in subscriber.feed.streams:
            self.tell(TrackUnpublished(anchor, kind, ended.reason, role))
        if ended.refused:
            for kind, role in subscriber.feed.streams:
                self.tell(TrackRefused(anchor, kind, ended.reason, role))
        elif not self._over:
            self._retry_later(anchor)

    def _retry_later(self, anchor: str) -> None:
        now = self._media.clock.now()
        count, last = self._failures.get(anchor, (0, now))
        count = 1 if now - last > STEADY else count + 1
        self._failures[anchor] = count, now
        due = now + wait(count, random.random())  # noqa: S311 (jitter, not a secret)
        self._retries[anchor] = self._media.clock.call_at(due, lambda: self._retry(anchor))

    def _retry(self, anchor: str) -> None:
        del self._retries[anchor]
        feed = self._participants.feeds.get(anchor)
        for slot in () if feed is None else feed.streams:
            self.tell(TrackPublished(anchor, *slot))

    def _drop(self, subscriber: Subscriber) -> None:
        """Close a connection that nobody waits for; what it counted is kept."""
        self._there.pop(subscriber.feed.anchor, None)
        self._ended += subscriber.counters
        self._background.start(subscriber.close())

    def _forget(self, anchor: str) -> None:
        """The publisher is gone: its failures are history."""
        self._failures.pop(anchor, None)
        if (timer := self._retries.pop(anchor, None)) is not None:
            timer.cancel()
