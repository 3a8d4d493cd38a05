"""The way into a room of Janus: a channel, a session, a handle, and the join."""

import secrets
from collections.abc import Callable, Iterator

from slicer.rooms.janus.address import JanusAddress
from slicer.rooms.janus.carrier import open_channel
from slicer.rooms.janus.messages import (
    ID_IN_USE,
    WRONG_ID_TYPE,
    Id,
    Message,
    error_code,
    plugin_data,
)
from slicer.rooms.janus.session import Handle, Session


async def enter(
    address: JanusAddress,
    robot: str,
    events: Callable[[Session, Message], None],
    ended: Callable[[str], None],
) -> Session:
    """Join the room under the robot's user id. Raises RoomError, after which nothing is left open.

    *events* gets what the plugin says to the robot, `joined` first, before this returns. *ended*:
    the session is over, for this reason.
    """
    session = Session(await open_channel(address), address.credentials, ended)
    try:
        await session.open()
        handle = await session.attach(lambda message: events(session, message))
        await _join(handle, address, robot)
    except BaseException:
        await session.close()
        raise
    return session


async def _join(handle: Handle, address: JanusAddress, robot: str) -> None:
    """Whether ids are numbers or texts is a setting of Janus that it does not tell: a room that
    looks like a number is tried as one first.

    A text that somebody has is refused for as long as he is there: for Janus' `session_timeout`
    also where that is our own robot, of a connection that was lost or of a worker that is frozen.
    So the robot comes by another one, and is shown by its name. Nobody sees media under either: a
    robot publishes nothing.
    """
    pin = {"pin": address.pin} if address.pin else {}
    for room, own in _ids(address.room, robot):
        body = {"request": "join", "ptype": "publisher", "room": room, "display": robot}
        event = await handle.ask({**body, **own, **pin})
        if error_code(event) == ID_IN_USE and own:
            another = {"id": f"{robot}~{secrets.token_hex(4)}"}
            event = await handle.ask({**body, **another, **pin})
        if error_code(event) != WRONG_ID_TYPE or isinstance(room, str):
            plugin_data(event)
            return


def _ids(room: str, robot: str) -> Iterator[tuple[Id, dict[str, str]]]:
    """The room's id and ours, in the forms to try. Numbers of participants are Janus' choice."""
    if room.isascii() and room.isdecimal() and len(room) <= 19:
        yield int(room), {}
    yield room, {"id": robot}
