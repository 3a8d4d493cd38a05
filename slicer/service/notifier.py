"""A task's webhooks: engine events in, the messages of spec 5 out.

Each is offered at least once, whenever the process dies. The id of a message names what it is
about, so the queue keeps it once.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from slicer.clock import Clock
from slicer.engine.events import (
    AnchorDropped,
    AnchorTrouble,
    AnchorWaits,
    Event,
    FactsDiscarded,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackRefused,
)
from slicer.engine.spec import Moderation
from slicer.errors import counted
from slicer.service.leave_code import LEAVE_CODES, LeaveCode
from slicer.service.messages import BucketLocation, Code, Group, Origin
from slicer.service.order import Product
from slicer.service.plan import moderation_of
from slicer.service.registry import Record, Registry
from slicer.slicing.outputs import State, whose
from slicer.storage import Credentials
from slicer.webhooks.queue import Webhook

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds until a message that could not be kept (a full disk, say) is offered again."""

FIRST, UPLOADING = 1, 3
"""The callbacks that a task has once, whoever has it: 1001 or 1101, and 1003 or 1103."""

TOLERANCE = timedelta(milliseconds=10)
"""What `StartTimeMs` promises: a time that is corrected by less is not told again."""

Tell = Callable[[Webhook], Awaitable[None]]


