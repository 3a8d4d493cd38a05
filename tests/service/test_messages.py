"""Bodies of callbacks: every field, both groups, numbers where TRTC has numbers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.service.leave_code import LeaveCode
from slicer.service.messages import BucketLocation, Code, Group, Origin, body
from slicer.slicing.outputs import TrackKey
from slicer.webhooks.queue import Webhook

AT = datetime(2025, 1, 6, 14, 31, 43, 250_000, tzinfo=UTC)
AT_MS = 1736173903250
ORIGIN = Origin(200806, "task-1", Group.SLICE, "150", 1, "robot")
BUCKET = BucketLocation(1, "eu-west-1", "bucket")
TRACK = TrackKey("task-1", "ada", Kind.AUDIO)
AUDIO = SliceInfo("p/t/ada/audios/a.ogg", TRACK, AT, 15.0, 60_123)


def read(webhook: Webhook, sent: datetime = AT) -> dict[str, Any]:
    parsed = json.loads(body(webhook, sent))
    assert isinstance(parsed, dict)
    return parsed


def test_the_envelope() -> None:
    message = ORIGIN.started(AT)
    assert read(message, AT + timedelta(seconds=7)) == {
        "EventGroupId": 10,
        "EventType": 1001,
        "CallbackTs": AT_MS + 7000,
        "EventInfo": {
            "RoomId": 150,
            "EventTs": 1736173903,
            "EventMsTs": AT_MS,
            "UserId": "robot",
            "TaskId": "task-1",
            "Payload": {"Status": 0},
        },
    }
    assert (message.id, message.subscriber, message.line) == ("task-1.1001", 200806, "task-1")


def test_the_bytes_in_their_order() -> None:
    assert body(ORIGIN.left(AT, LeaveCode.STOPPED), AT) == (
        b'{"EventGroupId":10,"EventType":1002,"CallbackTs":1736173903250,"EventInfo":'
        b'{"RoomId":150,"EventTs":1736173903,"EventMsTs":1736173903250,"UserId":"robot",'
        b'"TaskId":"task-1","Payload":{"LeaveCode":%d}}}' % LeaveCode.STOPPED
    )


def test_a_room_of_letters() -> None:
    origin = replace(ORIGIN, room_id='a"b\\ü\udc80', room_type=0)
    assert read(origin.started(AT))["EventInfo"]["RoomId"] == 'a"b\\ü\udc80'
    assert read(replace(ORIGIN, room_type=0).started(AT))["EventInfo"]["RoomId"] == "150"


@pytest.mark.parametrize("code", LeaveCode)
def test_left(code: LeaveCode) -> None:
    told = read(ORIGIN.left(AT, code))
    assert told["EventType"] == 1002
    assert told["EventInfo"]["Payload"] == {"LeaveCode": int(code)}


def test_a_file() -> None:
    told = read(ORIGIN.file_stored(AT + timedelta(seconds=20), AUDIO, BUCKET))
    assert told["EventType"] == 1004
    assert told["EventInfo"]["StreamUserId"] == "ada"
    assert told["EventInfo"]["EventMsTs"] == AT_MS + 20_000
    assert told["EventInfo"]["Payload"] == {
        "Status": 0,
        "FileName": "p/t/ada/audios/a.ogg",
        "MediaType": 1,
        "MediaId": "main",
        "Bucket": "bucket",
        "Region": "eu-west-1",
        "Vendor": 1,
        "StartTimeMs": AT_MS,
        "EndTimeMs": AT_MS + 15_000,
        "DurationMs": 15_000,
        "Size": 60_123,
    }
    picture = replace(AUDIO, track=TRACK._replace(kind=Kind.VIDEO), seconds=0.0)
    payload = read(ORIGIN.file_stored(AT, picture, BUCKET))["EventInfo"]["Payload"]
    assert payload["MediaType"] == 2
    assert payload["EndTimeMs"] == payload["StartTimeMs"]


def test_uploads_begin_and_end() -> None:
    assert read(ORIGIN.upload_started(AT))["EventType"] == 1003
    done, torn = read(ORIGIN.all_stored(AT, True)), read(ORIGIN.all_stored(AT, False))
    assert (done["EventType"], torn["EventType"]) == (1005, 1005)
    assert done["EventInfo"]["Payload"] == {"Status": 0}
    assert torn["EventInfo"]["Payload"] == {"Status": 1}


def test_errors() -> None:
    first = ORIGIN.error(AT, Code.SLICE_LOST, "why", "one")
    told = read(first)
    assert told["EventType"] == 1006
    assert told["EventInfo"]["Payload"] == {"Code": 2, "Message": "why"}
    assert first.id != ORIGIN.error(AT, Code.SLICE_LOST, "why", "two").id


def test_moderation_has_its_own_numbers() -> None:
    origin = replace(ORIGIN, group=Group.MODERATION)
    messages = [
        origin.started(AT),
        origin.left(AT, LeaveCode.IDLE),
        origin.all_stored(AT, True),
        origin.error(AT, Code.ANCHOR_WAITS, "x", "y"),
    ]
    assert [message.event for message in messages] == [1101, 1102, 1105, 1106]
    assert {read(message)["EventGroupId"] for message in messages} == {11}


def test_no_two_messages_of_a_task_share_an_id() -> None:
    messages = [
        ORIGIN.started(AT),
        ORIGIN.left(AT, LeaveCode.STOPPED),
        ORIGIN.upload_started(AT),
        ORIGIN.file_stored(AT, AUDIO, BUCKET),
        ORIGIN.file_stored(AT, replace(AUDIO, key="other"), BUCKET),
        ORIGIN.all_stored(AT, True),
        ORIGIN.error(AT, Code.SLICE_LOST, "", "1"),
    ]
    assert len({message.id for message in messages}) == len(messages)
