"""Sends what is in the queue: each line in order, lines and subscribers side by side."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from slicer.clock import Clock, Timer
from slicer.webhooks.client import Reply
from slicer.webhooks.queue import Outcome, QueuedWebhook, Webhook, WebhookQueue
from slicer.webhooks.retry import RetryPolicy
from slicer.webhooks.sign import sign

logger = logging.getLogger(__name__)

EACH_SUBSCRIBER = 16
"""Webhooks under way at once for each, so that none takes the others' turn."""
LOOK_AGAIN = 5.0
"""Seconds after which the queue is looked at in any case: another process may have changed it."""
ID_HEADER = "X-Slicer-Message"

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Where webhooks go, the key that signs them, and headers that each of them has."""

    url: str
    key: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Sender:
    """Sends until it is closed. *subscriber*: by number, or None for one that wants nothing.
    *body*: the bytes of a webhook that is sent now; they may differ from try to try."""

    def __init__(
        self,
        queue: WebhookQueue,
        subscriber: Callable[[int], Subscriber | None],
        body: Callable[[Webhook, datetime], bytes],
        post: Post,
        clock: Clock,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """delivered, failed (tries), given_up, refused (the queue was full), faults (ours)."""
        self._queue, self._subscriber, self._body, self._post = queue, subscriber, body, post
        self._clock, self._policy = clock, policy or RetryPolicy()
        self._under_way: dict[int, tuple[QueuedWebhook, asyncio.Task[None]]] = {}
        """By `seq`."""
        self._failing = set[int]()
        self._one_a_turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._timer: Timer | None = None
        self._closed = False
        self._running = asyncio.ensure_future(self._run())

    @property
    def failing(self) -> int:
        """Subscribers that did not take what was sent last."""
        return len(self._failing)

    async def waiting(self) -> int:
        """Webhooks that are kept and not settled."""
        return await self._queue.waiting()

    async def send(self, webhook: Webhook) -> None:
        """Keep a webhook, then send it; it is on disk when this returns. Nothing is kept for whom
        there is no subscriber."""
        if self._subscriber(webhook.subscriber) is None:
            return
        if not await self._queue.add(webhook, self._now()):
            self.counters["refused"] += 1
            about = {"app": webhook.subscriber}
            logger.warning("! callback %s is lost: too many wait", webhook.id, extra=about)
        self._news.set()

    async def counts(self) -> Mapping[Outcome, int]:
        """How many wait, and how many are given up."""
        return await self._queue.counts()

    async def listed(self, outcome: Outcome, limit: int) -> list[QueuedWebhook]:
        """The latest ones of an outcome, oldest first."""
        return await self._queue.webhooks(outcome, limit=limit)

    async def try_again(self) -> int:
        """Send now what waits for its next try, and anew what was given up. Gives how many."""
        now = self._now()
        count = await self._queue.hurry(now)
        count += await self._queue.resend(now, Outcome.GIVEN_UP)
        self._news.set()
        return count

    async def drop(self, webhook: str, detail: str) -> bool:
        """Send one that waits no more. False where it does not wait, or is under way."""
        under_way = any(queued.webhook.id == webhook for queued, _ in self._under_way.values())
        dropped = not under_way and await self._queue.drop(webhook, detail, self._now())
        self._news.set()
        return dropped

    async def close(self) -> None:
        """End what is under way; what waits is sent by the next process. May be called twice."""
        self._closed = True
        self._news.set()
        await self._running
        if self._under_way:
            await asyncio.wait([task for _, task in self._under_way.values()])

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
        busy = [queued for queued, _ in self._under_way.values()]
        due, upcoming = await asyncio.gather(  # one transaction
            self._queue.due(now, EACH_SUBSCRIBER, busy), self._queue.next_due(now)
        )
        for queued in due:
            task = asyncio.ensure_future(self._deliver(queued))
            self._under_way[queued.seq] = queued, task
        wait = LOOK_AGAIN if upcoming is None else min(upcoming - now, LOOK_AGAIN)
        self._wake_at(began + wait)

    def _wake_at(self, when: float) -> None:
        self._timer = self._clock.call_at(when, self._news.set)

    async def _deliver(self, queued: QueuedWebhook) -> None:
        try:
            # A request begins with half a millisecond of work: a cut need not wait for sixteen.
            async with self._one_a_turn:
                await asyncio.sleep(0)
            await self._try(queued)
        except Exception:
            self._fault(f"the outcome of {queued.webhook.id} cannot be kept")
        else:
            self._news.set()
        finally:
            del self._under_way[queued.seq]

    async def _try(self, queued: QueuedWebhook) -> None:
        tried = self._now()
        reply = await self._request(queued.webhook)
        now = self._now()
        if reply.taken:
            self.counters["delivered"] += 1
            self._recovered(queued.webhook.subscriber)
            await self._queue.settle(queued, Outcome.DELIVERED, reply.detail, now)
            return
        self.counters["failed"] += 1
        self._failed(queued.webhook.subscriber, reply.detail)
        due = self._policy.next_try(queued.since, queued.tries + 1, tried, now)
        if due is None:
            self.counters["given_up"] += 1
            logger.warning(
                "! callback %s is given up: %s",
                queued.webhook.id,
                reply.detail,
                extra={"app": queued.webhook.subscriber},
            )
            await self._queue.settle(queued, Outcome.GIVEN_UP, reply.detail, now)
            return
        logger.debug("callback %s is tried again: %s", queued.webhook.id, reply.detail)
        await self._queue.postpone(queued, due, reply.detail)

    async def _request(self, webhook: Webhook) -> Reply:
        subscriber = self._subscriber(webhook.subscriber)
        if subscriber is None:
            return Reply(False, "there is no subscriber any more")
        data = self._body(webhook, self._wall())
        headers = {
            "Content-Type": "application/json",
            **subscriber.headers,
            "Sign": sign(subscriber.key, data),
            ID_HEADER: webhook.id,
        }
        return await self._post(subscriber.url, data, headers)

    def _failed(self, subscriber: int, detail: str) -> None:
        """Say so once until something is taken."""
        if subscriber not in self._failing:
            self._failing.add(subscriber)
            text = "! callbacks of application %d are not taken, and are tried again: %s"
            logger.warning(text, subscriber, detail, extra={"app": subscriber})

    def _recovered(self, subscriber: int) -> None:
        if subscriber in self._failing:
            self._failing.discard(subscriber)
            text = "+ callbacks of application %d are taken again"
            logger.warning(text, subscriber, extra={"app": subscriber})

    def _fault(self, what: str) -> None:
        """The disk is full, say. Nothing is lost: what is kept is looked at again soon."""
        self.counters["faults"] += 1
        logger.exception("webhooks: %s", what)

    def _wall(self) -> datetime:
        return self._clock.wall(self._clock.now())

    def _now(self) -> float:
        return self._wall().timestamp()
