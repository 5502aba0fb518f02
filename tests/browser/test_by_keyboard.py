"""The console by Tab, Enter, Space and Escape alone: everything can be done, and the focus is never lost nor unseen."""

from playwright.async_api import Page, expect

from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, enter, focused, open_list, open_order, row, tab_to
from tests.helpers.console.letters import set_aside
from tests.helpers.console.running import Console
from tests.helpers.system.waiting import assert_eventually

BACK = "Shift+Tab"
PER_ROW = 4
"""Steps from a row to the same button of the next one: the selection, the order's page, approve, cancel."""


async def assert_focus_is_seen(page: Page) -> str:
    """The name of what has the focus; fails where nothing gets it, or nobody can see it.

    Where its place went with a request that is still under way, it moves when that has ended.
    """
    here = await assert_eventually(lambda: focused(page), message="the focus")
    assert here is not None
    assert here[1], f"the focus on {here[0]!r} cannot be seen"
    assert here[2], f"{here[0]!r} has the focus and is outside of the window"
    return here[0]


async def test_an_order_is_approved_and_the_next_one_is_near_and_safe_from_a_second_press(
    ada: Window, console: Console
) -> None:
    first, second = await console.place(), await console.place()
    page = await open_list(ada, console, first, second)
    await tab_to(page, f"Approve order {first}")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {first} is approved.", timeout=SOON)
    await expect(row(page, first)).to_have_class("gone", timeout=SOON)
    await expect(row(page, first)).to_be_focused()
    assert first in await assert_focus_is_seen(page)
    await page.keyboard.press("Enter")
    await tab_to(page, f"Approve order {second}", at_most=PER_ROW + 1)
    assert await console.state(second) == "VALIDATED", "a press that was meant for another order decided this one"
    # After a while the place of the order is gone as well, and the keyboard is not.
    await tab_to(page, first, by=BACK, at_most=PER_ROW + 1)
    await expect(row(page, first)).to_have_count(0, timeout=2 * SOON)
    assert second in await assert_focus_is_seen(page)


async def test_an_order_is_cancelled_after_second_thoughts(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_list(ada, console, order_id)
    ada.expected.append("422")
    await tab_to(page, f"Cancel… order {order_id}")
    await page.keyboard.press("Enter")
    await tab_to(page, "note", at_most=1)
    await page.keyboard.press("Escape")
    await expect(row(page, order_id).get_by_label("Reason")).to_be_hidden()
    assert await assert_focus_is_seen(page) == f"Cancel… order {order_id}"

    await page.keyboard.press("Enter")
    await tab_to(page, "note", at_most=1)
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("an order is cancelled with a reason", timeout=SOON)
    await expect(row(page, order_id).get_by_label("Reason")).to_be_focused()
    await page.keyboard.type("ordered twice")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {order_id} is cancelled.", timeout=SOON)
    await expect(row(page, order_id)).to_have_class("gone", timeout=SOON)
    assert order_id in await assert_focus_is_seen(page)
    assert await console.state(order_id) == "CANCELLED"


async def test_several_are_selected_and_cancelled(ada: Window, console: Console) -> None:
    order_ids = [await console.place() for _ in range(2)]
    page = await open_list(ada, console, *order_ids)
    for order_id in order_ids:
        await tab_to(page, f"Select order {order_id}")
        await page.keyboard.press("Space")
    await tab_to(page, "note", by=BACK)
    await page.keyboard.type("the shop is closed")
    await page.keyboard.press("Enter")  # What is chosen is said by a button: the key alone does nothing.
    page.on("dialog", lambda dialog: dialog.accept())
    await tab_to(page, "Cancel 2 selected", at_most=2)
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("2 orders cancelled.", timeout=SOON)
    await assert_focus_is_seen(page)


async def test_a_question_that_is_answered_with_no_leaves_all_as_it_was(ada: Window, console: Console) -> None:
    order_ids = [await console.place() for _ in range(2)]
    page = await open_list(ada, console, *order_ids)
    for order_id in order_ids:
        await tab_to(page, f"Select order {order_id}")
        await page.keyboard.press("Space")
    page.on("dialog", lambda dialog: dialog.dismiss())
    await tab_to(page, "Approve 2 selected", by=BACK)
    await page.keyboard.press("Enter")
    assert await assert_focus_is_seen(page) == "Approve 2 selected"
    assert {await console.state(order_id) for order_id in order_ids} == {"VALIDATED"}


async def test_an_order_is_sent_elsewhere_and_approved_on_its_page(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_order(ada, console, order_id)
    await tab_to(page, "Change address…")
    await page.keyboard.press("Enter")
    await tab_to(page, "city")
    await page.keyboard.press("Escape")
    assert await assert_focus_is_seen(page) == "Change address…"
    await page.keyboard.press("Enter")
    await tab_to(page, "city")
    await page.keyboard.type("Porto")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("goes to the new address.", timeout=SOON)
    await expect(page.locator("#order-body")).to_contain_text("Porto", timeout=SOON)
    await assert_focus_is_seen(page)

    await tab_to(page, "Approve", by=BACK)
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("is approved.", timeout=SOON)
    await expect(page.locator("#order-body")).to_contain_text("COMPLETED", timeout=SOON)
    # What can be done is gone with its buttons: what became of it has the focus.
    await expect(page.locator("#outcomes")).to_be_focused()
    await assert_focus_is_seen(page)


async def test_an_order_is_cancelled_on_its_page(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_order(ada, console, order_id)
    await tab_to(page, "Cancel…")
    await page.keyboard.press("Enter")
    await tab_to(page, "note")
    await page.keyboard.type("ordered twice")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text("is cancelled.", timeout=SOON)
    await expect(page.locator("#order-body")).to_contain_text("CANCELLED", timeout=SOON)
    await assert_focus_is_seen(page)
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


async def test_a_dead_letter_is_replayed(ada: Window, console: Console) -> None:
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
    at = await page.locator("tbody tr a").first.inner_text()
    await tab_to(page, "place")
    await page.keyboard.press("Space")
    await tab_to(page, "Dry run of 1 selected", by=BACK)
    await enter(page)
    await tab_to(page, "Replay 1 record")
    await enter(page)
    # The page is drawn anew each second until it is known what came of the record; the keyboard stays on its link.
    await expect(page.locator("#replay tbody tr")).to_have_count(1, timeout=SOON)
    await tab_to(page, at)
    await expect(page.locator("#replay")).to_contain_text("It was set aside again, at", timeout=2 * SOON)
    assert await assert_focus_is_seen(page) == at


async def test_the_way_to_the_content_is_one_step(ada: Window, console: Console) -> None:
    await ada.page.goto(console.page("/orders"))
    await ada.page.keyboard.press("Tab")
    await expect(ada.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await ada.page.keyboard.press("Enter")
    await ada.page.keyboard.press("Tab")
    await expect(ada.page.get_by_label("Order, customer or payment id")).to_be_focused()
