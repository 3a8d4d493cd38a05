"""A session: answers in any order, events before answers, and each way in which it ends."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from slicer.errors import RoomError
from slicer.rooms.janus import session as module
from slicer.rooms.janus.session import Session


class Script:
    """A channel that answers each request with what the test wrote for its kind."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.answers: dict[str, list[Any]] = {
            "create": [self.success(1)],
            "attach": [self.success(2)],
            "destroy": [{"janus": "success"}],
        }
        self.queue: asyncio.Queue[object] = asyncio.Queue()
        self.closed = False

    @staticmethod
    def success(number: int) -> dict[str, Any]:
        return {"janus": "success", "data": {"id": number}}

    async def send(self, message: Mapping[str, Any]) -> None:
        self.sent.append(dict(message))
        for answer in self.answers.get(str(message["janus"]), ()):
            self.say({**answer, "transaction": message["transaction"]})

    def say(self, message: object) -> None:
        self.queue.put_nowait(message)

    async def receive(self) -> object:
        message = await self.queue.get()
        if isinstance(message, RoomError):
            raise message
        return message

    async def close(self) -> None:
        self.closed = True


async def opened() -> tuple[Script, Session, asyncio.Future[str]]:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    script = Script()
    session = Session(script, {"apisecret": "s"}, ended.set_result)
    await session.open()
    return script, session, ended


def event(data: dict[str, Any]) -> dict[str, Any]:
    plugindata = {"plugin": "p", "data": {"videoroom": "event", **data}}
    return {"janus": "event", "sender": 2, "plugindata": plugindata}


async def test_every_request_has_the_secret_and_the_session() -> None:
    script, session, ended = await opened()
    await session.attach(lambda message: None)
    assert [one["apisecret"] for one in script.sent] == ["s", "s"]
    assert ["session_id" in one for one in script.sent] == [False, True]
    await session.close()
    await session.close()
    assert script.closed
    assert not ended.done()
    with pytest.raises(RoomError, match="has ended"):
        await session.request({"janus": "keepalive"})


@pytest.mark.parametrize("ack_first", [True, False])
async def test_an_event_is_seen_by_the_handle_before_whoever_waits(ack_first: bool) -> None:
    script, session, _ = await opened()
    seen: list[str] = []
    handle = await session.attach(lambda message: seen.append(str(message["janus"])))
    answers = [{"janus": "ack"}, event({"started": "ok"})]
    script.answers["message"] = answers if ack_first else answers[::-1]
    said = await handle.message({"request": "start"}, "v=0")
    assert (said["janus"], seen) == ("event", ["event"])
    assert script.sent[-1]["jsep"] == {"type": "answer", "sdp": "v=0"}
    await session.close()


async def test_a_refusal_is_no_news() -> None:
    script, session, ended = await opened()
    seen: list[object] = []
    handle = await session.attach(seen.append)
    script.answers["message"] = [event({"error_code": 426, "error": "No such room"})]
    with pytest.raises(RoomError, match="No such room"):
        await handle.message({"request": "join"})
    assert (seen, ended.done()) == ([], False)
    script.answers["attach"] = [{"janus": "error", "error": {"code": 403, "reason": "no"}}]
    with pytest.raises(RoomError, match="403"):
        await session.attach(seen.append)
    await session.close()


async def test_a_handle_that_is_given_up_hears_nothing() -> None:
    script, session, _ = await opened()
    seen: list[object] = []
    handle = await session.attach(seen.append)
    script.answers["detach"] = [{"janus": "error", "error": {"code": 459, "reason": "gone"}}]
    await handle.detach()
    script.say({"janus": "detached", "sender": 2})
    script.answers["keepalive"] = [{"janus": "ack"}]
    await session.request({"janus": "keepalive"})
    assert seen == []
    await session.close()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"janus": "timeout", "session_id": 1}, "Janus gave the session up"),
        (RoomError("the WebSocket ended: 1006"), "the WebSocket ended: 1006"),
        ([1], "cannot be read"),
        ({"hello": 1}, "cannot be read"),
    ],
)
async def test_the_ends(said: object, reason: str) -> None:
    script, session, ended = await opened()
    waiting = asyncio.ensure_future(session.request({"janus": "keepalive"}))
    await asyncio.sleep(0)
    script.say(said)
    assert reason in await ended
    with pytest.raises(RoomError, match=r"gave|ended|read"):
        await waiting
    await session.close()


async def test_what_a_handle_cannot_read_ends_it() -> None:
    def refuse(message: object) -> None:
        raise RoomError("what is this?")

    script, session, ended = await opened()
    await session.attach(refuse)
    script.say(event({}))
    assert await ended == "what is this?"
    await session.close()


async def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 0.05)
    monkeypatch.setattr(module, "GOODBYE_TIMEOUT", 0.05)
    script, session, ended = await opened()
    del script.answers["destroy"]
    with pytest.raises(RoomError, match=r"no answer from Janus within 0\.05 s"):
        await session.request({"janus": "info"})
    assert not ended.done()
    await session.close()
    assert script.closed


async def test_a_keepalive_without_an_answer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 0.05)
    monkeypatch.setattr(module, "KEEPALIVE", 0.01)
    script, session, ended = await opened()
    assert "no answer" in await ended
    assert script.sent[-1]["janus"] == "keepalive"
    await session.close()
