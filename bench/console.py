"""The console's wall in a real Chromium: frames a second while it changes and is scrolled.

`python -m bench.console [--anchors 500] [--seconds 10] [--height 180]`: every anchor has a new
picture of that height (16:9) every 5 s.
The page is scrolled all the while, by a sixtieth of a second in each frame, so that a busy machine
has the same to do in a frame. From Chromium's own trace come the main thread's work and its
longest task, and what of it is the page's own (script, style, layout) and what is painting; from
requestAnimationFrame how far apart frames are.

`python -m bench.console --floor` measures in turns, in the same Chromium, what it makes of an empty
page, of a page of as many plain pictures that never change, and of the wall with all its changes,
and what CPU all of Chromium uses for a frame. No page can have more frames than the first.

`python -m bench.console --picture docs/console.png` makes the picture of the documentation instead.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import Browser, Page

from bench.peers.statistics import quantile
from slicer.engine.events import PicturesMissing
from slicer.moderation import Label, Suggest
from slicer.rtp.parameters import Kind
from tests.harness.console.pictures import jpeg
from tests.harness.console.staged import TOKEN, Stage, served
from tests.harness.media.content import Content, Encoding, encode
from tests.harness.rooms.chromium import chromium

TASKS, EVERY, PICTURES = 20, 5.0, 40
"""Tasks, seconds between two pictures of an anchor, and pictures that differ."""
WHOLE = 6.3
"""Seconds in which SCROLL, at 60 frames a second, has gone down once."""
FRAME = 1000 / 60
"""Milliseconds."""
CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
GROUPS = {
    "script": ("FunctionCall", "FireAnimationFrame", "EventDispatch", "TimerFire", "V8.GC"),
    "style": ("UpdateLayoutTree",),
    "layout": ("Layout",),
    "where tiles are": ("IntersectionObserverController",),
    "paint": ("PrePaint", "Paint", "Layerize", "Commit", "UpdateLayer"),
    "raster": ("RasterTask", "Decode Image", "ImageDecodeTask"),
}
"""How the trace's events begin that are of a kind; raster is other threads'."""
SCROLL = """seconds => new Promise(done => {
  const intervals = [];
  let last = performance.now();
  function frame(now) {
    intervals.push(now - last);
    last = now;
    const most = document.documentElement.scrollHeight - innerHeight;
    scrollTo(0, most * (0.5 - 0.5 * Math.cos(intervals.length / 120)));
    if (intervals.length < seconds * 60) requestAnimationFrame(frame);
    else done(intervals.slice(1));
  }
  requestAnimationFrame(frame);
})"""
NAMES = (
    *("ada", "bo", "cy", "dan", "eve", "finn", "gus", "hana", "ivo", "juno", "kai", "lea", "mio"),
    *("nora", "oskar", "pia", "quinn", "rosa", "sam", "tove", "uma", "vera", "wim", "xenia"),
)


def fill(stage: Stage, anchors: int) -> list[tuple[str, str]]:
    """Tasks and their anchors."""
    for number in range(TASKS):
        stage.begin(f"task-{number}", f"room-{number}")
    found = [(f"task-{number % TASKS}", f"anchor-{number}") for number in range(anchors)]
    for task, anchor in found:
        stage.join(task, anchor)
    return found


def picture(number: int, height: int) -> bytes:
    return jpeg(number % PICTURES, height * 16 // 9, height)


async def change(stage: Stage, anchors: list[tuple[str, str]], height: int) -> None:
    """New pictures for all of them, evenly, until it is cancelled."""
    number = 0
    while True:
        for _ in range(max(1, round(len(anchors) / EVERY / 20))):
            task, anchor = anchors[number % len(anchors)]
            info = stage.make(task, anchor, picture(number, height))
            if number % 50 == 0:
                stage.judge(info, Suggest.REVIEW, Label.SEXY, 60 + number % 40)
            number += 1
        await asyncio.sleep(1 / 20)


async def log_in(page: Page) -> None:
    await page.fill("[name=token]", TOKEN)
    await page.click(".login button")
    await page.wait_for_selector(".bar:not([hidden])")


async def measure(anchors: int, seconds: float, height: int) -> None:
    """Print what the wall costs."""
    for number in range(PICTURES):
        picture(number, height)
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as (stage, url), chromium() as browser:
            page = await browser.page(url)
            await page.set_viewport_size({"width": 1280, "height": 800})
            await log_in(page)
            changing = asyncio.ensure_future(change(stage, fill(stage, anchors), height))
            await page.locator(".tile").nth(anchors - 1).wait_for(state="attached")
            await asyncio.sleep(EVERY)
            raw = page.context.browser
            assert isinstance(raw, Browser)
            await raw.start_tracing(page=page, categories=CATEGORIES)
            intervals = await page.evaluate(SCROLL, seconds)
            trace = json.loads(await raw.stop_tracing())
            changing.cancel()
            events = trace["traceEvents"]
            report(intervals, *main_thread(events))
            for kind, spent in work(events).items():
                print(f"{kind:20} {spent / len(intervals):6.2f} ms of CPU a frame")


def still(anchors: int, height: int) -> str:
    """A page of plain pictures, as large as those of the wall."""
    shown = (base64.b64encode(picture(number, height)).decode() for number in range(PICTURES))
    urls = [f"data:image/jpeg;base64,{one}" for one in shown]
    images = "".join(f'<img src="{urls[number % PICTURES]}">' for number in range(anchors))
    return (
        "<style>body { display: grid; gap: 12px; "
        "grid-template-columns: repeat(auto-fill, minmax(196px, 1fr)) } "
        f"img {{ width: 100%; aspect-ratio: 8 / 7; object-fit: contain }}</style>{images}"
    )


async def compare(anchors: int, seconds: float, height: int, rounds: int) -> None:
    """Print the frames a second of the wall and of pages that do less, in turns."""
    empty = "<div style='height: 20000px'></div>"
    found: dict[str, list[tuple[float, float]]]
    found = {"an empty page": [], "plain pictures": [], "the wall": []}
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as (stage, url), chromium() as browser:
            page = await browser.page(url)
            await page.set_viewport_size({"width": 1280, "height": 800})
            await log_in(page)
            changing = asyncio.ensure_future(change(stage, fill(stage, anchors), height))
            for _ in range(rounds):
                for name, html in zip(found, (empty, still(anchors, height), ""), strict=True):
                    if html:
                        await page.goto("about:blank")
                        await page.set_content(html)
                    else:
                        await page.goto(url)
                        await page.locator(".tile").nth(anchors - 1).wait_for(state="attached")
                    await page.evaluate(SCROLL, WHOLE)  # every picture was shown once
                    before = cpu_of_group(browser.pid)
                    intervals = await page.evaluate(SCROLL, seconds)
                    after = cpu_of_group(browser.pid)
                    spent = sum(after[pid] - before.get(pid, 0.0) for pid in after)
                    rate = 1000 * len(intervals) / sum(intervals)
                    found[name].append((rate, 1000 * spent / len(intervals)))
            changing.cancel()
    for name, turns in found.items():
        rates, spent_each = zip(*turns, strict=True)
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        print(
            f"{name:20} {median(rates):6.1f} frames a second (median of {each}), "
            f"{median(spent_each):.1f} ms of CPU a frame"
        )


def cpu_of_group(group: int) -> dict[int, float]:
    """CPU seconds that each process of a group, Chromium's here, has used."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                found[int(file.parent.name)] = int(fields[11]) + int(fields[12])
    return {pid: ticks / os.sysconf("SC_CLK_TCK") for pid, ticks in found.items()}


