"""What happened to a task as webhooks, in TRTC's words (spec 5): its groups, codes and bodies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from slicer.media.slice import SliceInfo
from slicer.moderation import Verdict
from slicer.rtp.parameters import Kind
from slicer.service.results import payload
from slicer.webhooks.queue import Webhook

GROUP_SIZE = 100
"""An event's number is its group's, times this, and its own."""
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
    TRACK_REFUSED = 5
    STORE_RECOVERED = 6
    PICTURES_MISSING = 7
    UNJUDGED = 8
    SUPPLIER_TROUBLE = 9
    SUPPLIER_RECOVERED = 10
    LEFT_OUT = 11
    TIME_SETTLED = 12


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """Where a task's files go, in TRTC's words."""

    vendor: int
    region: str
    bucket: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose messages these are. *room_type*: 1 tells the room's id as a number, 0 as a text;
    *echo*: what a customer wants to have told again."""

    app: int
    task: str
    group: Group
    room_id: str
    room_type: int
    user: str
    echo: Mapping[str, object] = field(default_factory=dict)

    def started(self, at: datetime) -> Webhook:
        """The robot is in the room. One that never came there is told by Create's answer."""
        return self._message(1, at, {"Status": 0})

    def left(self, at: datetime, code: int) -> Webhook:
        """The robot is gone, for the reason of this number; files may still be on their way."""
        return self._message(2, at, {"LeaveCode": int(code)})

    def upload_started(self, at: datetime) -> Webhook:
        """The first file has been taken, or judged."""
        return self._message(3, at, {"Status": 0})

    def file_stored(
        self,
        at: datetime,
        slice: SliceInfo,
        bucket: BucketLocation,
        more: Mapping[str, str] | None = None,
    ) -> Webhook:
        """A file is up. *more*: fields of ours beside TRTC's."""
        start = _milliseconds(slice.began)
        duration = round(slice.seconds * 1000)
        payload = {
            "Status": 0,
            "FileName": slice.key,
            "MediaType": _MEDIA_TYPES[slice.kind],
            "MediaId": slice.role.value,
            "Bucket": bucket.bucket,
            "Region": bucket.region,
            "Vendor": bucket.vendor,
            "StartTimeMs": start,
            "EndTimeMs": start + duration,
            "DurationMs": duration,
            "Size": slice.size,
            **(more or {}),
        }
        return self._message(4, at, payload, slice.key, {"StreamUserId": slice.anchor})

    def result(
        self, at: datetime, slice: SliceInfo, verdict: Verdict, kept: bool, raw: bool
    ) -> Webhook:
        """A slice was judged."""
        facts = payload(slice, verdict, _MEDIA_TYPES[slice.kind], kept, raw)
        return self._message(4, at, facts, slice.key, {"StreamerUserId": slice.anchor})

    def all_stored(self, at: datetime, ok: bool) -> Webhook:
        """The last message of a task: everything that was cut is stored, or some of it lost."""
        return self._message(5, at, {"Status": 0 if ok else 1})

    def error(self, at: datetime, code: Code, text: str, unique: str) -> Webhook:
        """Something went wrong; *unique* tells this error from the task's others."""
        return self._message(6, at, {"Code": int(code), "Message": text}, unique)

    def _message(
        self,
        number: int,
        at: datetime,
        payload: Mapping[str, object],
        unique: str = "",
        more: Mapping[str, str] | None = None,
    ) -> Webhook:
        event = int(self.group) * GROUP_SIZE + number
        milliseconds = _milliseconds(at)
        info = {
            "RoomId": int(self.room_id) if self.room_type == 1 else self.room_id,
            "EventTs": milliseconds // 1000,
            "EventMsTs": milliseconds,
            "UserId": self.user,
            "TaskId": self.task,
            **self.echo,
            **(more or {}),
            "Payload": payload,
        }
        name = f"{self.task}.{event}" + (f".{unique}" if unique else "")
        return Webhook(name, self.app, self.task, event, _json(info))


def body(webhook: Webhook, sent: datetime) -> bytes:
    """The bytes to send; CallbackTs is the time of sending, so it differs from try to try."""
    envelope = {
        "EventGroupId": webhook.event // GROUP_SIZE,
        "EventType": webhook.event,
        "CallbackTs": _milliseconds(sent),
    }
    return f'{_json(envelope)[:-1]},"EventInfo":{webhook.payload}}}'.encode()


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
