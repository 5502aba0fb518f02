"""The console without scripts."""

from playwright.async_api import Browser, expect

from tests.helpers.browser import window
from tests.helpers.console.acting import row
from tests.helpers.console.running import Console


async def test_without_scripts_an_order_is_approved_and_the_answer_is_a_page(
    browser: Browser, console: Console
) -> None:
    first, second = await console.place(), await console.place()
    async with window(browser, java_script_enabled=False) as opened:
        page = opened.page
        await page.goto(console.page())
        await row(page, first).get_by_role("button", name=f"Approve order {first}").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("What became of it")
        await expect(page.locator("#outcomes")).to_contain_text(f"Order {first} is approved.")
        assert "/console/outcomes?" in page.url, "the form leads to a page that may be loaded again"
        await page.reload()
        await expect(page.locator("#outcomes")).to_contain_text(f"Order {first} is approved.")

        await page.get_by_role("link", name="To the waiting orders").click()
        await expect(row(page, first)).to_have_count(0)
        await row(page, second).locator("summary").click()
        await row(page, second).get_by_label("Reason").fill("ordered twice")
        await row(page, second).get_by_role("button", name="Cancel this order").click()
        await expect(page.locator("#outcomes")).to_contain_text(f"Order {second} is cancelled.")
        assert opened.unexpected == []


async def test_without_scripts_the_page_of_an_order_has_all_of_it(browser: Browser, console: Console) -> None:
    order_id = await console.place()
    async with window(browser, java_script_enabled=False) as opened:
        await opened.page.goto(console.page(f"/orders/{order_id}"))
        await opened.page.get_by_role("link", name="Load the page with all of it").click()
        await expect(opened.page.get_by_role("heading", name="Runs in Temporal")).to_be_visible()
        await expect(opened.page.locator("#elsewhere")).to_contain_text("a person to approve or cancel the order")


async def test_without_scripts_the_enter_key_never_decides_otherwise_than_was_written(
    browser: Browser, console: Console
) -> None:
    """A form sends its first button by Enter: who writes why an order is cancelled must not approve it."""
    order_id = await console.place()
    async with window(browser, java_script_enabled=False) as opened:
        page = opened.page
        await page.goto(console.page())
        opened.expected.append("422")
        for field in (page.get_by_label("Note, or reason to cancel"), row(page, order_id).get_by_role("checkbox")):
            await row(page, order_id).get_by_role("checkbox").check()
            await field.focus()
            await page.keyboard.press("Enter")
            await expect(page.locator("main")).to_contain_text("by its button. Nothing was done.")
            await page.get_by_role("link", name="To the waiting orders").click()
        await row(page, order_id).locator("summary").click()
        await row(page, order_id).get_by_label("Reason").fill("ordered twice")
        await page.keyboard.press("Enter")
        await expect(page.locator("#outcomes")).to_contain_text(f"Order {order_id} is cancelled.")
