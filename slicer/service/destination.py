"""The stores of an engine: one connection and one outbox each, shared by the tasks that use it."""

from collections.abc import Callable
from concurrent.futures import Executor

from slicer.clock import Clock
from slicer.errors import SlicerError
from slicer.media.slice import Slice
from slicer.service.job import Job
from slicer.service.outbox import Outbox
from slicer.service.running import RunningTask
from slicer.settings import OutboxSettings
from slicer.storage import Credentials, Receipt, Storage, open_storage


class Destination:
    """One store and its outbox; finds the task that each job belongs to."""

    def __init__(
        self,
        storage: Storage,
        executor: Executor,
        clock: Clock,
        settings: OutboxSettings,
        find: Callable[[str], RunningTask | None],
    ) -> None:
        self.storage = storage
        self.outbox = Outbox(storage, executor, clock, self, settings=settings)
        self.users = 0
        self._find = find

    def on_stored(self, made: Slice, receipt: Receipt) -> None:
        """Tell the task."""
        if task := self._find(made.track.task):
            task.on_stored(made, receipt)

    def on_failed(self, job: Job, error: SlicerError, final: bool) -> None:
        """Tell the task."""
        task = self._find(job.track.task)
        if task is not None and final:
            task.on_lost(job.cut, job.key, str(error))
        elif task is not None:
            task.on_trouble(error)

    def on_overflow(self, count: int) -> None:
        """Each refused slice was told by the task that offered it."""

    async def close(self) -> None:
        """What is still held is lost, and told so."""
        await self.outbox.close()
        await self.storage.close()


class Destinations:
    """Opens each store once for all who use it, and closes it after the last of them."""

    def __init__(
        self,
        executor: Executor,
        clock: Clock,
        settings: OutboxSettings,
        find: Callable[[str], RunningTask | None],
    ) -> None:
        self._executor, self._clock, self._settings, self._find = executor, clock, settings, find
        self._open: dict[tuple[str, Credentials | None], Destination] = {}

    async def take(
        self, url: str, credentials: Credentials | None, check: bool = True
    ) -> Destination:
        """The destination, checked where it is new (or not). Raises BadInput and StorageError."""
        found = self._open.get((url, credentials))
        if found is None:
            storage = open_storage(url, credentials)
            try:
                if check:
                    await storage.check()
            except BaseException:
                await storage.close()
                raise
            # Somebody else may have opened it meanwhile.
            found = self._open.get((url, credentials))
            if found is not None:
                await storage.close()
            else:
                found = self._make(storage)
                self._open[url, credentials] = found
        found.users += 1
        return found

    async def give_back(self, destination: Destination) -> None:
        """One user less; after the last one it is closed."""
        destination.users -= 1
        if destination.users:
            return
        for name, held in list(self._open.items()):
            if held is destination:
                del self._open[name]
        await destination.close()

    def all(self) -> list[Destination]:
        """Those open now."""
        return list(self._open.values())

    def _make(self, storage: Storage) -> Destination:
        return Destination(storage, self._executor, self._clock, self._settings, self._find)
