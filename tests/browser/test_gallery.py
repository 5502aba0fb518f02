"""Every page in every form: reachable by all, no wider than the window, and obeying nothing that stands in a record."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.helpers.browser import Window, window
from tests.helpers.console.gallery import GALLERY
from tests.helpers.console.made_up import HOSTILE
from tests.helpers.console.shown import assert_accessible, assert_fits, show

SIZES = {360: 800, 1_920: 1_080}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", SIZES)
async def test_everybody_can_use_every_page(browser: Browser, width: int, scheme: str, pictures: Path) -> None:
    async with window(browser, viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme) as opened:
        for name in GALLERY:
            await show(opened.page, name)
            await opened.page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
            await assert_fits(opened.page, name)
            await assert_accessible(opened.page, f"{name} at {width} px, {scheme}")
        assert opened.unexpected == []


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


async def test_a_long_text_is_folded_and_all_of_it_is_one_step_away(ada: Window) -> None:
    await show(ada.page, "dead-letters")
    folded = ada.page.locator("details.long").first
    whole = folded.locator(":scope > bdi")
    assert not await whole.is_visible()
    await folded.locator("summary").focus()
    await ada.page.keyboard.press("Enter")
    assert (await whole.inner_text()).strip() == HOSTILE["10 kB"].strip()
