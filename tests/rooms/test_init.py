"""The table of rooms: every scheme opens what its line names, and other URLs are refused."""

import asyncio
import sys

import pytest

from slicer.errors import BadInput
from slicer.rooms import CONNECTORS, Context, at_once, connector, parse_room
from tests.harness.clock import ManualClock

SCHEMES = ", ".join(f"{scheme}://" for scheme in CONNECTORS)


@pytest.mark.parametrize("scheme", CONNECTORS)
async def test_every_line_of_the_table_is_a_connector(scheme: str) -> None:
    made = connector(scheme, Context(ManualClock()))
    assert f"{type(made).__module__}:{type(made).__name__}" == CONNECTORS[scheme]
    with pytest.raises(BadInput, match="room"):
        made.check(parse_room(f"{scheme}://host:1/?what=this"))
    await made.close()


def test_a_url_is_split() -> None:
    split = parse_room("whip://127.0.0.1:8080/lobby?a=b")
    assert (split.scheme, split.hostname, split.port) == ("whip", "127.0.0.1", 8080)
    assert (split.path, split.query) == ("/lobby", "a=b")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", SCHEMES),
        ("lobby", SCHEMES),
        ("http://127.0.0.1/lobby", SCHEMES),
        ("whip://127.0.0.1:99999/lobby", "out of range"),
        ("whip://[::1/lobby", "Invalid IPv6 URL"),
    ],
)
def test_other_urls_are_refused(url: str, says: str) -> None:
    with pytest.raises(BadInput, match="room: got") as refused:
        parse_room(url)
    assert says in str(refused.value)


async def test_the_defaults_hold_nobody_up() -> None:
    context = Context(ManualClock())
    assert (context.authorize, context.pace) == (None, at_once)
    async with asyncio.timeout(1):
        await context.pace()


def test_a_connector_whose_packages_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slicer.rooms.livekit.room", None)
    with pytest.raises(BadInput, match=r"pip install 'rtc-slicer\[livekit\]'"):
        connector("livekit", Context(ManualClock()))
    monkeypatch.setitem(CONNECTORS, "livekit", "nowhere.at.all:X")
    monkeypatch.setattr("slicer.rooms.EXTRAS", {})
    with pytest.raises(ModuleNotFoundError):
        connector("livekit", Context(ManualClock()))
