"""What a request of the API orders, after every check; and who takes orders."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from slicer.delivery.judging import Keep
from slicer.engine.task_status import TaskStatus
from slicer.moderation import SupplierSpec
from slicer.service.applications import Application
from slicer.service.audio import AudioFile, JudgedAudio
from slicer.slicing.spec import ImageFormat, SliceParams
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials


class Product(Enum):
    """What a task is of; the value is what the registry keeps."""

    SLICE = 10
    MODERATION = 11
    LIVE = 12
    """Moderation of a stream instead of a room."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the customer wants slices: TRTC's six storage fields, validated."""

    vendor: int
    region: str
    bucket: str
    credentials: Credentials
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moderation:
    """What a moderation task does with slices, and of which verdicts it tells."""

    supplier: SupplierSpec
    keep: Keep = Keep.NONE
    hits_only: bool = False


@dataclass(frozen=True, slots=True)
class LiveStream:
    """A stream that is moderated, and what its callbacks echo.

    *url*: as the customer named it, which may hold a secret; *source*: SourceInfo as it came, as
    JSON, or nothing.
    """

    url: str = field(repr=False)
    anchor: str = ""
    data_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """One Create request. *room_type*: 1 integer, 0 string; *bucket* None: nothing is kept;
    *stream*: what is sliced instead of a room, whose id is then a name alone."""

    product: Product
    room_id: str
    room_type: int
    user_id: str
    params: SliceParams
    images: ImageFormat
    bucket: Bucket | None
    expire_hours: int
    moderation: Moderation | None = None
    stream: LiveStream | None = None


class OrderTaker(Protocol):
    """Carries orders out. `describe`, `modify` and `delete` raise TaskNotExist for an id unknown,
    expired, of another application or of the other product, and TaskEnded for one that ended.
    What `create`, `modify` and `delete` were told is on disk before they return."""

    async def create(self, app: Application, order: Order) -> str:
        """The new task's id. Raises LimitReached, RoomError, BadInput (`vendor`: no such store
        here; `room_id`, `stream`: no pattern or no room for it); StorageError never: a store that
        fails later is told by callback."""
        ...

    async def describe(self, app: Application, product: Product, task: str) -> TaskStatus: ...

    async def modify(
        self, app: Application, product: Product, task: str, lists: Subscription
    ) -> None: ...

    async def delete(self, app: Application, product: Product, task: str) -> None: ...

    def whip_url(self, task: str) -> str:
        """Where publishers reach the room of a task, without the user that follows, if it is one
        of ours and not all rooms are at one process; else nothing."""
        ...

    async def judge(self, audio: AudioFile, supplier: str) -> JudgedAudio:
        """Have a file judged. Raises BadInput (`audio`: none that can be read; `supplier`)."""
        ...


__all__ = [
    "Application",
    "Bucket",
    "LiveStream",
    "Moderation",
    "Order",
    "OrderTaker",
    "Product",
    "SupplierSpec",
]
