"""Logging in: the token, sessions, and how often somebody may try."""

import pytest

from slicer.console import sessions as module
from slicer.console.sessions import (
    MAX_NAME,
    MAX_SESSIONS,
    MAX_TOLD,
    SESSION_SECONDS,
    TRIES,
    TRIES_OF_ALL,
    TRIES_SECONDS,
    Refusals,
    Session,
    Sessions,
    may_change,
)

TOKEN, ADDRESS = "the-right-token", "192.0.2.1"


def test_a_session_from_login_to_logout() -> None:
    sessions = Sessions(TOKEN)
    cookie = sessions.log_in(TOKEN, " Ma\x00ra" + "x" * 99, ADDRESS, 0.0)
    assert cookie
    session = sessions.find(cookie, 1.0)
    assert session
    assert session.name.startswith("Mara")
    assert len(session.name) == MAX_NAME
    assert session.who.endswith(f"({ADDRESS})")
    assert sessions.find(cookie + "x", 1.0) is None
    sessions.log_out(cookie)
    sessions.log_out(cookie)
    assert sessions.find(cookie, 1.0) is None


def test_a_session_ends_by_itself() -> None:
    sessions = Sessions(TOKEN)
    cookie = sessions.log_in(TOKEN, "", ADDRESS, 0.0)
    assert cookie
    assert sessions.find(cookie, SESSION_SECONDS - 1)
    assert sessions.find(cookie, SESSION_SECONDS) is None
    assert len(sessions) == 0


def test_sessions_are_bounded() -> None:
    sessions = Sessions(TOKEN)
    cookies = [sessions.log_in(TOKEN, "", ADDRESS, 0.0) for _ in range(MAX_SESSIONS + 1)]
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(str(cookies[0]), 0.0) is None
    assert sessions.find(str(cookies[1]), 0.0)


def test_an_address_may_try_so_often() -> None:
    sessions = Sessions(TOKEN)
    for number in range(TRIES):
        assert sessions.wait(ADDRESS, float(number)) == 0
        assert sessions.log_in(f"wrong{number}", "", ADDRESS, float(number)) is None
    assert sessions.wait(ADDRESS, float(TRIES)) == TRIES_SECONDS - TRIES
    assert sessions.wait("192.0.2.2", float(TRIES)) == 0
    assert sessions.wait(ADDRESS, TRIES_SECONDS) == 0
    assert sessions.refused == TRIES


def test_the_right_token_always_enters() -> None:
    """On loopback, and behind a proxy, others share its address."""
    sessions = Sessions(TOKEN)
    for _ in range(TRIES_OF_ALL):
        assert sessions.log_in("wrong", "", ADDRESS, 0.0) is None
    assert sessions.wait(ADDRESS, 0.0) > 0
    assert sessions.log_in(TOKEN, "", ADDRESS, 0.0)


def test_all_addresses_together_may_try_so_often() -> None:
    sessions = Sessions(TOKEN)
    for number in range(TRIES_OF_ALL):
        assert sessions.log_in("wrong", "", f"192.0.2.{number}", 0.0) is None
    assert sessions.wait("198.51.100.1", 1.0) == TRIES_SECONDS - 1


def test_refusals_are_told_of_within_a_bound() -> None:
    refusals = Refusals()
    assert [refusals.add(0.0) for _ in range(MAX_TOLD)] == [0] * MAX_TOLD
    assert [refusals.add(1.0), refusals.add(2.0)] == [None, None]
    assert refusals.add(TRIES_SECONDS) == 2
    assert refusals.add(TRIES_SECONDS) == 0


def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ADDRESSES", 2)
    sessions = Sessions(TOKEN)
    for source in ("a", "b"):
        for _ in range(TRIES):
            sessions.log_in("wrong", "", source, 0.0)
    assert [sessions.wait(source, 1.0) > 0 for source in ("a", "b")] == [True, True]
    sessions.log_in("wrong", "", "c", 0.0)
    assert [sessions.wait(source, 1.0) > 0 for source in ("a", "b")] == [False, True]


def test_only_its_own_page_may_change() -> None:
    session = Session("", ADDRESS, 0.0, "csrf")
    assert may_change(session, "csrf")
    assert not may_change(session, "")
    assert "csrf'" not in repr(session)
