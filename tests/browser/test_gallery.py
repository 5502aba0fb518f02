"""Every page in every form: reachable by all, no wider than the window, and obeying nothing that stands in a record."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.helpers.browser import Window, window
from tests.helpers.console.acting import tab_to
from tests.helpers.console.gallery import GALLERY
from tests.helpers.console.made_up import HOSTILE
from tests.helpers.console.shown import assert_good_in_every_form, show


@pytest.fixture(scope="module")
async def gallery(browser: Browser) -> AsyncIterator[Window]:
    """One window for all pages: a new one for each would take longer than to look at it."""
    async with window(browser) as opened:
        yield opened


@pytest.mark.parametrize("name", GALLERY)
async def test_everybody_can_use_every_page(gallery: Window, name: str, pictures: Path | None) -> None:
    await show(gallery.page, name)
    await assert_good_in_every_form(gallery.page, name, pictures)
    assert gallery.unexpected == []


@pytest.mark.parametrize("name", ["hostile-orders", "dead-letters", "no-orders", "dead-letter"])
async def test_what_strangers_wrote_is_text(ada: Window, name: str) -> None:
    await show(ada.page, name)
    title = await ada.page.title()
    for element in await ada.page.locator("main bdi").all():
        await element.dispatch_event("mouseover")
    assert await ada.page.title() == title != "taken"
    assert await ada.page.locator("main script, main img, main [onmouseover], main [onerror]").count() == 0
    shown = await ada.page.locator("body").inner_text()
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
    assert "\x1b" not in shown


async def test_a_long_history_is_short_on_a_phone_and_all_of_it_is_one_step_away(ada: Window) -> None:
    page = ada.page
    await page.set_viewport_size({"width": 360, "height": 800})
    await show(page, "an-order-told-much")
    assert await page.evaluate("document.documentElement.scrollHeight") < 5_000
    lines = page.locator("#order-body .history tbody tr")
    await expect(lines).to_have_count(43)
    await expect(lines.nth(32)).to_be_hidden()
    await expect(lines.nth(33)).to_contain_text("34 Example Street")
    await tab_to(page, "33 earlier events")
    await page.keyboard.press("Enter")
    await expect(lines.first).to_be_visible()
    await expect(lines.nth(32)).to_be_visible()


async def test_a_long_history_is_unfolded_without_scripts(browser: Browser) -> None:
    async with window(browser, java_script_enabled=False) as opened:
        await show(opened.page, "an-order-told-much")
        await opened.page.get_by_text("31 earlier records").click()
        await expect(opened.page.get_by_text("order.created:3:1700")).to_be_visible()


async def test_a_long_text_is_folded_and_all_of_it_is_one_step_away(ada: Window) -> None:
    await show(ada.page, "dead-letters")
    folded = ada.page.locator("details.long").first
    whole = folded.locator(":scope > bdi")
    assert not await whole.is_visible()
    await folded.locator("summary").focus()
    await ada.page.keyboard.press("Enter")
    assert (await whole.inner_text()).strip() == HOSTILE["10 kB"].strip()
