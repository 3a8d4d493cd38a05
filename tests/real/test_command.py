"""The command slices a real publisher into a real store: how it ends, and what it says then."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.harness.media.content import SAMPLE_RATE
from tests.harness.media.slices import decode_ogg, read_picture
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.storage.faults import Answer, front_of
from tests.harness.storage.seaweed import WRITER, Seaweed

ROOM = "whip://127.0.0.1:0/lobby"
BUCKET = "command"
PATIENCE = 40
DRAIN = 3


@dataclass
class Command:
    """The running command and what it has said."""

    process: asyncio.subprocess.Process
    said: str = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                self.said += line
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"ended without {pattern!r}:\n{self.said}")

    async def end(self) -> int:
        """Its exit code, with all it said to the end."""
        rest, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        self.said += rest.decode()
        assert self.process.returncode is not None
        return self.process.returncode


@contextlib.asynccontextmanager
async def command(*words: str, secret: str = WRITER.secret_key) -> AsyncIterator[Command]:
    """The command `slicer`, as a process that does not outlive the context."""
    environment = os.environ | {
        "SLICER_ACCESS_KEY": WRITER.access_key,
        "SLICER_SECRET_KEY": secret,
        "SLICER_OUTBOX_DRAIN": f"{DRAIN}",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "slicer.cli", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment,
    )  # fmt: skip
    try:
        yield Command(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def publishing(url: str) -> AsyncIterator[None]:
    """An anchor who is still there when the server has gone; FFmpeg then may wait for ever."""
    async with muxer(url) as pid:
        yield
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(to: str, *more: str) -> tuple[str, ...]:
    return ("run", ROOM, "--to", to, "--audio", "2", "--video", "1", "--plain", *more)


async def test_sigterm_drains_and_everything_is_stored(seaweed: Seaweed) -> None:
    to = seaweed.url(seaweed.make_bucket(BUCKET), "drained")
    async with command(*run(to)) as running:
        endpoint = (await running.until(r"publish by WHIP to (\S+)/YOUR-USER-ID"))[1]
        async with publishing(f"{endpoint}/ann"):
            for _ in range(2):
                await running.until(r"\.ogg")
            await running.until(r"\.png")
            running.process.send_signal(signal.SIGTERM)
            code = await running.end()
    assert code == 0, running.said
    stored = seaweed.keys(BUCKET, "drained/")
    sounds = [decode_ogg(seaweed.read(BUCKET, key)[0]) for key in stored if key.endswith("ogg")]
    lengths = sorted(sound.shape[0] for sound in sounds)
    assert len(lengths) >= 3
    assert lengths[1:] == [2 * SAMPLE_RATE] * (len(lengths) - 1)
    assert 0 < lengths[0] < 2 * SAMPLE_RATE, "the last slice is shorter, and was kept"
    pictures = [read_picture(seaweed.read(BUCKET, key)[0]) for key in stored if "images" in key]
    assert len(pictures) >= 3
    assert len(stored) == len(sounds) + len(pictures)


async def test_sigterm_while_the_store_is_dead_names_what_is_lost(seaweed: Seaweed) -> None:
    bucket = seaweed.make_bucket(BUCKET)
    async with front_of(seaweed.endpoint) as front:
        to = seaweed.url(bucket, "dead", endpoint=front.endpoint)
        async with command(*run(to)) as running:
            endpoint = (await running.until(r"publish by WHIP to (\S+)/YOUR-USER-ID"))[1]
            async with publishing(f"{endpoint}/ann"):
                await running.until(r"\.ogg")
                await front.set(Answer.error(503, "SlowDown"))
                await running.until("503")
                await asyncio.sleep(2)  # if that was of sound, a picture is due within a second
                running.process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                code = await running.end()
    took = time.monotonic() - began
    assert code == 5, running.said
    assert took < DRAIN + 20
    lost = set(re.findall(r"LOST (\S+\.(?:ogg|png))", running.said))
    assert any(key.endswith("ogg") for key in lost), "the last audio slice"
    assert any(key.endswith("png") for key in lost), "the picture that the store refused"
    stored = {key.removeprefix("dead/") for key in seaweed.keys(bucket, "dead/")}
    assert stored
    # What was on its way when the store went: it may have arrived, but nobody could say so. Sound
    # and pictures of one anchor go one after the other, so that is one of each at most.
    assert len(stored & lost) <= 2
    assert lost - stored
    assert WRITER.secret_key not in running.said


async def test_a_wrong_secret_is_told_with_what_to_do(seaweed: Seaweed) -> None:
    to = seaweed.url(seaweed.make_bucket(BUCKET))
    async with command(*run(to), secret="this-is-not-the-secret") as running:
        assert await running.end() == 4
    said = r"slicer: \S+: 403 SignatureDoesNotMatch: .*check access key and secret key"
    assert re.match(said, running.said), running.said
    assert "Traceback" not in running.said
    for secret in (WRITER.secret_key, "this-is-not-the-secret"):
        assert secret not in running.said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--allow-audio", "a*b"), r"allow_audio\[0\].*a\*b.*x\.\*\$"),
        (("--audio", "-1"), r"--audio: got '-1'.*0 to 3600"),
        (("--video", "90000"), r"--video: got '90000'.*0 to 86400"),
        (("--to", "ftp://host/x"), r"ftp://host/x.*s3://"),
        (("--to", "s3:///prefix"), r"bucket"),
    ],
)
async def test_bad_input_starts_nothing(words: tuple[str, ...], says: str) -> None:
    async with command(*run("file:///nowhere/at/all"), *words) as running:
        assert await running.end() == 2
    assert re.search(says, running.said), running.said
    assert "Traceback" not in running.said


async def test_a_bad_room_starts_nothing() -> None:
    async with command(
        "run", "whip://127.0.0.1/lobby", "--to", "file:///nowhere/at/all"
    ) as running:
        assert await running.end() == 2
    assert "whip://HOST:PORT/ROOM" in running.said
