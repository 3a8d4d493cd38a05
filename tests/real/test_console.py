"""The console in a browser: logging in, the wall as it changes, time lines, what waits."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, Route, expect

from slicer.engine.events import AnchorLeft, TaskTrouble
from slicer.engine.operation import StoreHealth, WaitingSlice
from slicer.moderation import Label, Suggest
from slicer.rtp.parameters import Kind
from tests.harness.console.line import Line, line
from tests.harness.console.pictures import jpeg
from tests.harness.console.staged import TOKEN, Stage, served
from tests.harness.media.content import Content, Encoding, encode
from tests.harness.rooms.chromium import Chromium, chromium

ANCHORS = ("ada", "bo", "<img src=x onerror=alert(1)>")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PHONE, DESK = (390, 844), (1280, 800)
FLING = """frames => new Promise(done => {
  let at = 0;
  function frame() {
    scrollTo(0, ++at % 2 ? 0 : document.documentElement.scrollHeight);
    if (at < frames) requestAnimationFrame(frame);
    else done();
  }
  requestAnimationFrame(frame);
})"""
"""Scrolls from end to end in each frame; ends at the top where their number is odd."""


UNREADABLE = """() => {
  const parts = color => [...color.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const over = (top, below) => [0, 1, 2].map(one => top[one] * top[3] + below[one] * (1 - top[3]));
  const behind = place => {
    if (!place) return [255, 255, 255];
    const color = parts(getComputedStyle(place).backgroundColor);
    return color[3] === 1 ? color.slice(0, 3) : over(color, behind(place.parentElement));
  };
  const light = color => color.map(one => one / 255)
    .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const found = [];
  for (const place of document.querySelectorAll("body *")) {
    const own = [...place.childNodes].filter(one => one.nodeType === 3);
    const text = own.map(one => one.data.trim()).join("");
    if (!text || !place.checkVisibility()) continue;
    const ground = behind(place), color = over(parts(getComputedStyle(place).color), ground);
    const [low, high] = [light(color), light(ground)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(text + ": " + ratio.toFixed(2));
  }
  return found;
}"""
"""Visible texts whose contrast is below 4.5 (WCAG 2.2, 1.4.3)."""


@dataclass
class Console:
    """The page, and what stands behind it."""

    stage: Stage
    cable: Line
    browser: Chromium
    url: str
    page: Page
    errors: list[str] = field(default_factory=list)

    async def log_in(self) -> None:
        await self.page.fill("[name=name]", "Mara")
        await self.page.fill("[name=token]", TOKEN)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator(".link")).to_have_text("Live")

    def fill(self) -> None:
        """A task with anchors that have each a picture."""
        self.stage.begin("t", "150")
        for anchor in ANCHORS:
            self.stage.join("t", anchor)


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Console]:
    """The console's page, without a session."""
    async with (
        served(folder) as (stage, behind),
        line(behind) as (cable, url),
        chromium() as browser,
    ):
        page = await browser.page(url)
        console = Console(stage, cable, browser, url, page)
        page.on("pageerror", lambda error: console.errors.append(str(error)))
        page.on(
            "console",
            lambda said: console.errors.append(said.text) if said.type == "error" else None,
        )
        yield console
        assert console.errors == []


async def test_an_operator_at_work(tmp_path: Path) -> None:
    encode(tmp_path / "talk.ogg", Content(seconds=1), Encoding(video=None))
    audio = (tmp_path / "talk.ogg").read_bytes()
    async with opened(tmp_path) as console:
        page, stage = console.page, console.stage
        console.fill()
        await console.log_in()
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(len(ANCHORS))
        assert await page.locator(".who b").all_text_contents() == sorted(ANCHORS)

        # A hit comes to the front by itself, with its picture.
        info = stage.make("t", "bo", jpeg(1))
        stage.judge(info, Suggest.BLOCK, Label.PORN, 97)
        for anchor in ANCHORS:
            stage.make("t", anchor, audio, Kind.AUDIO, ago=1.0)
        await expect(tiles.first.locator("b")).to_have_text("bo")
        await expect(tiles.first.locator(".pill")).to_have_text("Block · Porn 97")
        await expect(tiles.first.locator(".voice")).to_have_attribute("aria-label", "Speaking")
        await expect(tiles.first.locator("img")).to_have_js_property("naturalWidth", 320)

        # What concerns the whole task is on each of its tiles, until it works again.
        stage.tell(TaskTrouble("t", datetime.now(UTC), "HTTP 503", "s3://bucket"))
        await expect(page.locator(".trouble", has_text="Store fails")).to_have_count(len(ANCHORS))

        # By keyboard alone: the filter, the wall, the time line, its picture.
        await page.focus("[type=search]")
        await page.keyboard.type("bo")
        await expect(tiles).to_have_count(1)
        await page.fill("[type=search]", "")
        await expect(tiles).to_have_count(len(ANCHORS))
        await tiles.first.locator("a").focus()
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("Room 150")
        await expect(page.locator(".note")).to_have_text("Store fails: s3://bucket: HTTP 503")
        await page.locator(".picture:visible").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog p")).to_contain_text("Block · Porn 97")
        await page.keyboard.press("Escape")
        await page.locator(".audio:visible").first.click()
        await expect(page.locator("audio")).to_have_js_property("ended", True)


async def test_a_long_wall_is_drawn_where_it_is_seen(tmp_path: Path) -> None:
    many = 150
    async with opened(tmp_path) as console:
        page, stage = console.page, console.stage
        await page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        stage.begin("t", "150")
        for number in range(many):
            stage.join("t", f"anchor-{number:03}")
        await console.log_in()
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(many)
        for number in range(many):
            stage.make("t", f"anchor-{number:03}", jpeg(number % 9))
        await expect(tiles.first.locator("img")).to_be_visible()
        assert await tiles.last.locator("a").count() == 0

        # What has the focus keeps it, however far away the page is scrolled.
        await tiles.first.locator("a").focus()
        await page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        await expect(tiles.last.locator("b")).to_have_text(f"anchor-{many - 1:03}")
        await expect(tiles.last.locator("img")).to_be_visible()
        await expect(tiles.first.locator("a")).to_be_focused()
        assert await page.locator(".tile a:visible").count() < 80
        assert await tiles.nth(5).locator("a").is_hidden()

        # By keys past what is made, and back.
        await tiles.last.locator("a").focus()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowDown")
        await expect(tiles.last.locator("a")).to_be_focused()

        # What was passed over, and what changed meanwhile, is drawn when the page rests.
        await page.evaluate(FLING, 40)
        stage.make("t", "anchor-000", jpeg(20))
        stage.judge(stage.make("t", "anchor-001", jpeg(21)), Suggest.REVIEW, Label.SEXY, 66)
        await page.evaluate(FLING, 1)
        await expect(tiles.first.locator(".pill")).to_have_text("Review · Sexy 66")
        await expect(tiles.nth(3).locator("img")).to_be_visible()


async def test_a_stream_that_is_cut_misses_and_doubles_nothing(tmp_path: Path) -> None:
    """Between two events, within one, and while a picture is fetched; much happens meanwhile."""
    async with opened(tmp_path) as console:
        page, stage, cable = console.page, console.stage, console.cable
        state, names = page.locator(".link"), page.locator(".who b")
        counts = page.locator(".chips b")
        console.fill()
        await console.log_in()
        await expect(names).to_have_text(sorted(ANCHORS))

        cable.cut()
        await expect(state).to_have_text("Connecting…")
        stage.tell(AnchorLeft("t", datetime.now(UTC), ANCHORS[0], ""))
        stage.join("t", "dee")
        stage.judge(stage.make("t", "bo", jpeg(1)), Suggest.BLOCK, Label.PORN, 97)
        stage.begin("u", "151")
        cable.mend()
        await expect(state).to_have_text("Live")
        await expect(names).to_have_text(["bo", ANCHORS[2], "dee"])
        await expect(page.locator(".pill:visible")).to_have_text(["Block · Porn 97"])
        await expect(counts).to_have_text(["3", "1", "0", "0"])
        await expect(page.locator("nav a", has_text="Tasks").locator(".count")).to_have_text("2")

        cable.cut_at(b"event: wall")
        stage.join("t", "eve")
        await expect(state).to_have_text("Connecting…")
        stage.tell(AnchorLeft("t", datetime.now(UTC), ANCHORS[2], ""))
        cable.mend()
        await expect(names).to_have_text(["bo", "dee", "eve"])

        cable.cut_at(b"/media/")
        stage.make("t", "dee", jpeg(2))
        await expect(state).to_have_text("Connecting…")
        cable.mend()
        await expect(page.locator(".tile:has-text('dee') img")).to_have_js_property(
            "naturalWidth", 320
        )
        await expect(names).to_have_text(["bo", "dee", "eve"])
        await expect(counts).to_have_text(["3", "1", "0", "0"])

        # A picture whose fetch fails only after the line is there again.
        asked, failing = asyncio.Event(), asyncio.Event()

        async def fail_late(route: Route) -> None:
            asked.set()
            await failing.wait()
            await route.abort()

        await page.route("**/media/**", fail_late, times=1)
        stage.make("t", "eve", jpeg(3))
        await asked.wait()
        cable.cut()
        await expect(state).to_have_text("Connecting…")
        cable.mend()
        await expect(state).to_have_text("Live")
        failing.set()
        await expect(page.locator(".tile:has-text('eve') img")).to_have_js_property(
            "naturalWidth", 320
        )
        console.errors[:] = [one for one in console.errors if "net::ERR_" not in one]


async def test_what_waits_is_dropped_after_a_question(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        page, stage = console.page, console.stage
        stage.stores = [StoreHealth("s3://b", False, True, "503 slow", 1, 10, 0, 0)]
        stage.slices = [
            WaitingSlice("t/a.jpg", "t", "backoff", "s3://b", 10, 2, True, "503 SlowDown")
        ]
        await console.log_in()
        await page.goto(f"{console.url}#/health")
        await expect(page.locator("main")).to_contain_text("Failing: left alone")
        await page.goto(f"{console.url}#/waiting")
        await expect(page.locator("main")).to_contain_text("503 SlowDown")
        await page.click("text=Try again now")
        await expect(page.locator(".toasts")).to_contain_text("1 slice will be tried now")
        await page.click("text=Drop >> nth=0")
        await page.click("dialog >> text=Keep")
        assert stage.done == [("slices again",)]
        await page.click("text=Drop >> nth=0")
        await page.click("dialog >> text=Drop it")
        await expect(page.locator("main")).to_contain_text("No slice waits")
        assert stage.done[1][:2] == ("drop slice", "t/a.jpg")
        await page.goto(f"{console.url}#/audit")
        await expect(page.locator("tbody tr").first).to_contain_text("Mara (127.0.0.1)")
        await expect(page.locator("tbody tr").first).to_contain_text("Drop slice")
        await page.click("text=Log out")
        await expect(page.locator(".login")).to_be_visible()
        cookies = await page.context.cookies()
        assert [one["name"] for one in cookies] == []


async def test_a_wrong_token_and_a_session_that_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        page = console.page
        await page.fill("[name=token]", "a-token-that-is-wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("[role=alert]")).to_have_text("This is not the token.")
        assert re.search("401", console.errors.pop())
        await console.log_in()
        cookie = (await page.context.cookies())[0]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
            True,
            "Strict",
            "/console",
        )
        assert TOKEN not in await page.content()
        assert await page.evaluate("document.cookie") == ""


async def unreadable(page: Page) -> list[str]:
    """What cannot be read while the system is light, and while it is dark."""
    found: list[str] = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) < 384) is (scheme == "dark")
        found += [f"{scheme}: {one}" for one in await page.evaluate(UNREADABLE)]
    return found


async def test_every_text_can_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        page, stage = console.page, console.stage
        assert await unreadable(page) == []
        stage.stores = [StoreHealth("s3://bucket", False, True, "503", 1, 10, 0, 3)]
        stage.slices = [WaitingSlice("t/a.jpg", "t", "ready", "s3://b", 10, 0, False)]
        console.fill()
        await console.log_in()
        await expect(page.locator(".tile")).to_have_count(len(ANCHORS))
        for anchor, suggest in zip(ANCHORS, Suggest, strict=True):
            stage.judge(stage.make("t", anchor, jpeg(1)), suggest, Label.PORN, 97)
        stage.tell(TaskTrouble("t", datetime.now(UTC), "HTTP 503", "s3://bucket"))
        await expect(page.locator(".trouble", has_text="Store fails")).to_have_count(len(ANCHORS))
        await expect(page.locator(".tile img:visible")).to_have_count(len(ANCHORS))
        for name in ("wall", "tasks", "health", "waiting", "audit", "task/t"):
            await page.goto(f"{console.url}#/{name}")
            await expect(page.locator("main")).not_to_contain_text("Loading")
            assert await unreadable(page) == [], name


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_every_page_fits(size: tuple[int, int], tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        page, stage = console.page, console.stage
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        stage.stores = [StoreHealth("s3://bucket/" + "x" * 60, False, True, "y" * 99, 1, 10, 0, 3)]
        stage.slices = [WaitingSlice("t/" + "z" * 90, "t", "ready", "s3://b", 10, 0, False)]
        console.fill()
        stage.join("t", "w" * 80)
        await console.log_in()
        await expect(page.locator(".tile")).to_have_count(len(ANCHORS) + 1)
        stage.make("t", "ada", jpeg(1))
        for name in ("wall", "tasks", "health", "waiting", "audit", "task/t"):
            await page.goto(f"{console.url}#/{name}")
            await expect(page.locator("main")).not_to_contain_text("Loading")
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size[0], name