def main_thread(events: list[dict[str, Any]]) -> tuple[int, list[float]]:
    """How many frames the page's main thread made, and the CPU of its tasks in milliseconds."""
    frames = [one for one in events if one["name"] == "FireAnimationFrame"]
    threads = {(one["pid"], one["tid"]) for one in frames}
    tasks = [
        one["tdur"] / 1000
        for one in events
        if one["name"] == "ThreadControllerImpl::RunTask"
        and (one["pid"], one["tid"]) in threads
        and "tdur" in one
    ]
    return len(frames), tasks


def work(events: list[dict[str, Any]]) -> dict[str, float]:
    """CPU of each of GROUPS in milliseconds, without what an event holds of others."""
    pages = {one["pid"] for one in events if one["name"] == "FireAnimationFrame"}
    spans = [one for one in events if one["ph"] == "X" and "tdur" in one and one["pid"] in pages]
    spent, open_now = dict.fromkeys(GROUPS, 0.0), dict[int, list[tuple[float, str]]]()
    for one in sorted(spans, key=lambda one: (one["ts"], -one["dur"])):
        kind = next((kind for kind, of in GROUPS.items() if one["name"].startswith(of)), "")
        stack = open_now.setdefault(one["tid"], [])
        while stack and stack[-1][0] <= one["ts"]:
            stack.pop()
        outer = stack[-1][1] if stack else ""
        if kind:
            spent[kind] += one["tdur"] / 1000
            if outer:
                spent[outer] -= one["tdur"] / 1000
        stack.append((one["ts"] + one["dur"], kind or outer))
    return spent


