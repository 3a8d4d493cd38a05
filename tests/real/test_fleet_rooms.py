"""Our own rooms in a fleet: publishers come to any process, and are led to the worker that has the
room (RFC 9725 4.5), also after it has moved. FFmpeg's muxer, Chromium and aiortc follow."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from slicer.demo.publisher import publish
from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.service.encryption import Encryption
from slicer.service.fleet_serving import signer_of
from tests.harness.fleet.calling import hear
from tests.harness.fleet.processes import PATIENCE, Processes, order, processes
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.service.customer import APP, usersig
from tests.harness.service.serve import Served
from tests.harness.storage.seaweed import Seaweed

SAMPLE = Path(__file__).parents[2] / "samples" / "anchor-amber.mp4"
PICTURE = 2
pytestmark = pytest.mark.asyncio(loop_scope="module")
OFFER = {"Content-Type": "application/sdp"}


@dataclass
class Rooms:
    """A fleet with two workers and a copy of the API, and a task in room 1."""

    fleet: Processes
    api: Served
    task: str

    def url(self, user: str, room: str = "1") -> str:
        """Where a publisher comes who knows the API alone."""
        return f"http://127.0.0.1:{self.api.port}/whip/{room}/{user}"

    async def holder(self, task: str = "") -> str:
        return (await self.fleet.records())[task or self.task].worker

    def has_picture_of(self, user: str, since: float) -> Callable[[], bool]:
        def has() -> bool:
            told = [one.told["EventInfo"] for one in self.fleet.customer.received]
            return any(
                one["Payload"].get("MediaType") == PICTURE
                and one["StreamUserId"] == user
                and one["Payload"]["StartTimeMs"] > since * 1000
                for one in told
            )

        return has

    async def sliced(self, user: str, since: float) -> None:
        await self.fleet.customer.until(self.has_picture_of(user, since), PATIENCE)

    async def move(self) -> str:
        """As `slicer fleet move` does; gives who has the task then."""
        before = await self.holder()
        signer = signer_of(Encryption([self.fleet.secrets["SLICER_STATE_KEY"]]))
        bus = await Bus.connect(FleetSettings(self.fleet.servers.urls), "test", signer)
        await hear(bus, before)
        assert await bus.ask(before, {"verb": "move", "task": self.task}, 30) == {"moved": True}
        await bus.close()
        async with asyncio.timeout(PATIENCE):
            while (after := await self.holder()) in {"", before}:
                await asyncio.sleep(0.05)
        return after


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rooms(seaweed: Seaweed, tmp_path_factory: Any) -> AsyncIterator[Rooms]:
    async with processes(tmp_path_factory.mktemp("rooms"), seaweed, "fleetrooms") as fleet:
        for name in ("w0", "w1"):
            await fleet.worker(name)
        api = await fleet.api("api")
        yield Rooms(fleet, api, await fleet.create(api))


async def test_ffmpegs_muxer_follows_and_comes_again_after_a_move(rooms: Rooms) -> None:
    began = time.time()
    with suppress(ProcessLookupError):
        async with muxer(rooms.url("ada"), SAMPLE, usersig("ada")) as pid:
            await rooms.sliced("ada", began)
            old = await rooms.holder()
            new = await rooms.move()
            os.kill(pid, signal.SIGKILL)  # it hangs where its peer is gone
    moved = time.time()
    async with muxer(rooms.url("ada"), SAMPLE, usersig("ada")):
        await rooms.sliced("ada", moved)
    # The worker that it was at leads on, too.
    again, port = time.time(), rooms.fleet.ports[old]
    async with muxer(f"http://127.0.0.1:{port}/whip/1/ada", SAMPLE, usersig("ada")):
        await rooms.sliced("ada", again)
    assert await rooms.holder() == new != old


async def test_aiortc_follows(rooms: Rooms) -> None:
    began = time.time()
    publication = await publish(rooms.url("bo"), SAMPLE, bearer=usersig("bo"))
    await rooms.sliced("bo", began)
    port = rooms.fleet.ports[await rooms.holder()]
    assert publication.session.startswith(f"http://127.0.0.1:{port}/whip/1/bo/")
    await publication.close()


async def test_chromium_follows_without_its_token_by_a_ticket(
    rooms: Rooms, devices: tuple[Path, Path]
) -> None:
    began = time.time()
    async with chromium(*devices) as browser:
        publisher = await browser.publisher()
        options = PublishOptions(bearer=usersig("cy"))
        session = await publisher.start(rooms.url("cy"), options)
        port = rooms.fleet.ports[await rooms.holder()]
        assert session.startswith(f"http://127.0.0.1:{port}/whip/1/cy/")
        await rooms.sliced("cy", began)
        assert await publisher.stop() == 200


async def test_create_and_describe_say_where_the_room_is(rooms: Rooms) -> None:
    created = await rooms.fleet.call(
        rooms.api, "CreateCloudSliceTask", order(rooms.fleet.bucket, "2")
    )
    task = str(created["TaskId"])
    worker = rooms.fleet.ports[await rooms.holder(task)]
    assert created["WhipUrl"] == f"http://127.0.0.1:{worker}/whip/2"
    body = json.dumps({"SdkAppId": APP, "TaskId": task})
    described = await rooms.fleet.call(rooms.api, "DescribeCloudSliceTask", body)
    assert described["WhipUrl"] == created["WhipUrl"]
    assert "Error" not in await rooms.fleet.call(rooms.api, "DeleteCloudSliceTask", body)


async def test_a_second_task_of_a_room_goes_to_the_worker_that_has_it(rooms: Rooms) -> None:
    body = order(rooms.fleet.bucket, user="second")
    created = await rooms.fleet.call(rooms.api, "CreateCloudSliceTask", body)
    task = str(created["TaskId"])
    assert await rooms.holder(task) == await rooms.holder()
    after = await rooms.move()
    async with asyncio.timeout(PATIENCE):
        while await rooms.holder(task) != after:
            await asyncio.sleep(0.05)
    body = json.dumps({"SdkAppId": APP, "TaskId": task})
    assert "Error" not in await rooms.fleet.call(rooms.api, "DeleteCloudSliceTask", body)


async def test_a_redirect_leads_only_to_what_a_worker_has_announced(rooms: Rooms) -> None:
    port = rooms.fleet.ports[await rooms.holder()]
    ours = f"http://127.0.0.1:{port}/whip/1/ada?ticket=ticket."
    bearer = {"Authorization": f"Bearer {usersig('ada')}"}
    fakes = [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example", "X-Original-URL": "//evil.example/"},
        {"Location": "http://evil.example/", "Referer": "http://evil.example/"},
    ]
    async with httpx.AsyncClient(trust_env=False) as client:

        async def post(url: str, **headers: str) -> httpx.Response:
            return await client.post(url, content=b"v=0\r\n", headers=OFFER | headers)

        for fake in fakes:
            answer = await post(rooms.url("ada"), **bearer, **fake)
            assert answer.status_code == 307
            assert answer.headers["location"].startswith(ours)
            assert answer.headers["cache-control"] == "no-store"
        for query in ("?to=http://evil.example", "?rooms=//evil.example", "#@evil.example"):
            answer = await post(rooms.url("ada") + query, **bearer)
            assert answer.headers["location"].startswith(ours)
            assert "evil" not in answer.headers["location"]
        for user in ("..%2f..%2fevil", "a%0d%0aLocation:x", "@evil.example%2f", "%2e%2e"):
            answer = await post(rooms.url(user), **bearer)
            assert answer.status_code in {400, 401, 404}, user
            assert "location" not in answer.headers
        assert (await post(rooms.url("ada"))).status_code == 401, "no token, no place"
        other = {"Authorization": f"Bearer {usersig('bo')}"}
        assert (await post(rooms.url("ada"), **other)).status_code == 401
        assert (await post(rooms.url("ada", "nowhere"), **bearer)).status_code == 404
        # A ticket is for its room and its user, and leads nobody on.
        ticket = (await post(rooms.url("ada"), **bearer)).headers["location"].partition("?")[2]
        for path in (rooms.url("bo"), rooms.url("ada", "2")):
            assert (await post(f"{path}?{ticket}")).status_code == 401
        answer = await post(f"{rooms.url('ada')}?{ticket}")
        assert (answer.status_code, "location" in answer.headers) == (503, False)
        assert answer.headers["retry-after"]
        assert (await post(f"{rooms.url('ada')}?ticket=ticket.x")).status_code == 401
        assert (await post(f"{rooms.url('ada')}?ticket={usersig('ada')}")).status_code == 401
