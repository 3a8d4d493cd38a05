"""rtc-slicer: cuts live rooms into audio slices and pictures. The public names, for embedders."""

from slicer.engine.engine import Engine, TaskStatus
from slicer.engine.events import (
    AnchorWaits,
    Event,
    EventsMissed,
    RobotLeft,
    SliceLost,
    SliceSpooled,
    SliceStored,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackStarted,
)
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
    TaskNotExist,
    Unauthorized,
)
from slicer.errors import TaskFinished as TaskHasFinished
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.settings import Settings
from slicer.slicing.outputs import LeaveCode, State
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials

__version__ = "0.1.0"

__all__ = [
    "AnchorWaits",
    "AudioSpec",
    "BadInput",
    "Credentials",
    "Engine",
    "Event",
    "EventsMissed",
    "ImageFormat",
    "Kind",
    "LeaveCode",
    "LimitReached",
    "MediaError",
    "RobotLeft",
    "RoomError",
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
    "Subscription",
    "TaskFinished",
    "TaskHasFinished",
    "TaskNotExist",
    "TaskSpec",
    "TaskState",
    "TaskStatus",
    "TaskTrouble",
    "TrackEnded",
    "TrackStarted",
    "Unauthorized",
    "VideoSpec",
]