def report(intervals: list[float], frames: int, tasks: list[float]) -> None:
    """Print it."""
    intervals = sorted(intervals)
    late = sum(one > FRAME * 1.5 for one in intervals)
    print(f"frames a second      {1000 * len(intervals) / sum(intervals):6.1f}")
    print(f"between two frames   {quantile(intervals, 0.5):6.1f} ms (median)")
    print(f"                     {quantile(intervals, 0.95):6.1f} ms (95 %)")
    print(f"frames that are late {100 * late / len(intervals):6.1f} %")
    print(f"main thread's CPU    {sum(tasks) / frames:6.1f} ms a frame, of {FRAME:.1f}")
    print(f"its longest task     {max(tasks, default=0.0):6.1f} ms of CPU")


def scene(stage: Stage) -> None:
    """What the documentation shows."""
    rooms = ("lobby", "studio-2", "night-talk")
    for number, room in enumerate(rooms):
        stage.begin(f"task-{number}", room)
    for number, name in enumerate(NAMES):
        stage.join(f"task-{number % len(rooms)}", name)


def pictures(stage: Stage, audio: bytes) -> None:
    """A picture and audio for each anchor, some of them with a verdict that matters."""
    hits = {4: (Suggest.BLOCK, Label.PORN, 97), 12: (Suggest.REVIEW, Label.QR_CODE, 71)}
    for number, name in enumerate(NAMES):
        task = f"task-{number % 3}"
        if name == "lea":
            stage.tell(PicturesMissing(task, datetime.now(UTC), name, "no keyframe comes"))
        else:
            info = stage.make(task, name, jpeg(number * 10), ago=0.3 + number % 5 / 10)
            stage.judge(info, *hits.get(number, (Suggest.PASS, Label.NORMAL, 0)))
        if number % 4:
            stage.make(task, name, audio, Kind.AUDIO, ago=1.0)


async def take(target: Path) -> None:
    """The picture of the documentation."""
    with tempfile.TemporaryDirectory() as folder:
        encode(Path(folder) / "talk.ogg", Content(seconds=1), Encoding(video=None))
        audio = (Path(folder) / "talk.ogg").read_bytes()
        async with served(Path(folder)) as (stage, url), chromium() as browser:
            page = await browser.page(url)
            await page.set_viewport_size({"width": 1100, "height": 600})
            await log_in(page)
            scene(stage)
            await page.locator(".tile").nth(len(NAMES) - 1).wait_for(state="attached")
            pictures(stage, audio)
            await page.locator(".tile img:visible").nth(8).wait_for()
            await asyncio.sleep(1.5)
            await page.screenshot(path=target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anchors", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--height", type=int, default=180)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.picture:
        asyncio.run(take(options.picture))
    elif options.floor:
        asyncio.run(compare(options.anchors, options.seconds, options.height, options.rounds))
    else:
        asyncio.run(measure(options.anchors, options.seconds, options.height))


if __name__ == "__main__":
    main()
