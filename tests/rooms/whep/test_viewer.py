"""An anchor that is played again and again."""

from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import AudioCut, TrackKey
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer

ARRIVAL: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


async def test_an_anchor_that_hangs_up_is_played_again(server: WhepServer, robot: Visitor) -> None:
    await robot.enter(server.url("anchors=ada"))
    await robot.told_of(*ARRIVAL)
    await server.hang_up()
    await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2)
    kinds = [type(fact) for fact in robot.facts()]
    assert kinds[4:7] == [TrackUnpublished, TrackUnpublished, AnchorLeft]


async def test_what_no_task_wants_is_not_played(server: WhepServer, robot: Visitor) -> None:
    robot.declined.add("ada")
    await robot.enter(server.url("anchors=ada"))
    await robot.told_of(*ARRIVAL)
    await robot.until(lambda: len(server.deleted) == 1)
    assert robot.connector.connections == 0
    robot.subscribe("ada", Kind.AUDIO)  # the lists were changed
    await robot.until(lambda: any(isinstance(one, AudioCut) for one in robot.told))
    assert robot.connector.connections == 1
    assert robot.room is not None
    robot.room.unsubscribe(TrackKey("task", "ada", Kind.AUDIO))
    await robot.until(lambda: len(server.deleted) == 2)
    assert robot.facts() == [RoomEntered(), *ARRIVAL]  # it was there all the time


async def test_an_anchor_that_left_while_it_was_not_played(
    server: WhepServer, robot: Visitor
) -> None:
    robot.declined.add("ada")
    await robot.enter(server.url("anchors=ada"))
    await robot.until(lambda: len(server.deleted) == 1)
    server.anchors.remove("ada")
    robot.subscribe("ada", Kind.AUDIO)
    await robot.until(lambda: any(isinstance(one, AnchorLeft) for one in robot.told))


async def test_who_is_not_played_is_told_anew_once_the_room_is_back(
    server: WhepServer, robot: Visitor
) -> None:
    robot.declined.add("ada")
    await robot.enter(server.url("list=/list.json"))
    await robot.until(lambda: len(server.deleted) == 1)
    await server.stop()
    await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.told))
    await server.start()
    await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2)
    kinds = [type(fact) for fact in robot.facts()]
    assert kinds[4:6] == [RoomLost, RoomEntered]
