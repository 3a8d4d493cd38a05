"""The console of a copy of a fleet's API in a browser, and of its worker: real processes."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.harness.fleet.processes import processes
from tests.harness.rooms.chromium import chromium
from tests.harness.service.serve import Served
from tests.harness.storage.seaweed import Seaweed, free_ports

TOKEN = "a-token-that-nobody-guesses"
PHONE = {"width": 390, "height": 844}


async def log_in(page: Page, errors: list[str]) -> None:
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.fill("[name=token]", TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator(".link")).to_have_text("Live")


@pytest.mark.parametrize("announced", [True, False])
async def test_the_fleet_as_its_operator_sees_it(
    announced: bool, seaweed: Seaweed, tmp_path_factory: Any
) -> None:
    async with processes(tmp_path_factory.mktemp("console"), seaweed, "fleetconsole") as fleet:
        fleet.secrets["SLICER_CONSOLE_TOKEN"] = TOKEN
        (port,) = free_ports(1)
        own = f"http://127.0.0.1:{port}"
        more = f'console = "{own}"\n[console]\nlisten = "127.0.0.1:{port}"\n' if announced else ""
        await fleet.worker("w0", f'zone = "z1"\n{more}')
        api: Served = await fleet.api("api")
        task = await fleet.create(api, "1")
        errors = list[str]()
        async with chromium() as browser:
            page = await browser.page(f"http://127.0.0.1:{api.port}/console/")
            await log_in(page, errors)
            await expect(page.locator("h1")).to_have_text("Fleet")
            shown = page.locator("nav a:visible")
            names = [one.split()[0] for one in await shown.all_inner_texts()]
            assert names == ["Fleet", "Tasks", "Audit"]
            row = page.locator("table[aria-label=Workers] tbody tr")
            for text in ("w0", "Working", "z1", "1 of "):
                await expect(row).to_contain_text(text)
            await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await page.goto(f"http://127.0.0.1:{api.port}/console/#/tasks")
            row = page.locator("table[aria-label=Tasks] tbody tr")
            for text in ("Room 1", "Running", "w0"):
                await expect(row).to_contain_text(text)
            if announced:
                link = await row.locator("a").get_attribute("href")
                assert link == f"{own}/console/#/task/{task}"
                theirs = await browser.page(link)
                await log_in(theirs, errors)
                await expect(theirs.locator("h1")).to_have_text("Room 1")
                await expect(theirs.locator("nav a[href='#/fleet']")).to_be_hidden()
            else:
                assert await row.locator("a").count() == 0
        assert errors == []
