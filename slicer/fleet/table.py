"""The records of all tasks: written on the bus by compare-and-set, read by everybody, in one order.

They are a JetStream key-value bucket, BUCKET_tasks, with the tasks' ids as keys. Each process reads
all changes in their order and keeps the latest record of each task, so that looking one up never
waits. `read` says up to which write it has come: a write of its own, a *barrier* under the key
`barrier.NAME`, is among them, and shows that everything before it has been read (fence.py). Under
`told.TASK` its workers say which of its first callbacks have been told (`note_told`).

A record is signed, together with the revision that it replaces. One that is not of this fleet, or
replaces an older revision than is known and so was sent once more, is left alone: what was known of
its task goes on to hold, and is written over it (`restore`). Until that is done, a worker does not
know whether the task is still its own (`is_certain`). Who writes over it may have missed the change
before; then whoever made that change sees a record of this fleet that has had fewer changes
(`TaskRecord.changes`), and writes its own again.

A consumer of JetStream that lives on a server which dies comes back late, by seconds. So the latest
revision is asked for each CHECK seconds, and where what is missing does not come, another consumer
is made from there.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from slicer.errors import BadInput, BusUnavailable, counted
from slicer.fleet.bus import SYNC, Bus, unavailable, until_ready
from slicer.fleet.record import FORMAT, TaskRecord, from_json, to_json

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

logger = logging.getLogger(__name__)

CHECK = 1.0
"""Seconds between two looks at whether all has been read."""
TIMEOUT = 2.0
"""Seconds within which a write must be acknowledged."""
PATIENCE = 3.0
"""Seconds for which a server that has no JetStream is taken for one that starts just now."""
WRONG_REVISION = {10071, 10164}
"""JetStream's codes of a compare-and-set that lost."""
NO_JETSTREAM = {10039, 10076}
"""JetStream's codes where a server or an account has none."""
JETSTREAM = "servers with JetStream (nats-server -js), and an account that has it"
MARK = "rtc-slicer, format"
"""What the bucket's description says before FORMAT; one that was made by hand may say anything."""
MAX_FOREIGN = 10_000
"""Keys of which it is remembered that what is there is not of this fleet."""
TOLD = "told."
"""What the keys begin with that say which of a task's first callbacks have been told."""
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class _Foreign(NamedTuple):
    """What lies where a record should. *record*: one of this fleet, whose writer had missed a
    change; or None."""

    revision: int
    record: TaskRecord | None = None


