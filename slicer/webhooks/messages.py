"""The bodies of callbacks: what happened to a task, in TRTC's words (spec 5); pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import LeaveCode

_MEDIA_TYPES = {Kind.AUDIO: 1, Kind.VIDEO: 2}


class Group(IntEnum):
    """EventGroupId: which of the two services a task is of."""

    SLICE = 10
    MODERATION = 11


class Code(IntEnum):
    """Payload.Code of an error event (ours). What was lost is not tried again."""

    UPLOAD_TROUBLE = 1
    SLICE_LOST = 2
    ANCHOR_WAITS = 3
    ROOM_TROUBLE = 4


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell, once: *info* is the JSON of EventInfo. *id* is unique; a second message
    of an id is not sent."""

    id: str
    app: int
    task: str
    group: int
    event: int
    info: str


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """Where a task's files go, in TRTC's words."""

    vendor: int
    region: str
    bucket: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose messages these are. *room_type*: 1 tells the room's id as a number, 0 as a text."""

    app: int
    task: str
    group: Group
    room_id: str
    room_type: int
    user: str

    def started(self, at: datetime) -> Message:
        """The robot is in the room. One that never came there is told by Create's answer."""
        return self._message(1, at, {"Status": 0})

    def left(self, at: datetime, code: LeaveCode) -> Message:
        """The robot is gone; files may still be on their way."""
        return self._message(2, at, {"LeaveCode": int(code)})

    def upload_started(self, at: datetime) -> Message:
        """The first file has been taken."""
        return self._message(3, at, {"Status": 0})

    def file_stored(self, at: datetime, slice: SliceInfo, bucket: BucketLocation) -> Message:
        """A file is up."""
        start = _milliseconds(slice.began)
        duration = round(slice.seconds * 1000)
        payload = {
            "Status": 0,
            "FileName": slice.key,
            "MediaType": _MEDIA_TYPES[slice.kind],
            "Bucket": bucket.bucket,
            "Region": bucket.region,
            "Vendor": bucket.vendor,
            "StartTimeMs": start,
            "EndTimeMs": start + duration,
            "DurationMs": duration,
            "Size": slice.size,
        }
        return self._message(4, at, payload, slice.key, {"StreamUserId": slice.anchor})

    def all_stored(self, at: datetime, ok: bool) -> Message:
        """The last message of a task: everything that was cut is stored, or some of it lost."""
        return self._message(5, at, {"Status": 0 if ok else 1})

    def error(self, at: datetime, code: Code, text: str, unique: str) -> Message:
        """Something went wrong; *unique* tells this error from the task's others."""
        return self._message(6, at, {"Code": int(code), "Message": text}, unique)

    def _message(
        self,
        number: int,
        at: datetime,
        payload: Mapping[str, object],
        unique: str = "",
        more: Mapping[str, str] | None = None,
    ) -> Message:
        event = int(self.group) * 100 + number
        milliseconds = _milliseconds(at)
        info = {
            "RoomId": int(self.room_id) if self.room_type == 1 else self.room_id,
            "EventTs": milliseconds // 1000,
            "EventMsTs": milliseconds,
            "UserId": self.user,
            "TaskId": self.task,
            **(more or {}),
            "Payload": payload,
        }
        name = f"{self.task}.{event}" + (f".{unique}" if unique else "")
        return Message(name, self.app, self.task, int(self.group), event, _json(info))


def body(group: int, event: int, info: str, sent: datetime) -> bytes:
    """The bytes to send; CallbackTs is the time of sending, so it differs from try to try."""
    envelope = {"EventGroupId": group, "EventType": event, "CallbackTs": _milliseconds(sent)}
    return f'{_json(envelope)[:-1]},"EventInfo":{info}}}'.encode()


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
