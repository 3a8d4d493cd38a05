"""A browser shows the contact sheet: its files load, its filter and its pictures work."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import av

from slicer.demo.contact_sheet import Entry, render
from slicer.rtp.parameters import Kind
from tests.harness.media.content import Content, Encoding, Painter, encode
from tests.harness.media.picture import Rgb
from tests.harness.rooms.chromium import chromium

START = datetime(2026, 5, 4, 14, 30, tzinfo=UTC)


def write_png(path: Path, picture: Rgb) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_sheet(folder: Path) -> Path:
    """Two anchors; one has two audio slices, and a name that has to be escaped in links."""
    entries = []
    for number, anchor in enumerate(("a%2Fb", "bea")):
        (folder / anchor).mkdir()
        for second in (0, 5):
            name = f"{anchor}/picture_{second}.png"
            write_png(folder / name, Painter(width=320, height=180).draw(second))
            at = START + timedelta(seconds=second + number)
            entries.append(Entry(name, anchor, Kind.VIDEO, at, 0, (folder / name).stat().st_size))
    for second in (0, 1):
        name = f"a%2Fb/audio_{second}.ogg"
        encode(folder / name, Content(seconds=1), Encoding(video=None))
        at = START + timedelta(seconds=second)
        entries.append(Entry(name, "a%2Fb", Kind.AUDIO, at, 1, 1_000))
    sheet = folder / "index.html"
    sheet.write_text(render("room", entries, START, START + timedelta(seconds=10)), "utf-8")
    return sheet


async def test_the_sheet_works(tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path)
    async with chromium() as browser:
        page = await browser.page(sheet.as_uri())
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.wait_for_function(
            "[...document.querySelectorAll('.picture img')].every(i => i.naturalWidth === 320)"
        )

        await page.fill("[type=search]", "BE")
        assert await page.locator(".lane:visible").count() == 1
        assert await page.inner_text("output") == "1 of 2 anchors"
        await page.fill("[type=search]", "")

        await page.click(".picture >> nth=0")
        await page.keyboard.press("ArrowRight")
        shown = await page.get_attribute("dialog img", "src")
        assert shown is not None
        assert shown.endswith("/a%252Fb/picture_5.png")
        await page.click("dialog [name=close]")

        # The first audio slice plays to its end and hands over to the second.
        await page.evaluate("document.querySelector('audio').play()")
        await page.wait_for_function("!document.querySelectorAll('audio')[1].paused")
        assert errors == []
