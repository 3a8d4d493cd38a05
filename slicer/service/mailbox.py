"""A fleet's webhooks: workers put them into the stream of facts, copies of the API send them on."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime

from slicer.clock import Clock
from slicer.errors import BadInput, BusUnavailable, counted
from slicer.fleet.facts import Fact, Facts
from slicer.webhooks.client import Reply
from slicer.webhooks.queue import Webhook
from slicer.webhooks.retry import RetryPolicy
from slicer.webhooks.sender import ID_HEADER, Post, Subscriber
from slicer.webhooks.sign import sign

logger = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Seconds between two tries, at most: meanwhile its partition of the stream waits, with callbacks
of other tasks in it."""

SWEEP = 3_600.0
"""Seconds between two looks at what waits for applications that the settings do not have."""

Body = Callable[[Webhook, datetime], bytes]


_TYPES = {"id": str, "subscriber": int, "line": str, "event": int, "payload": str}
"""A Webhook's fields."""


def to_json(webhook: Webhook, _sent: datetime) -> bytes:
    """A webhook as a fact: the same whenever it is published."""
    return json.dumps(asdict(webhook), separators=(",", ":")).encode()


def from_json(data: bytes) -> Webhook:
    """The webhook again; what only another version knows of it is left out. Raises BadInput."""
    try:
        found = json.loads(data)
        values = {name: found[name] for name in _TYPES}
    except (ValueError, KeyError, TypeError):
        values = {}
    if not values or any(type(value) is not _TYPES[name] for name, value in values.items()):
        allowed = "callbacks that this version understands"
        raise BadInput("fleet.bucket", data[:80].decode(errors="replace"), allowed)
    return Webhook(**values)


def publisher(facts: Facts) -> Callable[[str, bytes, Mapping[str, str]], Awaitable[Reply]]:
    """What a worker's Sender posts by: it publishes what waits in the worker's own queue, on its
    disk, which so outlives the bus's absence."""

    async def post(_url: str, data: bytes, _headers: Mapping[str, str]) -> Reply:
        webhook = from_json(data)
        try:
            await facts.publish(webhook.subscriber, webhook.line, webhook.id, data)
        except BusUnavailable as error:
            return Reply(False, str(error))
        return Reply(True, "published")

    return post


class Mailbox:
    """Sends what the stream has for the applications of this process, beside its other copies."""

    def __init__(
        self, facts: Facts, body: Body, post: Post, clock: Clock, policy: RetryPolicy
    ) -> None:
        self.counters: Counter[str] = facts.counters
        """delivered, failed (tries), given_up, unreadable, unclaimed (of applications that no
        settings have), unverified (`Facts`)."""
        self._facts, self._body, self._post = facts, body, post
        self._clock = clock
        self._policy = replace(policy, longest=LONGEST_WAIT)
        self._subscribers: Mapping[int, Subscriber] = {}
        self._telling: dict[int, asyncio.Task[None]] = {}
        self._sweeping = asyncio.ensure_future(self._sweep())

    def replace(self, subscribers: Mapping[int, Subscriber]) -> None:
        """Send for these applications from now on."""
        self._subscribers = dict(subscribers)
        for app in self._telling.keys() - subscribers.keys():
            self._telling.pop(app).cancel()
        for app in subscribers.keys() - self._telling.keys():
            self._telling[app] = asyncio.ensure_future(self._facts.tell(app, self.send))

    async def close(self) -> None:
        """What is under way is finished, for HANDLED (facts.py) at most; what is not done with by
        then is given to another copy, or to the next process."""
        telling, self._telling = [self._sweeping, *self._telling.values()], {}
        for one in telling:
            one.cancel()
        await asyncio.gather(*telling, return_exceptions=True)

    async def _sweep(self) -> None:
        """See to what waits for applications that no settings have: nobody will ever take it."""
        while True:
            await self._clock.sleep(SWEEP)
            try:
                for app, (count, old) in (await self._facts.unclaimed(self._subscribers)).items():
                    text = "! %s of application %d, which the settings do not have, %s"
                    what, about = counted(count, "callback"), {"app": app}
                    if old:
                        await self._facts.drop(app)
                        self.counters["unclaimed"] += count
                    does = "waited for seven days: given up" if old else "wait"
                    logger.warning(text, what, app, does, extra=about)
            except BusUnavailable as error:
                logger.debug("bus: callbacks cannot be counted: %s", error)

    async def send(self, fact: Fact) -> float | None:
        """Post a fact to whom it is for. Gives None once it is done with, or the seconds until it
        is to be tried again."""
        try:
            webhook = from_json(fact.data)
        except BadInput as error:
            self.counters["unreadable"] += 1
            logger.warning("! a callback is lost: %s", error)
            return None
        subscriber = self._subscribers.get(webhook.subscriber)
        if subscriber is None:  # just taken out of the settings: it waits as all that comes later
            return LONGEST_WAIT
        tried = self._now()
        data = self._body(webhook, self._clock.wall(self._clock.now()))
        headers = {
            "Content-Type": "application/json",
            **subscriber.headers,
            "Sign": sign(subscriber.key, data),
            ID_HEADER: webhook.id,
        }
        reply = await self._post(subscriber.url, data, headers)
        if reply.taken:
            self.counters["delivered"] += 1
            return None
        self.counters["failed"] += 1
        now, about = self._now(), {"app": webhook.subscriber}
        due = self._policy.next_try(fact.since.timestamp(), fact.tries, tried, now)
        if due is None:
            self.counters["given_up"] += 1
            text = "! callback %s is given up: %s"
            logger.warning(text, webhook.id, reply.detail, extra=about)
            return None
        if fact.tries == 1:
            text = "! callback %s is not taken, and is tried again: %s"
            logger.warning(text, webhook.id, reply.detail, extra=about)
        return due - now

    def _now(self) -> float:
        return self._clock.wall(self._clock.now()).timestamp()
