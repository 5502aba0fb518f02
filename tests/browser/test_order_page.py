"""The page of one order: what is told there as it happens, and sending it elsewhere."""

import secrets

from playwright.async_api import Page, expect

from schemas.event_types import EventType
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, open_order
from tests.helpers.console.running import Console
from tests.helpers.messages.kafka_io import Outgoing

LISBON = {"street": "Rua Augusta 1", "city": "Lisbon", "country": "PT"}


async def open_as_it_is(window: Window, console: Console, order_id: str) -> Page:
    """Opens the order's page in a network that brings no news, so that a person decides on what was there before."""
    await window.page.route("**/live", lambda route: route.abort())
    window.expected += ["ERR_FAILED", "htmx:error", "Failed to fetch"]
    await window.page.goto(console.page(f"/orders/{order_id}"))
    return window.page


async def send_to_city(page: Page, city: str) -> None:
    """Sends the order to another city, by its form."""
    await page.get_by_text("Change address…").click()
    await page.get_by_label("City").fill(city)
    await page.get_by_role("button", name="Send it to this address").click()


async def test_the_page_of_an_order_follows_it_to_its_end(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_order(ada, console, order_id)
    await expect(page.locator(".steps .now")).to_contain_text("Approved")
    elsewhere = page.locator("#elsewhere")
    await expect(elsewhere).to_contain_text("a person to approve or cancel the order", timeout=SOON)
    await expect(elsewhere.get_by_role("row").filter(has_text=f"order:{order_id}")).to_contain_text("running")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("#outcomes")).to_contain_text("is approved.", timeout=SOON)
    await expect(page.locator(".steps .done")).to_have_count(8, timeout=SOON)
    body = page.locator("#order-body")
    await expect(body).to_contain_text("COMPLETED")
    await expect(body).to_contain_text("Shipped and done.")
    await expect(body.get_by_role("row").filter(has_text="APPROVED approved")).to_contain_text("development")
    await expect(body).to_contain_text("The order is over: nothing can be done to it any more.")
    # What Temporal knows is told as it changes as well.
    await expect(elsewhere.get_by_role("row").filter(has_text=f"order:{order_id}")).to_contain_text(
        "completed", timeout=SOON
    )
    await expect(elsewhere).not_to_contain_text("a person to approve or cancel the order")


async def test_a_record_that_names_the_order_and_is_set_aside_appears_by_itself(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_order(ada, console, order_id)
    await expect(page.get_by_role("heading", name="Records in Kafka that name it")).to_be_visible(timeout=SOON)
    topic = console.system.topic_of(EventType.ORDER_APPROVED)
    await console.system.produce([Outgoing(topic, f'{{"order_id": "{order_id}"'.encode(), key=order_id.encode())])
    # No event of the order tells of it: the page looks by itself.
    letters = page.get_by_role("heading", name="Dead letters that name it")
    await expect(letters).to_be_visible(timeout=2 * SOON)
    await expect(page.locator("#elsewhere")).to_contain_text("json_truncated")
    await expect(page.locator("#elsewhere")).to_contain_text("set aside (json_truncated)")


async def test_an_order_goes_to_another_address_and_keeps_the_lines_that_nobody_changed(
    ada: Window, console: Console
) -> None:
    order_id = await console.place(shipping_address=LISBON)
    page = await open_order(ada, console, order_id)
    await send_to_city(page, "Porto")
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {order_id} goes to the new address.", timeout=SOON)
    await expect(page.locator("#order-body")).to_contain_text("Rua Augusta 1, Porto, PT", timeout=SOON)
    await expect(page.get_by_label("City")).to_be_hidden()  # The form is folded: it has done what it is for.
    (changed,) = [event for event in await console.journal(order_id) if event["type"] == "order.address_changed"]
    assert changed["address"] == {"street": "Rua Augusta 1", "city": "Porto", "country": "PT"} | {
        name: None for name in ("state", "zip_code") if name in changed["address"]
    }
    assert changed["cause"]["event_id"].startswith("console:")

    # The page goes on from there: with what it shows now, the order is approved.
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("#outcomes")).to_contain_text("is approved.", timeout=SOON)
    await console.wait_until_state(order_id, "COMPLETED")
    await expect(page.get_by_text("Change address…")).to_have_count(0, timeout=SOON)


