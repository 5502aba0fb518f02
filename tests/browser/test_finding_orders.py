"""Orders found at the console, and what strangers wrote into them."""

import secrets

import pytest
from playwright.async_api import expect

from schemas.event_types import EventType
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, open_list, row
from tests.helpers.console.made_up import HOSTILE
from tests.helpers.console.running import Console


async def test_one_box_finds_an_order_by_its_id_its_customer_and_its_payment(ada: Window, console: Console) -> None:
    customer = f"c-{secrets.token_hex(4)}"
    first, second = await console.place(customer_id=customer), await console.place(customer_id=customer)
    page = ada.page
    await page.goto(console.page("/orders"))
    box, search = page.get_by_label("Order, customer or payment id"), page.get_by_role("button", name="Search")

    await box.fill(customer)
    await search.click()
    found = page.get_by_role("table", name="Orders of this customer")
    await expect(found.locator("tbody tr")).to_have_count(2)

    await box.fill(f"p-{first}")
    await search.click()
    await expect(page.get_by_role("table", name="Orders with this payment id").locator("tbody tr")).to_have_count(1)

    await box.fill(second)
    await box.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {second}")


async def test_orders_are_found_by_state_and_counted(ada: Window, console: Console) -> None:
    order_id = await console.place()
    await console.send(EventType.ORDER_CANCELLED, order_id, reason="ordered twice")
    page = ada.page
    await page.goto(console.page("/orders"))
    await page.get_by_role("link", name="CANCELLED").click()
    await expect(page.get_by_role("row").filter(has_text=order_id)).to_contain_text("CANCELLED")
    states = await page.locator("tbody .badge").all_inner_texts()
    assert set(states) == {"CANCELLED"}
    counted = int((await page.get_by_role("link", name="CANCELLED").locator("strong").inner_text()).rstrip("+"))
    assert counted == len(states)


async def test_what_nobody_knows_is_said_so(ada: Window, console: Console) -> None:
    page = ada.page
    await page.goto(console.page("/orders?q=nobody-knows-this"))
    await expect(page.locator("main")).to_contain_text("No order is recorded under nobody-knows-this.")
    ada.expected.append("404")
    await page.get_by_role("link", name="Kafka, Temporal and the dead letters may know it").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("That is not here", timeout=SOON)
    await expect(page.locator("main")).to_contain_text("is known to nobody")


@pytest.mark.parametrize("what", HOSTILE)
async def test_no_page_obeys_what_stands_in_an_order(ada: Window, console: Console, what: str) -> None:
    text = HOSTILE[what].replace("\n", " ")[:1_000]
    order_id = await console.place(
        customer_id=text,
        items=[{"sku": text, "quantity": 1, "unit_amount": 1}],
        shipping_address={"street": text, "city": text},
    )
    page = await open_list(ada, console, order_id)
    for path in ("/", f"/orders/{order_id}", "/orders"):
        await page.goto(console.page(path))
        assert "taken" not in await page.title()
        assert await page.locator("main script, main img, main [onmouseover]").count() == 0
    await page.goto(console.page(f"/orders/{order_id}"))
    shown = await page.locator("#order-body").text_content() or ""
    if what in ("a tag", "an attribute", "a template", "hebrew", "an address of a script"):
        assert text.strip() in shown, "it is shown as it stands"
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
    await page.goto(console.page())
    await expect(row(page, order_id)).to_have_count(1)
