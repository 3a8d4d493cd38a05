"""Every reason of the engine has its number."""

import pytest

from slicer.service.leave_code import LEAVE_CODES
from slicer.slicing.outputs import EndReason

# TRTC's table of event 1002 (ours for KICKED: the order is no longer configured).
NUMBERS = {
    EndReason.STOPPED: 0,
    EndReason.KICKED: 3,
    EndReason.ROOM_GONE: 4,
    EndReason.IDLE: 99,
    EndReason.ROOM_UNREACHABLE: 100,
    EndReason.REPLACED: 101,
}


@pytest.mark.parametrize("reason", EndReason)
def test_a_reason_has_its_number(reason: EndReason) -> None:
    assert LEAVE_CODES[reason] == NUMBERS[reason]
