"""Which of an anchor's streams of a kind is the main one."""

from dataclasses import replace

from slicer.rooms.roles import assign_roles
from slicer.rtp.parameters import Role, RtpParameters
from tests.harness.rtp.call import AUDIO, VIDEO

SLIDES = replace(VIDEO, role=Role.AUX)


def roles(*streams: RtpParameters) -> list[Role]:
    return [stream.role for stream in assign_roles(streams)]


def test_the_first_of_a_kind_is_the_main_one() -> None:
    assert roles(AUDIO, VIDEO, VIDEO, AUDIO) == [Role.MAIN, Role.MAIN, Role.AUX, Role.AUX]


def test_what_is_marked_is_auxiliary_wherever_it_stands() -> None:
    assert roles(SLIDES, VIDEO) == [Role.AUX, Role.MAIN]
    assert roles(AUDIO, SLIDES) == [Role.MAIN, Role.AUX]
    assert roles(SLIDES, SLIDES) == [Role.AUX, Role.MAIN]
