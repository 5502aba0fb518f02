"""What a person does in the list of waiting orders."""

from typing import Any, Final

from playwright.async_api import Locator, Page, expect

from tests.helpers.browser import Window
from tests.helpers.console.running import Console

SOON: Final = 30_000
"""How long a page may take to show something, in milliseconds: it takes a tenth of a second, or longer on a busy
machine."""


_TABS_MAX: Final = 400


async def tab_to(page: Page, name: str, *, by: str = "Tab", at_most: int = _TABS_MAX) -> None:
    """Goes on with the tabulator until the focus is on the element of this name, and sees that it can be seen.

    Args:
        page: which page.
        name: the element's text, label or name.
        by: which key; ``Shift+Tab`` to go back.
        at_most: how many steps.
    """
    for _ in range(at_most):
        await page.keyboard.press(by)
        here = await focused(page)
        if here is None:
            continue  # Beyond the last element, and before the first one.
        assert here[1], f"the focus on {here[0]!r} cannot be seen"
        assert here[2], f"{here[0]!r} has the focus and is outside of the window"
        if name in (here[0], here[3]):
            return
    raise AssertionError(f"{name!r} cannot be reached in {at_most} steps")


async def focused(page: Page) -> tuple[str, bool, bool, str] | None:
    """What has the focus: its name, whether that can be seen, whether it is in the window, and its label."""
    here: list[Any] | None = await page.evaluate(
        """() => { const at = document.activeElement;
            if (!at || at === document.body) return null;
            const style = getComputedStyle(at); const box = at.getBoundingClientRect();
            return [at.textContent.replace(/\\s+/g, ' ').trim() || at.getAttribute('aria-label') || at.name || '',
                    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                    box.bottom > 0 && box.top < innerHeight, at.labels?.[0]?.textContent.trim() || '']; }"""
    )
    return None if here is None else (here[0], here[1], here[2], here[3])


async def enter(page: Page) -> None:
    """Presses the key on what leads to another page, and waits until that is there."""
    async with page.expect_navigation(wait_until="load"):
        await page.keyboard.press("Enter")


async def open_order(window: Window, console: Console, order_id: str) -> Page:
    """Opens an order's page, and waits until it is kept up to date."""
    async with window.page.expect_response(lambda answer: f"/console/orders/{order_id}/live" in answer.url):
        await window.page.goto(console.page(f"/orders/{order_id}"))
    return window.page


def row(page: Page, order_id: str) -> Locator:
    """The order's place in the list, also once it is decided."""
    return page.locator("#waiting > li").filter(has=page.get_by_role("link", name=order_id, exact=True))


async def open_list(window: Window, console: Console, *order_ids: str) -> Page:
    """Opens the list, and waits until it is kept up to date and has these orders."""
    async with window.page.expect_response(lambda answer: "/console/waiting/live" in answer.url):
        await window.page.goto(console.page())
    for order_id in order_ids:
        await expect(row(window.page, order_id)).to_have_class("order", timeout=SOON)
    return window.page


async def keep_as_it_is(window: Window) -> None:
    """Keeps what happens from the page, as a slow network does: a person then decides on what was there before."""
    await window.page.route("**/console/waiting/live**", lambda route: route.abort())
    window.expected += ["ERR_FAILED", "htmx:error", "Failed to fetch"]


async def stands_still(page: Page) -> None:
    """Waits until the list takes clicks: after it has moved it does not, for a moment, lest one hits another order."""
    await expect(page.locator("#waiting:not([data-moved])")).to_be_visible(timeout=SOON)


async def approve(page: Page, order_id: str) -> None:
    """Approves one order by its own button."""
    await stands_still(page)
    await row(page, order_id).get_by_role("button", name=f"Approve order {order_id}").click()
