"""rtc-slicer: cuts live rooms into audio slices and pictures. The public names, for embedders."""

from slicer.engine.engine import Engine, TaskStatus
from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorWaits,
    Event,
    EventsMissed,
    FactsDiscarded,
    RobotLeft,
    SliceLost,
    SliceSpooled,
    SliceStored,
    StoreRecovered,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.engine.metrics import Sample
from slicer.engine.settings import Settings
from slicer.engine.spec import TaskSpec
from slicer.errors import (
    BadInput,
    LimitReached,
    MediaError,
    RoomError,
    SlicerError,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    TaskEnded,
    TaskNotExist,
    Unauthorized,
)
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import EndReason, State
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials

__version__ = "0.1.0"

__all__ = [
    "AnchorDropped",
    "AnchorLeft",
    "AnchorWaits",
    "AudioSpec",
    "BadInput",
    "Credentials",
    "EndReason",
    "Engine",
    "Event",
    "EventsMissed",
    "FactsDiscarded",
    "ImageFormat",
    "Kind",
    "LimitReached",
    "MediaError",
    "RobotLeft",
    "RoomError",
    "Sample",
    "Settings",
    "SliceInfo",
    "SliceLost",
    "SliceParams",
    "SliceSpooled",
    "SliceStored",
    "SlicerError",
    "State",
    "StorageError",
    "StorageRefused",
    "StorageUnavailable",
    "StoreRecovered",
    "Subscription",
    "TaskEnded",
    "TaskFinished",
    "TaskNotExist",
    "TaskSpec",
    "TaskState",
    "TaskStatus",
    "TaskTrouble",
    "TrackEnded",
    "TrackRefused",
    "TrackStarted",
    "Unauthorized",
    "VideoSpec",
]
