"""A session with Janus: requests and their answers, handles and their events, the keepalive.

Theory of operation. Every request has a transaction by which its answer is known. A message to a
plugin is answered by an `ack` at once and by an `event` later, and either may come first. Events of
a handle go to its owner before whoever waits for one of them goes on: so no event that follows is
seen before it. A session ends once, with a reason: the channel broke, Janus said so (`timeout`),
what it said cannot be read, or a keepalive got no answer.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slicer.background import Background
from slicer.errors import RoomError
from slicer.rooms.janus.carrier import Channel
from slicer.rooms.janus.messages import (
    Message,
    check_error,
    error_code,
    identifier,
    plugin_data,
    unreadable,
)

PLUGIN = "janus.plugin.videoroom"
OPAQUE_ID = "slicer"
KEEPALIVE = 15.0
"""Seconds between two keepalives; Janus gives a session up after 60 s without a message."""
REQUEST_TIMEOUT = 10.0
"""Seconds an answer may take."""
GOODBYE_TIMEOUT = 2.0
"""Seconds that taking leave may take."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits for an answer. *later*: for the event, and not for the ack."""

    answer: asyncio.Future[Message]
    later: bool


class Session:
    """One session. *ended* is called once with the reason, unless we close it."""

    def __init__(
        self, channel: Channel, credentials: Mapping[str, str], ended: Callable[[str], None]
    ) -> None:
        self._channel, self._credentials, self._ended = channel, credentials, ended
        self._id: int | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._handles: dict[int, Callable[[Message], None]] = {}
        self._background = Background()
        self._over = False

    async def open(self) -> None:
        """Create it. Raises RoomError."""
        self._background.start(self._read())
        self._id = identifier(await self.request({"janus": "create"}))
        self._background.start(self._keep_alive())

    async def attach(self, events: Callable[[Message], None]) -> "Handle":
        """A new handle of the plugin; *events* gets its messages, and may raise RoomError."""
        body = {"janus": "attach", "plugin": PLUGIN, "opaque_id": OPAQUE_ID}
        number = identifier(await self.request(body))
        self._handles[number] = events
        return Handle(self, number)

    async def request(self, message: Mapping[str, Any], *, later: bool = False) -> Message:
        """Send a message and wait for its answer. Raises RoomError."""
        if self._over:
            raise RoomError("the session with Janus has ended")
        transaction = secrets.token_hex(8)
        waiting = _Waiting(asyncio.get_running_loop().create_future(), later)
        self._waiting[transaction] = waiting
        session = {} if self._id is None else {"session_id": self._id}
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                await self._channel.send(
                    {**message, **session, **self._credentials, "transaction": transaction}
                )
                answer = await waiting.answer
        except TimeoutError:
            raise RoomError(f"no answer from Janus within {REQUEST_TIMEOUT:g} s") from None
        finally:
            del self._waiting[transaction]
        check_error(answer)
        return answer

    def release(self, number: int) -> None:
        """A handle gets no more events."""
        self._handles.pop(number, None)

    async def close(self) -> None:
        """End it and tell Janus, as far as that can be done soon. May be called twice."""
        if not self._over and self._id is not None:
            try:
                async with asyncio.timeout(GOODBYE_TIMEOUT):
                    await self.request({"janus": "destroy"})
            except (RoomError, TimeoutError):
                logger.debug("Janus did not answer the end of a session")
        self._end("", tell=False)
        self._background.cancel()
        await self._background.wait()
        await self._channel.close()

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._channel.receive())
        except RoomError as error:
            self._end(str(error))

    def _take(self, message: object) -> None:
        """One message. Raises RoomError where the session is over by it."""
        if not isinstance(message, Mapping) or not isinstance(message.get("janus"), str):
            raise unreadable("a message", message)
        kind, sender = message["janus"], message.get("sender")
        if kind == "timeout":
            raise RoomError("Janus gave the session up")
        answers = kind in {"success", "error", "event"}
        if isinstance(sender, int) and sender in self._handles and not error_code(message):
            self._handles[sender](message)
        waiting = self._waiting.get(str(message.get("transaction")))
        if waiting is None or not (answers or (kind == "ack" and not waiting.later)):
            return
        if not waiting.answer.done():
            waiting.answer.set_result(message)

    async def _keep_alive(self) -> None:
        try:
            while True:
                await asyncio.sleep(KEEPALIVE)
                await self.request({"janus": "keepalive"})
        except RoomError as error:
            self._end(str(error))

    def _end(self, reason: str, *, tell: bool = True) -> None:
        if self._over:
            return
        self._over = True
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(RoomError(reason or "the session was closed"))
                waiting.answer.exception()  # whoever waited may have gone
        if tell:
            self._ended(reason)


class Handle:
    """One handle of the VideoRoom plugin."""

    def __init__(self, session: Session, number: int) -> None:
        self._session, self._number = session, number

    async def message(self, body: Mapping[str, Any], answer: str | None = None) -> Message:
        """Send the plugin a request, with our SDP answer if there is one; its event. Raises
        RoomError, also where the plugin refuses."""
        event = await self.ask(body, answer)
        plugin_data(event)
        return event

    async def ask(self, body: Mapping[str, Any], answer: str | None = None) -> Message:
        """The same, where a refusal is an event like any other."""
        jsep = {} if answer is None else {"jsep": {"type": "answer", "sdp": answer}}
        message = {"janus": "message", "handle_id": self._number, "body": body, **jsep}
        return await self._session.request(message, later=True)

    async def detach(self) -> None:
        """Give it up; never raises, and may be called twice."""
        self._session.release(self._number)
        try:
            await self._session.request({"janus": "detach", "handle_id": self._number})
        except RoomError as error:
            logger.debug("a handle of Janus was not detached: %s", error)
