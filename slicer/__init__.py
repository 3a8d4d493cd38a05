"""rtc-slicer: cuts live rooms into audio slices and pictures. The public names, for embedders."""

from slicer.delivery.judging import Keep
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.slices import SliceStream
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.engine.engine import Engine
from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorTrouble,
    AnchorWaits,
    Event,
    EventsMissed,
    EventStream,
    FactsDiscarded,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceSpooled,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.engine.sample import Sample
from slicer.engine.settings import EngineSettings, Keyframes, Settings, SlicingSettings
from slicer.engine.spec import Moderation, TaskSpec
from slicer.engine.task_status import TaskStatus
from slicer.errors import (
    BadInput,
    LimitReached,
    MediaError,
    ModerationError,
    RoomError,
    SlicerError,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    TaskEnded,
    TaskNotExist,
    Unauthorized,
)
from slicer.http import HttpSettings
from slicer.media.slice import SliceInfo
from slicer.moderation import Finding, Label, Suggest, SupplierSpec, Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.livekit.settings import LiveKitSettings, Quality
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.trtc.settings import TrtcSettings
from slicer.rooms.whep.settings import WhepSettings
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import EndReason, State
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials
from slicer.storage.settings import StorageSettings

__version__ = "0.1.0"

__all__ = [
    "AnchorDropped",
    "AnchorLeft",
    "AnchorTrouble",
    "AnchorWaits",
    "AudioSpec",
    "BadInput",
    "Credentials",
    "EndReason",
    "Engine",
    "EngineSettings",
    "Event",
    "EventStream",
    "EventsMissed",
    "FactsDiscarded",
    "Finding",
    "Fsync",
    "HttpSettings",
    "ImageFormat",
    "JanusSettings",
    "Keep",
    "Keyframes",
    "Kind",
    "Label",
    "LimitReached",
    "LiveKitSettings",
    "MediaError",
    "Moderation",
    "ModerationError",
    "ModerationSettings",
    "OutboxSettings",
    "PicturesMissing",
    "Quality",
    "RobotLeft",
    "Role",
    "RoomAddress",
    "RoomError",
    "RtpSettings",
    "Sample",
    "Settings",
    "SliceInfo",
    "SliceJudged",
    "SliceLost",
    "SliceParams",
    "SliceSettled",
    "SliceSpooled",
    "SliceStored",
    "SliceStream",
    "SliceUnjudged",
    "SlicerError",
    "SlicingSettings",
    "SpoolSettings",
    "State",
    "StorageError",
    "StorageRefused",
    "StorageSettings",
    "StorageUnavailable",
    "StoreRecovered",
    "StreamSettings",
    "Subscription",
    "Suggest",
    "SupplierRecovered",
    "SupplierSpec",
    "SupplierTrouble",
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
    "TrtcSettings",
    "Unauthorized",
    "Verdict",
    "VideoSpec",
    "WhepSettings",
    "WhipSettings",
]