async def test_an_order_that_changed_since_it_was_looked_at_keeps_its_address(ada: Window, console: Console) -> None:
    order_id = await console.place(shipping_address=LISBON)
    page = await open_as_it_is(ada, console, order_id)
    await console.send(EventType.ORDER_ADDRESS_UPDATED, order_id, address={"city": "Braga"})
    await send_to_city(page, "Porto")
    outcome = page.locator("#outcomes")
    await expect(outcome).to_contain_text("keeps its address, because it changed since you looked.", timeout=SOON)
    await expect(outcome).to_contain_text("Look at it as it is now, then decide again.")
    await expect(page.get_by_label("City")).to_have_value("Porto")  # What was typed is not lost.
    await page.reload()
    await expect(page.locator("#order-body")).to_contain_text("Rua Augusta 1, Braga, PT")


async def test_an_order_that_was_shipped_meanwhile_keeps_its_address(ada: Window, console: Console) -> None:
    order_id = await console.place(shipping_address=LISBON)
    page = await open_as_it_is(ada, console, order_id)
    await console.send(EventType.ORDER_APPROVED, order_id)
    await console.wait_until_state(order_id, "COMPLETED")
    await send_to_city(page, "Porto")
    await expect(page.locator("#outcomes")).to_contain_text(
        "keeps its address, because the order was over already.", timeout=SOON
    )


async def test_what_is_being_typed_stays_while_something_happens_to_the_order(ada: Window, console: Console) -> None:
    order_id = await console.place(shipping_address=LISBON)
    page = await open_order(ada, console, order_id)
    await page.get_by_text("Change address…").click()
    await page.get_by_label("City").fill("Porto")
    await page.get_by_label("Country").focus()
    # Refused, as an order of this id is there; the journal has one more event now.
    await console.send(EventType.ORDER_CREATED, order_id, payment_id=f"p-{secrets.token_hex(4)}")
    await expect(page.locator("#order-body")).to_contain_text("order placed refused", timeout=SOON)
    await expect(page.get_by_label("City")).to_have_value("Porto")
    await page.get_by_role("button", name="Send it to this address").click()
    await expect(page.locator("#order-body")).to_contain_text("Rua Augusta 1, Porto, PT", timeout=SOON)


async def test_what_is_unfolded_stays_so_while_something_happens_to_the_order(ada: Window, console: Console) -> None:
    order_id = await console.place(shipping_address=LISBON)
    for number in range(9):
        await console.send(EventType.ORDER_ADDRESS_UPDATED, order_id, address={"street": f"Rua Augusta {number}"})
    page = await open_order(ada, console, order_id)
    first = page.get_by_role("row").filter(has_text="RECEIVED")
    await expect(first).to_be_hidden()
    await page.get_by_text("1 earlier event", exact=True).click()
    await expect(first).to_be_visible()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_text("7 earlier events", exact=True)).to_be_visible(timeout=SOON)
    await expect(first).to_be_visible()


async def test_an_address_that_is_the_same_or_breaks_the_contract_is_not_sent(ada: Window, console: Console) -> None:
    order_id = await console.place(shipping_address=LISBON)
    page = await open_order(ada, console, order_id)
    ada.expected.append("422")
    await send_to_city(page, "Lisbon")
    outcome = page.locator("#outcomes")
    await expect(outcome).to_contain_text("Nothing was sent: the address is the same as before.", timeout=SOON)
    # A browser keeps to the form's limits; another program need not.
    await page.locator("#address-city").evaluate("field => { field.removeAttribute('maxlength'); }")
    await page.get_by_label("City").fill("x" * 1_001)
    await page.get_by_role("button", name="Send it to this address").click()
    await expect(outcome).to_contain_text("keeps its address: address.city", timeout=SOON)
    assert [event["state"] for event in await console.journal(order_id)] == ["RECEIVED", "VALIDATED"]
