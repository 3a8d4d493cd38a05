"""Slices as bytes, for a program that embeds the engine: a store whose objects a reader takes.

Theory of operation. `slices:` is the end of the one road that delivery has: an outbox makes, spools
and judges a slice before it, as before any store. Where a store is asked by a PUT, this one waits
for a reader:

    outbox ▶ SliceStore.take: waits ▶ SliceStream gives it ▶ the reader asks for the next one, or
    leaves its block without an error ▶ take returns: stored

So a slice is stored once its reader is done with it, and all that holds for a store holds here. A
reader that fails, or a process that dies, has it given again: at least once, from the spool. Slices
that no reader takes wait within the bounds of the outbox and the spool, and what passes these is
refused as it is cut, and told (`SliceLost`). Each task has an outbox of its own, so that a slow
reader costs that task alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from hashlib import sha256
from types import TracebackType
from typing import Self

from slicer.errors import BadInput
from slicer.media.slice import File, SliceInfo
from slicer.storage import Receipt, Storage

SLICES = "slices:"
"""The URL of this store in a task's order."""


def of_task(field: str, url: str, task: str) -> str:
    """The URL of a task's own store, where it is this one. Raises BadInput for *field*."""
    if not url.startswith(SLICES):
        return url
    if url != SLICES:
        raise BadInput(field, url, f"{SLICES} and nothing behind it")
    return SLICES + task


@dataclass(eq=False, slots=True)
class _Offer:
    """A slice that waits for a reader, or is with one until *done*."""

    info: SliceInfo
    data: bytes
    done: asyncio.Future[None]


class SliceStream:
    """Slices of one task, or of all, in the order of each track. Iterate over it in its block.

    Each is given to one reader. It is done with when the next one is asked for, or the block ends
    without an error; otherwise it is given again. The iteration ends after the task's last slice,
    and when the engine closes.
    """

    def __init__(self, task: str | None, streams: "SliceStreams", *, over: bool) -> None:
        self.task = task
        self._over, self._streams = over, streams
        self._news = asyncio.Event()
        self._current: _Offer | None = None

    def wake(self, *, over: bool = False) -> None:
        """There is a slice; or it is over, and none will come any more."""
        self._over = self._over or over
        self._news.set()

    def close(self, *, done: bool = True) -> None:
        """End the iteration. *done*: whether the slice that was given last is done with."""
        if self._current is not None and not done:
            self._streams.put_back(self._current)
            self._current = None
        self._done()
        self._streams.forget(self)
        self.wake(over=True)

    def __aiter__(self) -> AsyncIterator[tuple[SliceInfo, bytes]]:
        return self

    async def __anext__(self) -> tuple[SliceInfo, bytes]:
        self._done()
        while True:
            self._news.clear()
            if self._streams.has(self) and (offer := self._streams.take(self.task)):
                self._current = offer
                return offer.info, offer.data
            if self._over:
                raise StopAsyncIteration
            await self._news.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close(done=kind is None)

    def _done(self) -> None:
        offer, self._current = self._current, None
        if offer is not None and not offer.done.done():
            offer.done.set_result(None)


class SliceStreams:
    """The slices of an engine that wait for a reader, and their readers."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[_Offer]] = {}
        self._unread: set[_Offer] = set()
        self._readers: dict[str | None, dict[SliceStream, None]] = {}
        self._closed = False

    @property
    def unread(self) -> int:
        """Slices that wait for a reader, or are with one: of each task `outbox.uploads` at most."""
        return len(self._unread)

    def open(self, task: str | None, *, ended: bool = False) -> SliceStream:
        """A reader of one task's slices, which may be yet to come, or of all. *ended*: the task has
        ended, and nothing will come."""
        stream = SliceStream(task, self, over=ended or self._closed)
        self._readers.setdefault(task, {})[stream] = None
        return stream

    async def give(self, info: SliceInfo, data: bytes) -> None:
        """Wait until a reader is done with a slice. Cancelled, it is given to nobody any more."""
        offer = _Offer(info, data, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(info.task, deque()).append(offer)
        self._unread.add(offer)
        self._wake(info.task)
        try:
            await offer.done
        finally:
            self._unread.discard(offer)
            self._remove(offer)

    def take(self, task: str | None) -> _Offer | None:
        """The oldest slice of a task that waits; of all tasks, each in its turn."""
        if task is None:
            task = next(iter(self._waiting), None)
        waiting = self._waiting.pop(task, None) if task is not None else None
        if task is None or waiting is None:
            return None
        offer = waiting.popleft()
        if waiting:
            self._waiting[task] = waiting  # as the last one
        return offer

    def put_back(self, offer: _Offer) -> None:
        """Its reader is not done with it: the next one gets it."""
        if not offer.done.done():
            self._waiting.setdefault(offer.info.task, deque()).appendleft(offer)
            self._wake(offer.info.task)

    def end(self, task: str) -> None:
        """The task has ended: its readers come to their end."""
        for stream in self._readers.get(task, ()):
            stream.wake(over=True)

    def has(self, stream: SliceStream) -> bool:
        """Whether it is open."""
        return stream in self._readers.get(stream.task, ())

    def forget(self, stream: SliceStream) -> None:
        """A reader is gone. May be called twice."""
        if self.has(stream):
            readers = self._readers[stream.task]
            del readers[stream]
            if not readers:
                del self._readers[stream.task]

    def close(self) -> None:
        """End every iteration."""
        self._closed = True
        for readers in self._readers.values():
            for stream in readers:
                stream.wake(over=True)

    def _remove(self, offer: _Offer) -> None:
        waiting = self._waiting.get(offer.info.task)
        if waiting is not None and offer in waiting:
            waiting.remove(offer)
            if not waiting:
                del self._waiting[offer.info.task]

    def _wake(self, task: str) -> None:
        for key in (task, None):
            for stream in self._readers.get(key, ()):
                stream.wake()


class SliceStore:
    """The store of a task whose slices a reader takes."""

    def __init__(self, streams: SliceStreams) -> None:
        self._streams = streams

    @property
    def label(self) -> str:
        return SLICES

    async def check(self) -> None:
        """A reader may come later."""

    async def take(self, file: File) -> Receipt:
        """Return once a reader is done with it. What is no slice, a transcript, has no reader."""
        if isinstance(file.info, SliceInfo):
            await self._streams.give(file.info, file.data)
        return Receipt(file.info.key, len(file.data), "")

    async def close(self) -> None:
        """Nothing is open."""


Store = Storage | SliceStore
"""What an outbox delivers to."""


async def put(store: Store, file: File, *, checksum: bool = False) -> Receipt:
    """Store one file; *checksum*: with the SHA-256 of its bytes. Raises StorageError."""
    # A picture of 1 MB takes milliseconds where the CPU has no instructions for it.
    digest = (await asyncio.to_thread(sha256, file.data)).hexdigest() if checksum else ""
    if isinstance(store, SliceStore):
        receipt = await store.take(file)
    else:
        receipt = await store.put(file.info.key, file.data, file.content_type, file.metadata)
    return replace(receipt, sha256=digest) if checksum else receipt
