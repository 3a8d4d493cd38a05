"""TRTC's numbers for why a robot left its room, and the engine's reasons in them."""

from collections.abc import Mapping
from enum import IntEnum

from slicer.slicing.outputs import EndReason


class LeaveCode(IntEnum):
    """`LeaveCode` of the events 1002 and 1102, all that TRTC documents."""

    STOPPED = 0
    KICKED_BY_CUSTOMER = 1
    DISMISSED_BY_CUSTOMER = 2
    KICKED_BY_SERVER = 3
    DISMISSED_BY_SERVER = 4
    IDLE = 99
    ROOM_TIMEOUT = 100
    REPLACED = 101


LEAVE_CODES: Mapping[EndReason, LeaveCode] = {
    EndReason.STOPPED: LeaveCode.STOPPED,
    EndReason.KICKED: LeaveCode.KICKED_BY_SERVER,
    EndReason.ROOM_GONE: LeaveCode.DISMISSED_BY_SERVER,
    EndReason.IDLE: LeaveCode.IDLE,
    EndReason.ROOM_UNREACHABLE: LeaveCode.ROOM_TIMEOUT,
    EndReason.REPLACED: LeaveCode.REPLACED,
}
