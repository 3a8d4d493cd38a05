"""The settings of an engine; `slicer.example.toml` shows them all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self, get_type_hints

from slicer.config import DAY, bounded, check
from slicer.config.reader import SettingsReader
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.settings import SpoolSettings
from slicer.errors import BadInput
from slicer.http import HttpSettings
from slicer.moderation import check_name
from slicer.moderation.settings import ModerationSettings
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.livekit.settings import LiveKitSettings
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.trtc.settings import TrtcSettings
from slicer.rooms.whep.settings import WhepSettings
from slicer.rooms.whip import ice_servers
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp.rtcp.reporter import KEYFRAME_INTERVAL
from slicer.slicing.audio import PREROLL
from slicer.slicing.spec import (
    HOUR,
    LONGEST_KEYFRAME_INTERVAL,
    LONGEST_WAIT,
    MOST_HEIGHT,
    AudioSpec,
    ImageFormat,
    SliceParams,
    VideoSpec,
)
from slicer.storage.settings import StorageSettings

OTHER_TABLES = (
    *("serve", "webhooks", "vendors", "console", "apps", "log", "metrics", "tracing", "fleet"),
)
"""Tables of the same file that the service alone reads (service/settings.py)."""
OTHER_VARIABLES = (
    "SLICER_SERVE_",
    "SLICER_STATE_KEY",
    "SLICER_WEBHOOKS_",
    "SLICER_VENDORS_",
    "SLICER_CONSOLE_",
    "SLICER_APP_",
    "SLICER_SUPPLIER_SECRET_KEY",
    "SLICER_LOG_",
    "SLICER_METRICS_",
    "SLICER_TRACING_",
    "SLICER_FLEET_",
)
"""What the variables of those tables begin with."""
MOVED = {
    "rooms.allow_origin": "whip.allow_origin",
    "rooms.max_body": "whip.max_body",
    "rooms.max_publishers": "whip.max_publishers",
    "rooms.silence": "whip.silence",
    "rooms.advertise": "whip.advertise",
    "app.sdk_app_id": "whip.sdk_app_id",
    "app.usersig_key": "whip.usersig_key",
    "stores.s3_endpoint": "vendors.s3_endpoint",
    "stores.cos_endpoint": "vendors.cos_endpoint",
    "stores.oss_endpoint": "vendors.oss_endpoint",
    "stores.path_style": "vendors.path_style",
    "callbacks.allow_private": "webhooks.allow_private",
    "callbacks.trtc_minute": "webhooks.max_age",
    "callbacks.bound": "webhooks.bound",
}
"""Fields that had another name: a file or a variable that still uses it is told the new one."""


class Keyframes(StrEnum):
    """Whether sources are asked for keyframes."""

    REQUEST = "request"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class SlicingSettings:
    """What a task cuts unless it says otherwise."""

    audio: int = bounded(15, 0, HOUR)
    """Seconds of an audio slice; 0: no audio."""
    video: int = bounded(5, 0, DAY)
    """Seconds between two pictures; 0: no pictures."""
    image: ImageFormat = ImageFormat.PNG
    """Format of pictures; webp takes VP8 keyframes as they are, at almost no cost."""
    max_idle: int = bounded(30, 1, DAY)
    """Seconds without any anchor after which a task ends by itself."""
    preroll: float = bounded(PREROLL, 0, PREROLL)
    """Seconds before an audio slice that its file carries for the decoder to settle, of all tasks.
    Players skip them, but many add them to the length they show."""
    report_wait: float = bounded(3.0, 0, LONGEST_WAIT)
    """Seconds a slice may wait for the sender's next report, which settles its time; 0: none."""

    max_height: int = bounded(0, 0, MOST_HEIGHT)
    """Pixels: of a video that is sent in several sizes, the smallest that is so high is taken, and
    the largest where none is; 0: the largest."""
    keyframes: Keyframes = Keyframes.REQUEST
    """Whether keyframes are asked for; where they are not, frames are kept until a picture."""
    keyframe_interval: float = bounded(
        KEYFRAME_INTERVAL, KEYFRAME_INTERVAL, LONGEST_KEYFRAME_INTERVAL
    )
    """Seconds between two requests to one source at least, however many tasks watch it."""
    aux: bool = True
    """Whether auxiliary tracks, such as a shared screen beside a camera, are cut as well."""

    def complete(self, params: SliceParams) -> SliceParams:
        """A task's parameters, with what it leaves to these settings."""
        never = self.keyframes is Keyframes.NEVER
        interval = math.inf if never else self.keyframe_interval
        watching = params.watching(interval, self.max_height or None, self.aux)
        return watching.waiting(self.report_wait)

    def params(self) -> SliceParams:
        """The same as a task takes it. Raises BadInput where both kinds are left out."""
        audio = AudioSpec(self.audio) if self.audio else None
        video = VideoSpec(self.video) if self.video else None
        return SliceParams(audio, video, max_idle=self.max_idle)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The bounds of one engine."""

    max_tasks: int = 100
    """Tasks at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that an engine needs; `Settings()` works as it is. Raises BadInput that names the
    field."""

    slicing: SlicingSettings = field(default_factory=SlicingSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    whip: WhipSettings = field(default_factory=WhipSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    rtp: RtpSettings = field(default_factory=RtpSettings)
    trtc: TrtcSettings = field(default_factory=TrtcSettings)
    livekit: LiveKitSettings = field(default_factory=LiveKitSettings)
    whep: WhepSettings = field(default_factory=WhepSettings)
    janus: JanusSettings = field(default_factory=JanusSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    moderation: ModerationSettings = field(default_factory=ModerationSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)

    def __post_init__(self) -> None:
        for name in get_type_hints(type(self)):
            check(name, getattr(self, name))
        if bool(self.storage.access_key) != bool(self.storage.secret_key):
            raise BadInput("storage", "one key", "access_key and secret_key, or neither")
        if self.whip.usersig_key and not self.whip.sdk_app_id:
            raise BadInput("whip.sdk_app_id", 0, "the application's id beside its usersig_key")
        if self.whip.tcp and not self.whip.udp:
            raise BadInput("whip.tcp", self.whip.tcp, "whip.udp beside it: TCP is for who has none")
        ice_servers.check(self.whip)
        check_name("moderation.default_supplier", self.moderation.default_supplier)
        self.slicing.params()

    @classmethod
    def load(cls, path: Path | None = None, environment: Mapping[str, str] | None = None) -> Self:
        """Read a file, if one is named; then variables over it. The service's tables in it are
        left alone, unknown ones are refused. Raises BadInput."""
        reader = SettingsReader.read(path, environment, MOVED)
        settings = cls.take(reader)
        reader.end(OTHER_TABLES, OTHER_VARIABLES)
        return settings

    @classmethod
    def take(cls, reader: SettingsReader) -> Self:
        """The engine's tables of a reader that may hold more. Raises BadInput."""
        hints = get_type_hints(cls)
        return cls(**{name: reader.take(name, section) for name, section in hints.items()})