class Notifier:
    """Tells of the registry's tasks. `confirm`, `confirm_verdict`, `lookup` and `moderation` are
    what an Engine asks for."""

    def __init__(
        self,
        registry: Registry,
        tell: Tell,
        clock: Clock,
        raw: bool = False,
        etags: bool = False,
    ) -> None:
        """*raw*: whether results carry the supplier's own answer, too; *etags*: whether 1004 names
        the file's ETag."""
        self._registry, self._tell, self._clock, self._raw = registry, tell, clock, raw
        self._etags = etags
        self._begun: dict[str, asyncio.Event] = {}
        self._numbers: dict[str, int] = {}
        self._uploads: dict[str, asyncio.Lock] = {}
        self._uploading: set[str] = set()

    def lookup(self, _url: str, task: str) -> Credentials | None:
        """The keys that a task's order came with, for slices that the spool still holds."""
        record = self._registry.get(task)
        bucket = record.order.bucket if record else None
        return bucket.credentials if bucket and bucket.credentials.access_key else None

    def moderation(self, task: str) -> Moderation | None:
        """Who judges a task's slices, for those that the spool still holds."""
        record = self._registry.get(task)
        return moderation_of(record.app, record.order) if record else None

    async def confirm(self, event: SliceStored) -> None:
        """Queue the message of a stored slice. Returns once it is on the disk, after the task's
        first message."""
        if record := await self._begun_record(event.task):
            await self._stored(record, event)

    async def confirm_verdict(self, event: SliceJudged | SliceUnjudged) -> None:
        """Queue the message of a verdict, or of its absence, likewise."""
        record = await self._begun_record(event.task)
        if record is None:
            return
        if isinstance(event, SliceJudged):
            await self._judged(record, event)
            return
        moderation = record.order.moderation
        if event.by_choice and moderation is not None and moderation.hits_only:
            return  # it is of no interest to who wants to hear of hits
        slice, code = event.slice, Code.LEFT_OUT if event.by_choice else Code.UNJUDGED
        text = f"a slice of {slice.anchor} is not judged: {slice.key}: {event.reason}"
        await self._say(origin(record).error(event.at, code, text, slice.key))

    def expect(self, task: str) -> None:
        """A task begins, and its record is not there yet: hold back what is confirmed."""
        self._begun[task] = asyncio.Event()

    async def begin(self, record: Record) -> None:
        """Tell the first message; a second time, after a restart, it is kept once."""
        if self._registry.told(record.task) < FIRST:
            await self._say(origin(record).started(self._now()))
            await self._registry.note_told(record.task, FIRST)
        self.over(record.task)

    def over(self, task: str) -> None:
        """The task has begun, or never will."""
        if begun := self._begun.pop(task, None):
            begun.set()

    async def note(self, record: Record, event: Event) -> None:  # noqa: PLR0912 (one for each event)
        """Tell what an event means, if anything.

        A slice that was stored or judged is told by `confirm` or `confirm_verdict` alone. The
        engine awaits that before the task finishes, so the last message comes after it.
        """
        source = origin(record)
        match event:
            case SliceLost(at=at, slice=lost, reason=reason):
                text = f"a slice of {lost.anchor} is lost: {lost.key}: {reason}"
                await self._say(source.error(at, Code.SLICE_LOST, text, lost.key))
            case SliceSettled(late=True):
                await self._settled(source, event)
            case TaskTrouble(at=at, reason=reason):
                await self.trouble(record, at, Code.UPLOAD_TROUBLE, reason)
            case StoreRecovered(at=at, destination=store):
                await self.trouble(record, at, Code.STORE_RECOVERED, f"{store} takes slices again")
            case SupplierTrouble(at=at, reason=reason):
                await self.trouble(record, at, Code.SUPPLIER_TROUBLE, reason)
            case SupplierRecovered(at=at, supplier=supplier):
                text = f"{supplier} judges again"
                await self.trouble(record, at, Code.SUPPLIER_RECOVERED, text)
            case AnchorWaits(at=at, anchor=anchor):
                text = f"{anchor} waits: the task has all the anchors it may take"
                await self.trouble(record, at, Code.ANCHOR_WAITS, text)
            case AnchorTrouble(at=at, anchor=anchor, reason=reason, count=count):
                await self.trouble(record, at, Code.ROOM_TROUBLE, f"{anchor}: {reason} ({count})")
            case AnchorDropped(at=at, anchor=anchor, reason=reason):
                await self.trouble(record, at, Code.ROOM_TROUBLE, f"{anchor} is dropped: {reason}")
            case FactsDiscarded(at=at, count=count):
                text = f"{counted(count, 'fact')} of the room discarded"
                await self.trouble(record, at, Code.ROOM_TROUBLE, text)
            case TrackRefused(at=at, anchor=anchor, kind=kind, reason=reason, role=role):
                text = f"{kind} of {whose(anchor, role)} is refused: {reason}"
                await self.trouble(record, at, Code.TRACK_REFUSED, text)
            case PicturesMissing(at=at, anchor=anchor, reason=reason, role=role):
                text = f"there are no pictures of {whose(anchor, role)}: {reason}"
                await self.trouble(record, at, Code.PICTURES_MISSING, text)
            case TaskState(at=at, state=State.RECONNECTING, reason=reason):
                text = f"the room was lost: {reason}; the robot comes back by itself"
                await self.trouble(record, at, Code.ROOM_TROUBLE, text)
            case RobotLeft(at=at, reason=reason):
                await self.left(record, at, LEAVE_CODES[reason])
            case TaskFinished(at=at, lost=lost):
                await self.all_stored(record, at, lost == 0)

    async def left(self, record: Record, at: datetime, code: LeaveCode) -> None:
        """The robot is gone."""
        await self._say(origin(record).left(at, code))

    async def all_stored(self, record: Record, at: datetime, ok: bool) -> None:
        """The last message."""
        await self._say(origin(record).all_stored(at, ok))
        self._numbers.pop(record.task, None)
        self._uploads.pop(record.task, None)
        self._uploading.discard(record.task)

    async def trouble(
        self, record: Record, at: datetime, code: Code, text: str, unique: str = ""
    ) -> None:
        """Something that may happen several times; *unique*: what is told once alone, also after a
        restart."""
        if not unique:
            number = self._numbers[record.task] = self._numbers.get(record.task, 0) + 1
            unique = f"{at.timestamp():.3f}.{number}"
        await self._say(origin(record).error(at, code, text, unique))

    async def _stored(self, record: Record, event: SliceStored) -> None:
        bucket = record.order.bucket
        if record.order.product is not Product.SLICE or bucket is None:
            return  # what moderation tells is a result, not a file
        source = origin(record)
        location = BucketLocation(bucket.vendor, bucket.region, bucket.bucket)
        await self._say_upload_started(record, source.upload_started(event.at))
        more = {"Url": event.url} if event.url else {}
        if self._etags:
            more["ETag"] = event.etag
        if event.sha256:
            more["Sha256"] = event.sha256
        await self._say(source.file_stored(event.at, event.slice, location, more))

    async def _settled(self, source: Origin, event: SliceSettled) -> None:
        if abs(event.slice.began - event.told) <= TOLERANCE:
            return
        now, before = (round(at.timestamp() * 1000) for at in (event.slice.began, event.told))
        key = event.slice.key
        text = f"StartTimeMs of {key} is {now}, not {before}: its sender's report came late"
        await self._say(source.error(event.at, Code.TIME_SETTLED, text, f"{key}.time"))

    async def _begun_record(self, task: str) -> Record | None:
        """A task's record, once its first message is told: a slice may be done with before Create
        has written the record, and 1001 comes first."""
        if (begun := self._begun.get(task)) is not None:
            await begun.wait()
        return self._registry.get(task)

    async def _judged(self, record: Record, event: SliceJudged) -> None:
        moderation = record.order.moderation
        if moderation is None or (moderation.hits_only and not event.verdict.hit):
            return
        source = origin(record)
        await self._say_upload_started(record, source.upload_started(event.at))
        result = source.result(event.at, event.slice, event.verdict, event.kept, self._raw)
        await self._say(result)

    async def _say_upload_started(self, record: Record, webhook: Webhook) -> None:
        """Say it before a task's first file: once in this process. A restart says it again, and
        its id keeps it once."""
        known = self._registry.told(record.task) >= UPLOADING
        if known or record.task in self._uploading:
            return
        if record.ended is not None:  # of an earlier process; nothing more will come of this task
            await self._say(webhook)
            await self._registry.note_told(record.task, UPLOADING)
            return
        # A second file must not be told while the first one still waits for a full disk.
        async with self._uploads.setdefault(record.task, asyncio.Lock()):
            if record.task not in self._uploading:
                await self._say(webhook)
                await self._registry.note_told(record.task, UPLOADING)
                self._uploading.add(record.task)

    async def _say(self, webhook: Webhook) -> None:
        while True:
            try:
                return await self._tell(webhook)
            except Exception:
                logger.exception("callback %s cannot be kept; it is tried again", webhook.id)
                await self._clock.sleep(PATIENCE)

    def _now(self) -> datetime:
        return self._clock.wall(self._clock.now())


def origin(record: Record) -> Origin:
    """Whose messages a task's are."""
    order, echo = record.order, dict[str, object]()
    group = Group.SLICE if order.product is Product.SLICE else Group.MODERATION
    if order.stream is not None and order.stream.data_id:
        echo["DataId"] = order.stream.data_id
    if order.stream is not None and order.stream.source:
        echo["SourceInfo"] = json.loads(order.stream.source)
    room, user = (order.room_id, order.room_type), order.user_id
    return Origin(record.app, record.task, group, *room, user, echo)