class Table:
    """The records, for the loop's thread. *on_record* is called for each that is new, in the order
    of revisions for each task; *on_read* with each revision up to which all has been read."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._js: JetStreamContext = bus.js
        self._bucket = f"{bus.bucket}_tasks"
        self._stream = f"KV_{self._bucket}"
        self._prefix = f"$KV.{self._bucket}."
        self.records: dict[str, TaskRecord] = {}
        self.told: dict[str, int] = {}
        """Of a task, the last of its first callbacks that has been told (`note_told`)."""
        self.read = 0
        self.absence = ""
        """Why nothing can be read or written just now, though a server may be there; or nothing."""
        self.on_record: list[Callable[[TaskRecord], None]] = []
        self.on_read: list[Callable[[int], None]] = []
        self._foreign: dict[str, _Foreign] = {}
        """Keys where something lies that is not of this fleet, is old, or lacks a change."""
        self._following = 0
        self._subscription: JetStreamContext.PushSubscription | None = None
        self._expected = 1
        self._watching: asyncio.Task[None] | None = None
        self._closed = False
        self._unanswered = 0.0

    async def open(self, replicas: int) -> None:
        """Make the bucket, if need be, and read it; servers that start just now are waited for.
        Raises BadInput and BusUnavailable."""
        deadline = time.monotonic() + SYNC
        try:
            await until_ready(partial(self._make, replicas), SYNC)
            last = await until_ready(self._begin, deadline - time.monotonic())
            # What came last may be of a task that is forgotten: it sees that nothing more comes.
            self._watching = asyncio.ensure_future(self._watch())
            async with asyncio.timeout(max(deadline - time.monotonic(), CHECK)):
                await self._until_read(last)
        except (BusUnavailable, TimeoutError) as error:
            if self._bus.denied:
                allowed = "permissions as samples/nats/nats.conf gives them"
                raise BadInput("fleet.user", self._bus.denied[0], allowed) from None
            reason = str(error) or "what is there does not come"
            text = f"{self._bucket} cannot be read within {SYNC:g} s: {reason}"
            raise BusUnavailable(text) from None
        if self._foreign:
            text = "! %s of %s left alone: not signed by these keys (SLICER_STATE_KEY)"
            logger.warning(text, counted(len(self._foreign), "record"), self._bucket)

    def check_keys(self) -> None:
        """Raise BadInput where there are records, and these keys have signed none of them."""
        if self._foreign and not self.records:
            signed = f"the keys that the records of {self._bucket} are signed with"
            allowed = f"{signed}; `slicer fleet purge` removes what is nobody's"
            raise BadInput("SLICER_STATE_KEY", "other keys", allowed)

    @property
    def foreign(self) -> int:
        """How many records lie there that are not of this fleet."""
        return len(self._foreign)

    def is_certain(self, task: str) -> bool:
        """Whether what is known of a task is what lies there, as far as has been read."""
        return task not in self._foreign

    async def restore(self, *, old: bool = False) -> None:
        """Write what is known of tasks over what has been put in its place; *old*: only over
        records of this fleet that lack a change, which anybody may do who knows it. Raises
        BusUnavailable."""
        for task, there in list(self._foreign.items()):
            known = self.records.get(task)  # it may be forgotten meanwhile
            if known is None:
                continue
            if there.record is not None:
                # Whoever has the task by that record may have delivered slices meanwhile: what was
                # cut by this one would double them.
                mine, theirs = ((one.epoch, one.worker) for one in (known, there.record))
                epoch = max(known.epoch, there.record.epoch) + (mine != theirs)
                await self.write(replace(known, epoch=epoch))
            elif not old:
                await self._write(known)

    def foreign_keys(self) -> list[str]:
        """Where something lies that is not of this fleet, and nothing is known that could be
        written over it."""
        return sorted(self._foreign.keys() - self.records.keys())

    async def purge(self, key: str) -> bool:
        """Write over what is not of this fleet that it is gone, and keep that: a process that knows
        a record of this key writes it again. Gives False where something else is there by now.
        Raises BusUnavailable."""
        there = self._foreign.get(key)
        if there is None or key in self.records:
            return False
        # Under "*" or ">" the servers would compare with the last revision of all keys.
        about = "" if {"*", ">"} & set(key.split(".")) else str(there.revision)
        headers = {_EXPECTED: about} if about else {}
        signed = self._bus.signed(self._prefix + key, b"", about)
        if await self._publish(key, b"", {**headers, **signed}) is None:
            return False
        self._foreign.pop(key, None)
        return True

    async def _begin(self) -> int:
        """Begin to read. Gives the last revision by then. Raises BadInput and BusUnavailable."""
        await self._check_format()
        last = await self._last()
        await self._follow()
        return last

    async def _make(self, replicas: int) -> None:
        """Make the bucket. Raises BadInput and BusUnavailable."""
        from nats.js.api import KeyValueConfig  # noqa: PLC0415
        from nats.js.errors import APIError, ServiceUnavailableError  # noqa: PLC0415

        config = KeyValueConfig(self._bucket, description=f"{MARK} {FORMAT}", replicas=replicas)
        try:
            # History 1, all reads by the leader: a replica that lags would show what was.
            await self._js.create_key_value(config)
        except ServiceUnavailableError as error:
            now = asyncio.get_running_loop().time()
            self._unanswered = self._unanswered or now
            patient = error.err_code is None and now - self._unanswered < PATIENCE
            if error.err_code in NO_JETSTREAM or (error.err_code is None and not patient):
                raise BadInput("fleet.servers", "no JetStream", JETSTREAM) from None
            raise unavailable(error) from None
        except APIError as error:
            if error.err_code in NO_JETSTREAM:
                raise BadInput("fleet.servers", "no JetStream", JETSTREAM) from None
            if error.code != 400 or not await self._there():
                allowed = f"what these servers can keep ({error.description})"
                raise BadInput("fleet.replicas", replicas, allowed) from None
        except Exception as error:
            raise unavailable(error) from None

    async def _check_format(self) -> None:
        """Raise BadInput for a bucket that another version made, or that loses records."""
        config = await self._bus.stream_settings(self._stream)
        mark, _, version = (config.description or "").rpartition(" ")
        if mark == MARK and version != str(FORMAT):
            allowed = f"format {FORMAT}, or another fleet.bucket: another version made this one"
            raise BadInput("fleet.bucket", f"{self._bucket} of format {version}", allowed)
        if config.max_age:
            allowed = "a bucket without a TTL: records would be lost"
            raise BadInput("fleet.bucket", f"{self._bucket}, TTL {config.max_age:g} s", allowed)

    async def write(self, record: TaskRecord) -> TaskRecord | None:
        """Write a record, unless there is a later one than its revision (0: unless there is one).
        Gives it with its new revision, or None. Raises BusUnavailable: it may be written or not."""
        return await self._write(replace(record, changes=record.changes + 1))

    async def _write(self, record: TaskRecord) -> TaskRecord | None:
        known, expected = self.records.get(record.task), record.revision
        if expected == (known.revision if known is not None else 0):
            expected = max(expected, self._foreign_revision(record.task))
        about, data = str(expected), to_json(record)
        signed = self._bus.signed(self._prefix + record.task, data, about)
        revision = await self._publish(record.task, data, {_EXPECTED: about, **signed})
        if revision is None:
            return None
        written = replace(record, revision=revision)
        self.learn(written)
        return written

    async def note_told(self, task: str, number: int) -> None:
        """Keep that a task's first callbacks were told up to this one: the stream of facts soon
        forgets their ids, and whoever takes the task over would tell them again. Raises
        BusUnavailable."""
        key, data = TOLD + task, str(number).encode()
        await self._publish(key, data, self._bus.signed(self._prefix + key, data))
        self.told[task] = number

    async def barrier(self, name: str) -> int:
        """Write something that means nothing. Gives its revision. Raises BusUnavailable."""
        revision = await self._publish(f"barrier.{name}", b"", {})
        assert revision is not None
        return revision

    def learn(self, record: TaskRecord) -> None:
        """Take a record from elsewhere; an old one means nothing."""
        known = self.records.get(record.task)
        if known is None or (known.revision < record.revision and known.changes <= record.changes):
            self.records[record.task] = record
            if self._foreign_revision(record.task) < record.revision:
                self._foreign.pop(record.task, None)
            for callback in self.on_record:
                callback(record)

    async def latest(self, task: str) -> TaskRecord | None:
        """Ask for a task's record. Raises BusUnavailable."""
        from nats.js.errors import NotFoundError  # noqa: PLC0415

        try:
            found = await self._js.get_msg(self._stream, subject=self._prefix + task)
        except NotFoundError:
            return None
        except Exception as error:
            raise unavailable(error) from None
        data = found.data or b""
        self._take(self._prefix + task, data, found.headers or {}, found.seq or 0)
        return self.records.get(task)

    async def forget(self, task: str) -> None:
        """Take a task out, for good. Raises BusUnavailable: it may be out or not, and is known
        until that is tried again."""
        self._bus.check_connected()
        try:
            for key in (task, TOLD + task):
                await self._js.purge_stream(self._stream, subject=self._prefix + key)
        except Exception as error:
            raise unavailable(error) from None
        self.drop(task)

    def drop(self, task: str) -> None:
        """Know no more of a task that is over; who may take it out does so."""
        self.records.pop(task, None)
        self._foreign.pop(task, None)
        self.told.pop(task, None)

    async def close(self) -> None:
        """May be called twice."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._leave()

    async def _until_read(self, revision: int) -> None:
        come = asyncio.Event()
        self.on_read.append(lambda read: come.set() if read >= revision else None)
        if self.read < revision:
            await come.wait()
        self.on_read.pop()

    async def _publish(self, key: str, data: bytes, headers: dict[str, str]) -> int | None:
        from nats.js.errors import APIError  # noqa: PLC0415

        self._bus.check_connected()
        subject = self._prefix + key
        try:
            ack = await self._js.publish(subject, data, TIMEOUT, headers=headers or None)
        except APIError as error:
            if error.err_code in WRONG_REVISION:
                return None
            raise self._absent(error) from None
        except Exception as error:
            raise self._absent(error) from None
        return ack.seq

    def _absent(self, error: Exception) -> BusUnavailable:
        """Note that a write failed: a server whose disk is full still answers who reads."""
        absent = unavailable(error)
        self.absence = str(absent)
        return absent

    async def _there(self) -> bool:
        """Whether the bucket is there, with other settings than ours."""
        with contextlib.suppress(Exception):
            await self._js.stream_info(self._stream)
            return True
        return False

    async def _last(self) -> int:
        try:
            info = await self._js.stream_info(self._stream)
        except Exception as error:
            raise unavailable(error) from None
        return info.state.last_seq

    async def _follow(self) -> None:
        """Read on from where we are, by a consumer that is new."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy  # noqa: PLC0415

        await self._leave()
        self._following += 1
        self._expected, following, last = 1, self._following, await self._last()
        begins = DeliverPolicy.BY_START_SEQUENCE if self.read else DeliverPolicy.LAST_PER_SUBJECT
        config = ConsumerConfig(
            deliver_policy=begins,
            opt_start_seq=self.read + 1 if self.read else None,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=30.0,
        )

        async def on_message(message: "Msg") -> None:
            if following == self._following:
                await self._receive(message)

        try:
            self._subscription = await self._js.subscribe(
                f"{self._prefix}>",
                stream=self._stream,
                config=config,
                cb=on_message,
                manual_ack=True,
                flow_control=True,
                idle_heartbeat=5.0,
            )
            info = await self._subscription.consumer_info()
        except Exception as error:
            raise unavailable(error) from None
        # Nothing is there to be read: what came last is of a task that is forgotten.
        if not info.num_pending and info.delivered and not info.delivered.consumer_seq:
            self._advance(last)

    async def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(Exception):  # it is gone with its server
                await subscription.unsubscribe()

    async def _receive(self, message: "Msg") -> None:
        sequence = message.metadata.sequence
        if sequence.consumer != self._expected:
            logger.debug("bus: messages are missing, they are read again")
            self._following += 1  # `_watch` sees that nothing comes any more
            return
        self._expected += 1
        self._take(message.subject, message.data, message.headers or {}, sequence.stream)
        self._advance(sequence.stream)

    def _take(self, subject: str, data: bytes, headers: Mapping[str, str], revision: int) -> None:
        key = subject.removeprefix(self._prefix)
        if key.startswith("barrier."):  # it says nothing but that it was written
            return
        if key.startswith(TOLD):
            if data.isdigit() and self._bus.is_ours(subject, data, headers):
                task = key.removeprefix(TOLD)
                self.told[task] = max(self.told.get(task, 0), int(data))
            return
        known = self.records.get(key)
        if known is not None and known.revision >= revision:
            return
        about = headers.get(_EXPECTED, "")
        if not self._bus.is_ours(subject, data, headers, about):
            self._leave_alone(key, _Foreign(revision))
            return
        if not data:  # `purge`, by a process that knew no record; it may be sent once more, too
            if known is None:
                self._foreign.pop(key, None)
            else:
                self._leave_alone(key, _Foreign(revision))
            return
        try:
            found = from_json(key, data, revision)
        except BadInput as error:
            logger.warning("! %s", error)
            return
        # A record of ours replaces what is known, or what came after it. The servers read the
        # header by rules of their own: an old record that they took is none, though it was signed.
        if known is not None and not _is_from(about, known.revision):
            self._leave_alone(key, _Foreign(revision))
        elif known is not None and found.changes < known.changes:  # its writer missed a change
            self._leave_alone(key, _Foreign(revision, found))
        else:
            self.learn(found)

    def _leave_alone(self, key: str, found: _Foreign) -> None:
        room = key in self.records or len(self._foreign) < MAX_FOREIGN
        if room and found.revision > self._foreign_revision(key):
            self._foreign[key] = found

    def _foreign_revision(self, key: str) -> int:
        found = self._foreign.get(key)
        return found.revision if found is not None else 0

    def _advance(self, revision: int) -> None:
        if revision > self.read:
            self.read = revision
            for callback in self.on_read:
                callback(revision)

    async def _watch(self) -> None:
        """See to it that everything is read, whatever becomes of the servers."""
        before = self.read
        while not self._closed:
            await asyncio.sleep(CHECK)
            try:
                if self.absence:
                    await self.barrier("check")
                if self.read == before and self.read < await self._last():
                    await self._follow()
                await self.restore(old=True)
            except BusUnavailable as error:
                logger.debug("bus: %s", error)
                self.absence = str(error)
            else:
                self.absence = ""
            before = self.read


def _is_from(text: str, least: int) -> bool:
    """Whether a text is a revision, and this one or a later one."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) >= least
