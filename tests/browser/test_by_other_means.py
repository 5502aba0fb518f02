"""The console without scripts, and without a mouse."""

import pytest
from playwright.async_api import Browser, expect

from tests.helpers.browser import Window, window
from tests.helpers.console.acting import SOON, enter, open_list, open_order, row, tab_to
from tests.helpers.console.letters import set_aside
from tests.helpers.console.running import Console

pytestmark = pytest.mark.timeout(300)


async def test_an_order_is_approved_and_another_cancelled_by_keyboard_alone(ada: Window, console: Console) -> None:
    first, second = await console.place(), await console.place()
    page = await open_list(ada, console, first, second)
    await tab_to(page, f"Approve order {first}")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {first} is approved.", timeout=SOON)
    assert await page.evaluate("document.activeElement !== document.body"), "the focus was lost"

    await page.evaluate("document.getElementById('main').focus()")
    await tab_to(page, f"Cancel… order {second}")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.type("ordered twice")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {second} is cancelled.", timeout=SOON)


async def test_several_are_selected_and_cancelled_by_keyboard_alone(ada: Window, console: Console) -> None:
    order_ids = [await console.place() for _ in range(2)]
    page = await open_list(ada, console, *order_ids)
    for order_id in order_ids:
        await row(page, order_id).get_by_role("checkbox").focus()
        await page.keyboard.press("Space")
    await page.get_by_label("Note, or reason to cancel").focus()
    await page.keyboard.type("the shop is closed")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("2 orders cancelled.", timeout=SOON)


async def test_an_order_is_sent_elsewhere_and_cancelled_by_keyboard_alone(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_order(ada, console, order_id)
    await tab_to(page, "Change address…")
    await page.keyboard.press("Enter")
    await tab_to(page, "city")
    await page.keyboard.type("Porto")
    await tab_to(page, "Send it to this address")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("goes to the new address.", timeout=SOON)
    await expect(page.locator("#order-body")).to_contain_text("Porto", timeout=SOON)

    await page.evaluate("document.getElementById('main').focus()")
    await tab_to(page, "Cancel…")
    await page.keyboard.press("Enter")
    await tab_to(page, "note")
    await page.keyboard.type("ordered twice")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("is cancelled.", timeout=SOON)
    assert await console.state(order_id) == "CANCELLED"


async def test_an_order_is_found_by_keyboard_alone(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = ada.page
    await page.goto(console.page())
    await tab_to(page, "Orders")
    await enter(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Orders")
    await tab_to(page, " ".join((await page.get_by_role("link", name="VALIDATED").inner_text()).split()))
    await enter(page)
    await expect(page.get_by_role("link", name="VALIDATED")).to_have_attribute("aria-current", "true")
    await tab_to(page, "q")
    await page.keyboard.type(order_id)
    await enter(page)
    await tab_to(page, order_id)
    await enter(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order_id}")


async def test_a_dead_letter_is_replayed_by_keyboard_alone(ada: Window, console: Console) -> None:
    order_id = await console.place()
    await set_aside(console, f'{{"order_id": "{order_id}"'.encode())
    page = ada.page
    await page.goto(console.page())
    await tab_to(page, "Dead letters")
    await enter(page)
    await tab_to(page, "order")
    await page.keyboard.type(order_id)
    await enter(page)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await tab_to(page, "place")
    await page.keyboard.press("Space")
    await page.evaluate("document.getElementById('main').focus()")
    await tab_to(page, "Dry run of 1 selected")
    await enter(page)
    await tab_to(page, "Replay 1 record")
    await enter(page)
    await expect(page.locator("#replay")).to_contain_text("It was set aside again, at", timeout=2 * SOON)


async def test_the_way_to_the_content_is_one_step(ada: Window, console: Console) -> None:
    await ada.page.goto(console.page("/orders"))
    await ada.page.keyboard.press("Tab")
    await expect(ada.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await ada.page.keyboard.press("Enter")
    await ada.page.keyboard.press("Tab")
    await expect(ada.page.get_by_label("Order, customer or payment id")).to_be_focused()


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
