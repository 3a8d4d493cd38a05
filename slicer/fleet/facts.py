"""What customers are to be told: facts in a stream that survives whoever writes and reads them.

A worker publishes each under the id of its message, so that the stream keeps it once, also where a
successor says the same. Each application has PARTITIONS consumers; a line (all that is told of one
task) is always in the same one, which gives its facts out one at a time. So a line keeps its order,
whichever copy of the API asks next, and whatever becomes of the one that asked before.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

from slicer.fleet.bus import SYNC, Bus, unavailable, until_ready

if TYPE_CHECKING:
    from nats.aio.msg import Msg

logger = logging.getLogger(__name__)

PARTITIONS = 64
"""Facts of one application that are told at the same time, at most. One that is not taken holds up
all lines of its partition until it is taken or given up."""
UNCLAIMED = 7 * 86_400.0
"""Seconds for which facts of an application are kept that no copy of the API has in its settings.
The stream itself drops nothing by age: what it drops, nobody would be told of."""
MAX_BYTES = 1024**3
"""Bytes of all facts that wait. One more is refused, and stays with the worker that has it: nothing
that waits is dropped for it."""
REMEMBERED = 600.0
"""Seconds for which a fact that comes a second time is known by its id."""
ACK_WAIT = 30.0
"""Seconds after which a fact whose reader has died is given to another one."""
HANDLED = 6.0
"""Seconds that telling a fact takes at most: a POST's time-out, and a little more."""
FRESH = ACK_WAIT - HANDLED
"""Seconds after which nobody begins to tell a fact that he was given: another one may have it."""
WAIT = 5.0
"""Seconds that one request for the next fact waits."""
AGAIN = 1.0
"""Seconds until a stream that cannot be read is read again."""
ACK_AGAIN = 0.25
"""Seconds until a server that has not said that a fact is done with is told so again."""
UNVERIFIED = 3_600.0
"""Seconds after which a fact that cannot be verified is given up: long enough to restart a fleet,
one process after another, with other keys or another version, and to put back a key that was taken
away too soon. A forged one holds up what comes after it in its partition for no longer."""
UNVERIFIED_AGAIN = 5.0
"""Seconds until it is looked at again, by this copy of the API or another one."""
TELL = 60.0
"""Seconds between two lines of the log about facts that were given up so."""
MESSAGE_ID = "Nats-Msg-Id"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to tell. *since*: when it was published; *tries*: how often it was given out, this
    time included."""

    data: bytes
    since: datetime
    tries: int


Handle = Callable[[Fact], Awaitable[float | None]]
"""Tells a fact; gives None once it is done with, or the seconds until it is to be tried again."""


class Facts:
    """The stream BUCKET_facts."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self._stream = bus, f"{bus.bucket}_facts"
        self.counters = Counter[str]()
        """unverified: facts that were given up, for nobody could verify them."""
        self._told = -TELL

    async def open(self, replicas: int) -> None:
        """Make the stream, if need be; servers that are without a leader are waited for. Raises
        BadInput and BusUnavailable."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig  # noqa: PLC0415

        config = StreamConfig(
            self._stream,
            subjects=[f"{self._bus.bucket}.facts.*.*"],
            retention=RetentionPolicy.WORK_QUEUE,  # the consumers' subjects are disjoint
            discard=DiscardPolicy.NEW,
            num_replicas=replicas,
            max_bytes=MAX_BYTES,
            duplicate_window=REMEMBERED,
        )
        await until_ready(partial(self._bus.make_stream, config), SYNC)
        found = await until_ready(partial(self._bus.stream_settings, self._stream), SYNC)
        if found.max_age:
            text = "! %s drops callbacks after %g s (max_age), and nobody is told; set it to 0"
            logger.warning(text, self._stream, found.max_age)

    async def unclaimed(self, apps: Collection[int]) -> dict[int, tuple[int, bool]]:
        """Of each application but these: how many facts wait, and whether all have done so for
        longer than UNCLAIMED. Raises BusUnavailable."""
        js, prefix = self._bus.js, f"{self._bus.bucket}.facts."
        found = dict[int, tuple[int, bool]]()
        try:
            state = (await js.stream_info(self._stream, f"{prefix}>")).state
            now = await self._bus.server_time(self._stream)
            counts = Counter[int]()
            for subject, count in (state.subjects or {}).items():
                counts[int(subject.removeprefix(prefix).partition(".")[0])] += count
            for app in counts.keys() - set(apps):
                last = await js.get_msg(self._stream, subject=f"{prefix}{app}.*")
                old = last.time is not None and (now - last.time).total_seconds() > UNCLAIMED
                found[app] = counts[app], old
        except Exception as error:
            raise unavailable(error) from None
        return found

    async def count(self) -> int:
        """How many wait, of all applications. Raises BusUnavailable."""
        self._bus.check_connected()
        try:
            return (await self._bus.js.stream_info(self._stream)).state.messages
        except Exception as error:
            raise unavailable(error) from None

    async def drop(self, app: int) -> None:
        """Give up all that waits for an application. Raises BusUnavailable."""
        try:
            subject = f"{self._bus.bucket}.facts.{app}.*"
            await self._bus.js.purge_stream(self._stream, subject=subject)
        except Exception as error:
            raise unavailable(error) from None

    async def publish(self, app: int, line: str, name: str, data: bytes) -> None:
        """Have a fact told, once for each *name*. Raises BusUnavailable: it may be kept or not; it
        is not where the stream is full."""
        self._bus.check_connected()
        subject = f"{self._bus.bucket}.facts.{app}.{partition_of(line)}"
        try:
            headers = {MESSAGE_ID: name, **self._bus.signed(subject, data)}
            await self._bus.js.publish(subject, data, headers=headers)
        except Exception as error:
            raise unavailable(error) from None

    async def tell(self, app: int, handle: Handle) -> None:
        """Have an application's facts handled by this process, as they come, until it is
        cancelled; it ends once what is under way is done with."""
        under_way = set[asyncio.Task[None]]()

        async def finish(message: "Msg") -> None:
            """Told and not done with, it would be told once more."""
            handling = asyncio.ensure_future(self._handle(message, handle))
            under_way.add(handling)
            handling.add_done_callback(under_way.discard)
            await asyncio.shield(handling)

        try:
            await asyncio.gather(*(self._tell(app, number, finish) for number in range(PARTITIONS)))
        finally:
            if under_way:
                await asyncio.wait(under_way, timeout=HANDLED)
            for one in under_way:
                one.cancel()

    async def _tell(
        self, app: int, number: int, finish: Callable[["Msg"], Awaitable[None]]
    ) -> None:
        while True:
            try:
                await self._read(app, number, finish)
            except Exception as error:
                reason = str(error) or type(error).__name__
                logger.debug("bus: facts of %d cannot be read: %s", app, reason)
                await asyncio.sleep(AGAIN)

    async def _read(
        self, app: int, number: int, finish: Callable[["Msg"], Awaitable[None]]
    ) -> None:
        from nats.errors import TimeoutError as NothingNew  # noqa: PLC0415
        from nats.js.api import AckPolicy, ConsumerConfig  # noqa: PLC0415

        name = f"app-{app}-{number}"
        config = ConsumerConfig(
            durable_name=name,
            filter_subject=f"{self._bus.bucket}.facts.{app}.{number}",
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_ack_pending=1,
        )
        await self._bus.js.add_consumer(self._stream, config)
        subscription = await self._bus.js.pull_subscribe_bind(name, self._stream)
        try:
            while True:
                asked, messages = time.monotonic(), list["Msg"]()
                with contextlib.suppress(NothingNew):
                    messages = await subscription.fetch(1, WAIT)
                # Who was frozen may have been given one so long ago that another reader has it; it
                # may still be on its way to this subscription, too.
                if time.monotonic() - asked >= FRESH:
                    return
                for message in messages:
                    await finish(message)
        finally:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()

    async def _handle(self, message: "Msg", handle: Handle) -> None:
        # A customer would be told it in our name.
        if not self._bus.is_ours(message.subject, message.data, message.headers):
            await self._keep_or_give_up(message)
            return
        metadata = message.metadata
        since = metadata.timestamp.astimezone(UTC)
        try:
            wait = await handle(Fact(message.data, since, metadata.num_delivered or 1))
        except Exception:
            logger.exception("! a fact of %s cannot be told; it is tried again", message.subject)
            wait = ACK_WAIT
        if wait is None:
            await self._done_with(message)
        else:
            await message.nak(wait)

    async def _done_with(self, message: "Msg") -> None:
        """Have a fact forgotten. A server that dies with the answer may have kept it or not: it is
        told again where nobody says so before another reader is given it. To say so later does no
        harm, for it has been told; after ACK_WAIT more it has been given out in any case."""
        until = time.monotonic() + ACK_WAIT
        while True:
            try:
                await message.ack_sync()
            except Exception:
                if time.monotonic() >= until:
                    raise
            else:
                return
            if not await self._waits(message):
                return
            await asyncio.sleep(ACK_AGAIN)

    async def _waits(self, message: "Msg") -> bool:
        """Whether a fact is in the stream, unless nobody says that it is not. What is done with is
        taken out, and then no server answers who says so once more."""
        from nats.js.errors import NotFoundError  # noqa: PLC0415

        try:
            await self._bus.js.get_msg(self._stream, message.metadata.sequence.stream)
        except NotFoundError:
            return False
        except Exception as error:
            logger.debug("bus: a fact cannot be looked for: %s", error)
        return True

    async def _keep_or_give_up(self, message: "Msg") -> None:
        """See to a fact that cannot be verified. Another copy may have its key, or this one soon.
        Raises BusUnavailable."""
        now = await self._bus.server_time(self._stream)
        age = (now - message.metadata.timestamp.astimezone(UTC)).total_seconds()
        if age < UNVERIFIED:
            await message.nak(UNVERIFIED_AGAIN)
            return
        await self._done_with(message)
        self.counters["unverified"] += 1
        if time.monotonic() - self._told >= TELL:
            self._told = time.monotonic()
            text = "! %s: a callback that no key verified for %g s is given up (%d so far)"
            logger.warning(text, message.subject, UNVERIFIED, self.counters["unverified"])


def partition_of(line: str) -> int:
    """Where the facts of a line wait."""
    return crc32(line.encode()) % PARTITIONS
