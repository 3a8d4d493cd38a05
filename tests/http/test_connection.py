"""One connection over a transport of the test: which time it has, and when it is cut off.

Times are those of a loop whose clock the test sets: nothing sleeps.
"""

import asyncio

import pytest

from slicer.http.connection import HEAD_TIMEOUT, LINGER, REQUEST_TIMEOUT, Connection

KEEP_ALIVE = 60.0


class Owner:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def idle(self, _connection: Connection) -> None:
        self.told.append("idle")

    def ended(self, _connection: Connection) -> None:
        self.told.append("ended")

    def tell(self, counter: str, _text: str) -> None:
        self.told.append(counter)


class Wire(asyncio.Transport):
    """A transport that only knows whether it was cut off."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True
        self._connection.connection_lost(None)


class Timers:
    """Timers that fire when the test says how late it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, asyncio.TimerHandle]] = []
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(self._loop, "call_later", self._call_later)

    def _call_later(self, delay: float, call: object, *given: object) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(0, call, given, self._loop)  # type: ignore[arg-type]
        self._waiting.append((self.now + delay, handle))
        return handle

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [handle for when, handle in self._waiting if when <= self.now]
        self._waiting = [one for one in self._waiting if one[0] > self.now]
        for handle in due:
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 (as the loop does; it has no other verb)


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    return Timers(monkeypatch)


@pytest.fixture
async def owner() -> Owner:
    return Owner()


@pytest.fixture
async def connection(timers: Timers, owner: Owner) -> Connection:
    made = Connection("192.0.2.1", KEEP_ALIVE, owner)
    made.protocol = asyncio.Protocol()
    wire = Wire(made)
    made.connection_made(wire)
    return made


def is_open(owner: Owner) -> bool:
    return "ended" not in owner.told


async def test_a_head_has_its_time_however_many_bytes_come(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    for _ in range(10):
        connection.data_received(b"x")
        assert is_open(owner)
        timers.advance(HEAD_TIMEOUT / 10)
    assert owner.told == ["http_slow_head", "ended"]


async def test_a_request_has_its_own_time(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    connection.data_received(b"head")
    connection.request_began()
    for _ in range(3):
        timers.advance(REQUEST_TIMEOUT / 4)
        connection.data_received(b"body")
    assert is_open(owner)
    timers.advance(REQUEST_TIMEOUT / 4)
    assert owner.told == ["http_slow_request", "ended"]
    connection.request_ended()
    timers.advance(1_000)
    assert owner.told == ["http_slow_request", "ended", "idle"]


async def test_an_idle_one_may_stay_and_ask_again(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    for _ in range(5):
        connection.data_received(b"head")
        timers.advance(HEAD_TIMEOUT / 2)
        connection.request_began()
        timers.advance(REQUEST_TIMEOUT / 2)
        connection.request_ended()
        timers.advance(KEEP_ALIVE)
    assert owner.told == ["idle"] * 5


async def test_a_later_head_has_no_more_time_than_the_first(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    connection.request_began()
    connection.request_ended()
    timers.advance(KEEP_ALIVE - 1)
    connection.data_received(b"x")
    timers.advance(HEAD_TIMEOUT - 1)
    connection.data_received(b"x")
    assert is_open(owner)
    timers.advance(1)
    assert owner.told == ["idle", "http_slow_head", "ended"]


async def test_who_reads_nothing_is_cut_off_at_last(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    """The protocol closes it after the keep-alive time, and that waits for what is unsent."""
    connection.request_began()
    connection.request_ended()
    timers.advance(KEEP_ALIVE + LINGER)
    assert owner.told == ["idle", "http_slow_reader", "ended"]


async def test_requests_in_a_row_without_waiting(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    connection.request_began()
    connection.request_began()
    connection.request_ended()
    assert owner.told == []
    connection.request_ended()
    assert owner.told == ["idle"]


async def test_whose_turn_it_is(connection: Connection) -> None:
    assert connection.waits_for_peer  # for a head
    connection.request_began()
    assert connection.waits_for_peer  # for a body
    connection.request_received()
    assert not connection.waits_for_peer
    connection.pause_writing()
    assert connection.waits_for_peer  # it does not read
    connection.resume_writing()
    assert not connection.waits_for_peer
    connection.request_ended()
    assert connection.waits_for_peer


async def test_once_it_is_over_no_timer_is_left(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    connection.connection_lost(None)
    connection.abort()
    timers.advance(1_000)
    assert owner.told == ["ended"]


async def test_an_answer_without_an_end_has_its_time_renewed(
    connection: Connection, owner: Owner, timers: Timers
) -> None:
    connection.renew()  # nothing is under way: nothing to renew
    connection.data_received(b"head")
    connection.request_began()
    for _ in range(5):
        timers.advance(REQUEST_TIMEOUT - 1)
        connection.renew()
    assert is_open(owner)
    timers.advance(REQUEST_TIMEOUT)
    assert owner.told == ["http_slow_request", "ended"]
