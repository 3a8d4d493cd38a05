"""One task as its owner orders it; checked as a whole before anything starts."""

from dataclasses import dataclass, field

from slicer.delivery.judging import Keep
from slicer.moderation import SupplierSpec
from slicer.slicing.spec import ImageFormat, SliceParams
from slicer.storage import Credentials


@dataclass(frozen=True, slots=True)
class Moderation:
    """Have each slice judged, by this account, before it is stored; keep none, all, or the hits.
    *app*: two applications that name one account share what the supplier allows it, and nothing
    else: neither a circuit nor a request."""

    supplier: SupplierSpec
    keep: Keep = Keep.NONE
    app: int = 0


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Slice *room* (a room URL) *to* a store (a storage URL).

    *user*: the robot's user id, unique in its room; *prefix*: folders above the task's own;
    *app* and *room_id*: the names in the files' names (*room_id*: the room's, where empty);
    *credentials*: for the store, else its vendor's usual places are looked into; *backup*: a store
    that takes slices while the first one fails for longer than `outbox.backup_after`; *manifest*:
    at its end the task stores `manifest.json`, a list of what it has cut; *task*: the
    id to run under, where it is not a new one; *check_store*: a store that would refuse fails the
    creation, otherwise it is checked in the background, and a failure is a `TaskTrouble`;
    *moderation*: who judges slices, if anybody does.
    """

    room: str = field(repr=False)  # it may hold a secret, which `rooms.redaction.shown` masks
    to: str
    params: SliceParams = field(default_factory=SliceParams)
    images: ImageFormat = ImageFormat.PNG
    user: str = "slicer"
    prefix: tuple[str, ...] = ()
    app: int = 0
    room_id: str = ""
    credentials: Credentials | None = None
    backup: str = ""
    backup_credentials: Credentials | None = None
    manifest: bool = False
    task: str = ""
    check_store: bool = True
    moderation: Moderation | None = None
