"""A real browser that publishes by WHIP: Chromium with fake or own camera and microphone."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, Page, Route, async_playwright

EXECUTABLE = os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium"
PAGE = "publish.html"
START_SECONDS = 30

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)

Kind = Literal["audio", "video"]


@dataclass(frozen=True)
class PublishOptions:
    """What a page publishes, and how.

    *codec*: VP8, VP9, H264 or AV1, the only one offered (with its retransmission). *trickle*: post
    the offer at once and send candidates by PATCH. *relay*: only by the TURN servers that the
    endpoint names. *max_bitrate* in bit/s; 0 leaves it to Chromium. *degradation*: what to give up
    where bandwidth is short ("maintain-resolution" and so on); left empty, Chromium begins at
    300 kbit/s with smaller pictures (360 x 203) for some 15 s. *layers*: of simulcast, each its RID
    and how many times smaller it is, in the offer's order. *scalability*: of SVC, as "L3T3"
    (https://www.w3.org/TR/webrtc-svc/).
    """

    audio: bool = True
    video: bool = True
    codec: str = "VP8"
    trickle: bool = False
    relay: bool = False
    bearer: str = ""
    max_bitrate: int = 0
    degradation: str = ""
    width: int = 640
    height: int = 360
    fps: int = 15
    layers: tuple[tuple[str, float], ...] = ()
    scalability: str = ""


class Publisher:
    """One page that publishes; each method is one thing a person or an application may do."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def _call(self, expression: str, *arguments: object) -> Any:
        return await self._page.evaluate(f"a => publisher.{expression}", list(arguments))

    async def start(self, url: str, options: PublishOptions = PublishOptions()) -> str:
        """Publish to a WHIP endpoint; the session's URL once connected. Raises playwright Error."""
        given = asdict(options)
        given["maxBitrate"] = given.pop("max_bitrate")
        return str(await self._call("start(...a)", url, given))

    async def show(self, camera: str, argument: object) -> None:
        """Call this function of the page's language, which puts another camera in the place of the
        browser's. To be called before `start`."""
        await self._page.evaluate(camera, argument)

    async def amend(
        self, url: str, offer: Callable[[str], str], answer: Callable[[str], str]
    ) -> None:
        """Have the offer to this URL changed after the page wrote it, the answer before it reads.

        To be called before `start`.
        """

        async def handle(route: Route) -> None:
            if route.request.method != "POST":
                await route.continue_()
                return
            try:
                fetched = await route.fetch(post_data=offer(route.request.post_data or ""))
                await route.fulfill(response=fetched, body=answer(await fetched.text()))
            except Exception:
                await route.abort()  # or the page would wait for ever
                raise

        await self._page.route(url, handle)

    async def begin_at(self, url: str, kilobits: int) -> None:
        """Have Chromium's estimate begin with so many kbit/s, by what the answer says. To be called
        before `start`."""

        def answered(sdp: str) -> str:
            for payload_type in re.findall(r"a=rtpmap:(\d+) (?:VP8|VP9|AV1|H264)/90000", sdp):
                line, told = f"a=fmtp:{payload_type} ", f"x-google-start-bitrate={kilobits}"
                if line in sdp:
                    sdp = sdp.replace(line, f"{line}{told};")
                else:
                    mapped = re.compile(rf"(a=rtpmap:{payload_type} .*\r\n)")
                    sdp = mapped.sub(rf"\g<1>{line}{told}\r\n", sdp)
            return sdp

        await self.amend(url, lambda offer: offer, answered)

    async def patches(self) -> int:
        """How many PATCH requests were answered by 204."""
        return int(await self._call("patches"))

    async def mute(self, kind: Kind, how: Literal["enabled", "replace", "stop"]) -> None:
        """Fall silent: black frames and silence, no track at all, or a track that ended."""
        await self._call("mute(...a)", kind, how)

    async def unmute(self, kind: Kind) -> None:
        """Come back from any kind of mute."""
        await self._call("unmute(...a)", kind)

    async def scale_down(self, factor: float) -> None:
        """Send pictures *factor* times smaller (scaleResolutionDownBy)."""
        await self._call("encode({scaleResolutionDownBy: a[0]})", factor)

    async def activate(self, rid: str, active: bool) -> None:
        """Send a layer of simulcast from now on, or stop it."""
        await self._call("encode({rid: a[0], active: a[1]})", rid, active)

    async def constrain(self, width: int, height: int) -> None:
        """Have the camera itself give another size (applyConstraints)."""
        await self._call("constrain({width: a[0], height: a[1]})", width, height)

    async def stats(self) -> dict[str, Any]:
        """`availableOutgoingBitrate` in bit/s, and for each kind (of simulcast, for each RID) its
        outbound-rtp of getStats."""
        return dict(await self._call("stats()"))

    async def restart(self) -> None:
        """Restart ICE, as the server's answer says; raises where that refuses."""
        await self._call("restart()")

    async def stop(self) -> int:
        """End the session by DELETE; its HTTP status."""
        return int(await self._call("stop()"))

    async def vanish(self) -> None:
        """Close without a DELETE."""
        await self._call("vanish()")


class Chromium:
    """A running browser; every publisher is a page with a context of its own."""

    def __init__(self, browser: Browser, page_url: str, pid: int) -> None:
        self._browser, self._page_url = browser, page_url
        self.pid = pid

    async def publisher(self) -> Publisher:
        """A fresh page, ready to start."""
        return Publisher(await self.page(self._page_url))

    async def page(self, url: str) -> Page:
        """Any page, in a context of its own."""
        page = await (await self._browser.new_context()).new_page()
        await page.goto(url)
        return page


@contextlib.asynccontextmanager
async def chromium(video: Path | None = None, audio: Path | None = None) -> AsyncIterator[Chromium]:
    """Run Chromium with its own fake devices, or with a y4m and a wav as camera and microphone.

    Whatever happens, its processes are ended. Raises TimeoutError where it does not start.
    """
    flags = list(_FLAGS)
    if video:
        flags.append(f"--use-file-for-fake-video-capture={video.resolve()}")
    if audio:
        flags.append(f"--use-file-for-fake-audio-capture={audio.resolve()}")
    with (
        _page_server() as page_url,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
    ):
        async with _process(flags, home) as (pid, devtools), async_playwright() as playwright:
            browser = await playwright.chromium.connect_over_cdp(devtools)
            yield Chromium(browser, page_url, pid)
            await browser.close()


@contextlib.asynccontextmanager
async def _process(flags: list[str], home: str) -> AsyncIterator[tuple[int, str]]:
    """The browser's pid and the address of its DevTools."""
    # All its children are of its process group, and can be ended as one. A session of its own would
    # be scheduled as one, too: what computes could not be kept behind it (sched(7), autogroups).
    process = await asyncio.create_subprocess_exec(
        EXECUTABLE, *flags, f"--user-data-dir={home}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": home}, process_group=0,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        devtools = await asyncio.wait_for(_devtools(process.stderr), START_SECONDS)
        drain = asyncio.create_task(_drain(process.stderr))
        yield process.pid, devtools
        drain.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _devtools(stderr: asyncio.StreamReader) -> str:
    async for line in stderr:
        if found := re.search(rb"DevTools listening on (ws://\S+)", line):
            return found[1].decode()
    raise RuntimeError("Chromium ended before it listened")


async def _drain(stderr: asyncio.StreamReader) -> None:
    while await stderr.read(65_536):
        pass


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line per request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def _page_server() -> Iterator[str]:
    """The page's address on loopback, where browsers allow cameras without TLS."""
    handler = partial(_Quiet, directory=str(Path(__file__).parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{PAGE}"
        server.shutdown()
        thread.join()
