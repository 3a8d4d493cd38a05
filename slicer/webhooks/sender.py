"""Sends what is in the queue: each task's messages in order, tasks and apps side by side."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from slicer.clock import Clock, Timer
from slicer.webhooks.messages import Message, body
from slicer.webhooks.poster import Reply
from slicer.webhooks.queue import Outcome, QueuedWebhook, WebhookQueue
from slicer.webhooks.schedule import PATIENT, Schedule
from slicer.webhooks.sign import sign

logger = logging.getLogger(__name__)

EACH_APP = 8
"""Messages under way at once for each app, so that none takes the others' turn."""
LOOK_AGAIN = 5.0
"""Seconds after which the queue is looked at in any case: another process may have changed it."""
ID_HEADER = "X-Slicer-Message"

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where an app's messages go, and the key that signs them."""

    url: str
    key: str = field(repr=False)


class Sender:
    """Sends until it is closed. *receiver*: an app's, or None where it wants no messages."""

    def __init__(
        self,
        queue: WebhookQueue,
        receiver: Callable[[int], Receiver | None],
        post: Post,
        clock: Clock,
        schedule: Schedule = PATIENT,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """delivered, failed (tries), given_up, refused (the queue was full), faults (ours)."""
        self._queue, self._receiver, self._post = queue, receiver, post
        self._clock, self._schedule = clock, schedule
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._timer: Timer | None = None
        self._closed = False
        self._running = asyncio.ensure_future(self._run())

    async def tell(self, message: Message) -> None:
        """Keep a message, then send it; it is on disk when this returns. Nothing is kept for an app
        without a receiver."""
        if self._receiver(message.app) is None:
            return
        if not await self._queue.add(message, self._now()):
            self.counters["refused"] += 1
            logger.warning("callback %s is lost: too many wait", message.id)
        self._news.set()

    async def close(self) -> None:
        """End what is under way; what waits is sent by the next process. May be called twice."""
        self._closed = True
        self._news.set()
        await self._running
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _run(self) -> None:
        while not self._closed:
            self._news.clear()
            try:
                await self._start_due()
            except Exception:
                self._fault("the queue cannot be read")
                self._wake_at(self._clock.now() + LOOK_AGAIN)
            await self._news.wait()
            if self._timer is not None:
                self._timer.cancel()

    async def _start_due(self) -> None:
        began, now = self._clock.now(), self._now()
        # Those under way are the longest due, so they count among these.
        for webhook in await self._queue.due(now, EACH_APP):
            if webhook.seq not in self._under_way:
                self._under_way[webhook.seq] = asyncio.ensure_future(self._deliver(webhook))
        upcoming = await self._queue.next_due(now)
        wait = LOOK_AGAIN if upcoming is None else min(upcoming - now, LOOK_AGAIN)
        self._wake_at(began + wait)

    def _wake_at(self, when: float) -> None:
        self._timer = self._clock.call_at(when, self._news.set)

    async def _deliver(self, webhook: QueuedWebhook) -> None:
        try:
            await self._try(webhook)
        except Exception:
            self._fault(f"the outcome of {webhook.message.id} cannot be kept")
        else:
            self._news.set()
        finally:
            del self._under_way[webhook.seq]

    async def _try(self, webhook: QueuedWebhook) -> None:
        tried = self._now()
        reply = await self._send(webhook.message)
        now = self._now()
        if reply.taken:
            self.counters["delivered"] += 1
            await self._queue.settle(webhook, Outcome.DELIVERED, reply.said, now)
            return
        self.counters["failed"] += 1
        due = self._schedule.next_try(webhook.since, webhook.tries + 1, tried, now)
        if due is None:
            self.counters["given_up"] += 1
            logger.warning("callback %s is given up: %s", webhook.message.id, reply.said)
            await self._queue.settle(webhook, Outcome.GIVEN_UP, reply.said, now)
            return
        logger.info("callback %s is tried again: %s", webhook.message.id, reply.said)
        await self._queue.postpone(webhook, due, reply.said)

    async def _send(self, message: Message) -> Reply:
        receiver = self._receiver(message.app)
        if receiver is None:
            return Reply(False, "the app has no callback_url any more")
        data = body(message.group, message.event, message.info, self._wall())
        headers = {
            "Content-Type": "application/json",
            "SdkAppId": str(message.app),
            "Sign": sign(receiver.key, data),
            ID_HEADER: message.id,
        }
        return await self._post(receiver.url, data, headers)

    def _fault(self, said: str) -> None:
        """The disk is full, say. Nothing is lost: what is kept is looked at again soon."""
        self.counters["faults"] += 1
        logger.exception("callbacks: %s", said)

    def _wall(self) -> datetime:
        return self._clock.wall(self._clock.now())

    def _now(self) -> float:
        return self._wall().timestamp()
