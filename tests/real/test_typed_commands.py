"""What the pages say to type, typed as it stands: each kind of room is sliced by its own example.

In a network of the tests' own, where the ports of the pages are free. What is not as on the page:
the folder of the slices, and the one host that is nobody's.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents import ROOT, Command, commands
from tests.harness.media.slices import decode_ogg, read_picture
from tests.harness.network.namespace import own_network
from tests.harness.rooms import nginx_rtmp as rtmp
from tests.harness.rooms.janus import API_SECRET, EXECUTABLE, PIN, janus
from tests.harness.rooms.janus_task import publisher
from tests.harness.rooms.livekit_stand_in import KEY, SECRET, StandIn, audio, info, layered
from tests.harness.rooms.streams import publishing
from tests.harness.rooms.whep_server import WhepServer

README, ROOMS = ROOT / "README.md", ROOT / "docs" / "rooms.md"
SAMPLES = ROOT / "samples"
SIZES = {90: 160, 180: 320}
SECONDS = 40


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


def command(page: Path, begins: str) -> Command:
    """The one on this page that begins so."""
    found = {one.words: one for one in commands(page) if one.whole}
    (only,) = [one for one in found.values() if " ".join(one.words).startswith(begins)]
    return only


@dataclass(frozen=True)
class Typed:
    """A command that runs, and where what it says is written to."""

    process: asyncio.subprocess.Process
    said: Path

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                assert self.process.returncode is None, self.said.read_text()
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def typed(
    what: Command, folder: Path, environment: Mapping[str, str] = {}, host: str = ""
) -> AsyncIterator[Typed]:
    """The command until the context ends; `/tmp/slices` is *folder*."""
    programs = {"slicer": [sys.executable, "-m", "slicer.cli"], "python": [sys.executable]}
    words = [one.replace("media.example.com", host) for one in what.words]
    words = [str(folder) if one == "/tmp/slices" else one for one in words]
    said = folder.with_name(f"{what.program}.log")
    with said.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *programs.get(words[0], [words[0]]), *words[1:],
            cwd=folder.parent, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield Typed(process, said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def hold(slicing: Typed, folder: Path, anchor: str) -> None:
    """Wait for a picture of this anchor, end the command, and see that its audio is there too."""
    await slicing.until(lambda: [*folder.rglob(f"{anchor}/images/*.png")])
    await asyncio.sleep(1.0)
    slicing.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(SECONDS):
        assert await slicing.process.wait() == 0, slicing.said.read_text()
    first, *_ = sorted(folder.rglob(f"{anchor}/images/*.png"))
    assert read_picture(first.read_bytes()).size
    sounds = [one.read_bytes() for one in folder.rglob(f"{anchor}/audios/*.ogg")]
    samples = sum(len(decode_ogg(one, "libopus")) for one in sounds)
    assert samples > 24_000, slicing.said.read_text()


async def test_a_room_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(SAMPLES)
    publishes = command(README, "python -m slicer.demo.publisher")
    async with typed(command(README, "slicer run whip://"), tmp_path / "out") as slicing:
        where = "publish by WHIP to http://127.0.0.1:8080/whip/lobby/"
        await slicing.until(lambda: where in slicing.said.read_text())
        async with typed(publishes, tmp_path / "out"):
            await hold(slicing, tmp_path / "out", "speaker_1")


@pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
async def test_a_room_of_janus(tmp_path: Path) -> None:
    secrets = {"SLICER_JANUS_API_SECRET": API_SECRET, "SLICER_JANUS_PIN": PIN}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(tmp_path / "janus", string_ids=False))
        await server.create(1234)
        await stack.enter_async_context(publisher("ada", room="1234"))
        what = command(ROOMS, "slicer run janus://")
        slicing = await stack.enter_async_context(typed(what, tmp_path / "out", secrets))
        await hold(slicing, tmp_path / "out", "*")  # Janus gives numbers for ids


async def test_a_room_of_livekit(tmp_path: Path) -> None:
    server = StandIn(7880, {"ada": info("ada", audio("TR_a1"), layered("TR_v1", SIZES))})
    server.paint("TR_v1", SIZES)
    await server.start()
    key = {"SLICER_LIVEKIT_KEY": KEY, "SLICER_LIVEKIT_SECRET": SECRET}
    what = command(ROOMS, "slicer run livekit://")
    async with typed(what, tmp_path / "out", key) as slicing:
        await hold(slicing, tmp_path / "out", "ada")
    await server.close()


async def test_a_room_of_mediamtx(tmp_path: Path) -> None:
    servers = [WhepServer(port, ["ada"]) for port in (8889, 9997)]
    for one in servers:
        await one.start()
    async with typed(command(ROOMS, "slicer run whep://"), tmp_path / "out") as slicing:
        await hold(slicing, tmp_path / "out", "ada")
    for one in servers:
        await one.hang_up()
        await one.stop()


@pytest.mark.skipif(bool(rtmp.missing()), reason=f"there is no {rtmp.missing()}")
async def test_a_stream(tmp_path: Path) -> None:
    what = command(ROOMS, "slicer run rtmp://")
    with rtmp.nginx_rtmp(tmp_path) as port:
        host = f"127.0.0.1:{port}"
        with publishing(SAMPLES / "anchor-amber.mp4", f"rtmp://{host}/live/ada"):
            async with typed(what, tmp_path / "out", host=host) as slicing:
                await hold(slicing, tmp_path / "out", "ada")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg")
async def test_plain_rtp(tmp_path: Path) -> None:
    (tmp_path / "talk.webm").symlink_to(SAMPLES / "anchor-blue.webm")
    async with typed(command(ROOMS, "slicer run rtp://"), tmp_path / "out") as slicing:
        await slicing.until(slicing.said.read_text)
        async with typed(command(ROOMS, "ffmpeg -re"), tmp_path / "out"):
            await hold(slicing, tmp_path / "out", "ada")
