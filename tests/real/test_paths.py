"""Publishers of each kind by the paths that there are to our one port, beside UDP on IPv4, which is
everybody's: ICE-TCP, a TURN server alone, IPv6, another address in mid-call, a restart of ICE.

What others have: Chromium by TCP, by a TURN server and with restarts, `test_entrance.py`; libwebrtc
with another address, `test_networks.py`. `docs/rooms.md` says who cannot go which way.
"""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from slicer.demo.publisher import publish
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft
from tests.harness.network.namespace import own_network
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.libwebrtc import Way, libwebrtc, missing
from tests.harness.rooms.own_room import visiting
from tests.harness.rooms.relay import relay
from tests.harness.rooms.turn_server import turn_server
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whip_front import whip_front
from tests.harness.rooms.whip_muxer import muxer

UDP, UDP6 = "127.0.0.1:0", "[::1]:0"
SAMPLES = Path(__file__).parents[2] / "samples"
GLOBAL = "2001:db8::1"
"""An address for documentation (RFC 3849): libwebrtc sends from none of loopback."""
needs_libwebrtc = pytest.mark.skipif(bool(missing()), reason=missing())


async def more(visitor: Visitor, kind: Kind = Kind.AUDIO, count: int = 2) -> None:
    """So many more slices of this kind come, and nobody leaves meanwhile."""

    def there() -> int:
        return sum(kind is one.track.kind for one in visitor.slices("ann"))

    wanted = there() + count
    await visitor.until(lambda: there() >= wanted, seconds=40)
    assert not any(isinstance(one, AnchorLeft) for one in visitor.facts())
    assert visitor.told.count(AnchorJoined("ann")) == 1


@contextlib.asynccontextmanager
async def by_aiortc(url: str) -> AsyncIterator[None]:
    publication = await publish(url, SAMPLES / "anchor-blue.webm")
    yield
    await publication.close()


@contextlib.asynccontextmanager
async def by_muxer(url: str) -> AsyncIterator[None]:
    async with muxer(url, SAMPLES / "anchor-amber.mp4"):
        yield


By = Callable[[str], contextlib.AbstractAsyncContextManager[None]]
others = pytest.mark.parametrize("by", [by_aiortc, by_muxer], ids=["aiortc", "muxer"])


@needs_libwebrtc
@pytest.mark.parametrize("way", ["tcp", "relay", "restart"])
async def test_libwebrtc(devices: tuple[Path, Path], tmp_path: Path, way: Way) -> None:
    async with contextlib.AsyncExitStack() as stack:
        settings = WhipSettings(udp=UDP, tcp=UDP)
        if way == "relay":
            turn = await stack.enter_async_context(turn_server(tmp_path, "north"))
            settings = WhipSettings(udp=UDP, ice_servers=turn.urls, turn_secret="north")
        visitor, url = await stack.enter_async_context(visiting(settings))
        async with libwebrtc(f"{url}/ann", devices[1], way):
            await more(visitor)


@needs_libwebrtc
async def test_libwebrtc_by_ipv6(devices: tuple[Path, Path]) -> None:
    with own_network():
        command = f"ip addr add {GLOBAL}/64 dev test0 nodad"
        subprocess.run(command.split(), check=True)
        async with (
            visiting(WhipSettings(udp=f"[{GLOBAL}]:0")) as (visitor, url),
            libwebrtc(f"{url}/ann", devices[1]),
        ):
            await more(visitor)


async def test_a_page_whose_address_changes_in_mid_call() -> None:
    """As behind a NAT that has forgotten it; the browser finds out by its next check."""
    async with (
        relay(seed=1) as path,
        chromium() as browser,
        visiting(WhipSettings(udp=UDP, silence=10)) as (visitor, url),
    ):
        page = await browser.publisher()
        await page.amend(f"{url}/ann", path.offer, path.answer)
        await page.start(f"{url}/ann", PublishOptions())
        await more(visitor)
        await path.move()
        await more(visitor, count=4)
        assert await page.stop() == 200


@others
async def test_others_whose_address_changes_in_mid_call(by: By) -> None:
    """They nominate once; their next check of consent says where they are."""
    async with (
        relay(seed=1) as path,
        visiting(WhipSettings(udp=UDP)) as (visitor, url),
        whip_front(path, f"{url}/ann") as front,
        by(front),
    ):
        await more(visitor)
        await path.move()
        await more(visitor, count=8)


async def test_a_page_by_ipv6() -> None:
    async with chromium() as browser, visiting(WhipSettings(udp=UDP6)) as (visitor, url):
        page = await browser.publisher()
        await page.start(f"{url}/ann", PublishOptions())
        await more(visitor)
        await more(visitor, Kind.VIDEO)
        assert await page.stop() == 200


@others
async def test_others_by_ipv6(by: By) -> None:
    async with visiting(WhipSettings(udp=UDP6), "whip://[::1]:0/r") as (visitor, url):
        async with by(f"{url}/ann"):
            await more(visitor)
        await visitor.told_of(AnchorLeft("ann", "unpublished by the publisher"))
