"""Approving orders at the console, with a real browser on real servers."""

import asyncio
import re
from collections.abc import Awaitable, Callable

from playwright.async_api import Dialog, Route, expect

from schemas.event_types import EventType
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, approve, keep_as_it_is, open_list, row, stands_still
from tests.helpers.console.running import Console
from tests.helpers.system.command_line import run_in_process


async def test_a_new_order_appears_by_itself(ada: Window, console: Console) -> None:
    page = await open_list(ada, console)
    order_id = await console.place(
        customer_id="c-77", items=[{"sku": "mug-blue", "quantity": 3, "unit_amount": 1_250}], currency="EUR"
    )
    shown = row(page, order_id)
    await expect(shown).to_contain_text("37.50 EUR", timeout=SOON)
    await expect(shown).to_contain_text("Customer c-77")
    await expect(shown).to_contain_text("3 \N{MULTIPLICATION SIGN} mug-blue")
    await expect(shown.locator(".countdown")).to_contain_text("59:", timeout=SOON)


async def test_an_order_approved_in_one_window_disappears_in_the_other(
    ada: Window, bob: Window, console: Console
) -> None:
    order_id = await console.place()
    at_adas, at_bobs = await open_list(ada, console, order_id), await open_list(bob, console, order_id)
    await approve(at_adas, order_id)
    await expect(at_adas.locator("#outcomes")).to_contain_text(f"Order {order_id} is approved.", timeout=SOON)
    gone = row(at_bobs, order_id)
    await expect(gone).to_have_class("gone", timeout=SOON)
    await expect(gone).to_contain_text("approved by development")
    await expect(gone.get_by_role("button")).to_have_count(0)
    await expect(gone).to_have_count(0, timeout=SOON)  # After a while also its place is.
    await console.wait_until_state(order_id, "COMPLETED")


async def test_a_decided_order_leaves_those_below_it_where_they_are(ada: Window, console: Console) -> None:
    first, below = await console.place(items=[{"sku": "mug", "quantity": 1, "unit_amount": 1}]), await console.place()
    page = await open_list(ada, console, first, below)
    # Beside the first one: the places of orders of other tests, above both, may go meanwhile.
    place = "(row, first) => row.getBoundingClientRect().top - first.getBoundingClientRect().top"
    before = await row(page, below).evaluate(place, await row(page, first).element_handle())
    await console.send(EventType.ORDER_APPROVED, first)
    await expect(row(page, first)).to_have_class("gone", timeout=SOON)
    after = await row(page, below).evaluate(place, await row(page, first).element_handle())
    assert abs(after - before) < 1


async def test_approved_is_said_only_once_the_workflow_has_applied_it(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_list(ada, console, order_id)
    await page.route("**/console/decisions", _look_behind_the_answer(console, order_id))
    await approve(page, order_id)
    await expect(page.locator("#outcomes")).to_contain_text("is approved.", timeout=SOON)
    (approved,) = [
        event for event in await console.journal(order_id) if event["state"] == "APPROVED" and event["cause"]
    ]
    assert approved["cause"]["by"] == "development"


def _look_behind_the_answer(console: Console, order_id: str) -> Callable[[Route], Awaitable[None]]:
    async def handle(route: Route) -> None:
        answer = await route.fetch()
        # What the page is about to be told is so already.
        assert await console.state(order_id) not in (None, "RECEIVED", "VALIDATED")
        await route.fulfill(response=answer)

    return handle


async def test_an_order_that_changed_since_it_was_looked_at_is_not_approved(ada: Window, console: Console) -> None:
    order_id = await console.place(shipping_address={"city": "Lisbon"})
    await keep_as_it_is(ada)
    page = ada.page
    await page.goto(console.page())
    await expect(row(page, order_id)).to_contain_text("Lisbon")
    await console.send(EventType.ORDER_ADDRESS_UPDATED, order_id, address={"city": "Porto"})

    await approve(page, order_id)
    outcome = page.locator("#outcomes")
    await expect(outcome).to_contain_text(
        f"Order {order_id} was not approved, because it changed since you looked.", timeout=SOON
    )
    await expect(outcome).to_contain_text("Look at it as it is now, then decide again.")
    assert await console.state(order_id) == "VALIDATED"

    await page.reload()
    await expect(row(page, order_id)).to_contain_text("Porto")
    await approve(page, order_id)
    await expect(outcome).to_contain_text(f"Order {order_id} is approved.", timeout=SOON)


async def test_twenty_are_approved_at_once_and_the_one_that_is_refused_is_told(ada: Window, console: Console) -> None:
    order_ids = await asyncio.gather(*(console.place() for _ in range(20)))
    other = await console.place()
    await keep_as_it_is(ada)
    page = ada.page
    await page.goto(console.page())
    for order_id in order_ids:
        await row(page, order_id).get_by_role("checkbox").check()
    changed = order_ids[7]
    await console.send(EventType.ORDER_ADDRESS_UPDATED, changed, address={"city": "Porto"})

    questions: list[str] = []

    async def say_yes(dialog: Dialog) -> None:
        questions.append(dialog.message)
        await dialog.accept()

    page.on("dialog", say_yes)
    await page.get_by_role("button", name="Approve 20 selected").click()
    outcome = page.locator("#outcomes")
    await expect(outcome.get_by_role("heading")).to_have_text("19 of 20 orders approved, 1 not.", timeout=2 * SOON)
    assert questions == ["Approve 20 orders?"]
    lines = await outcome.get_by_role("listitem").all_inner_texts()
    assert len(lines) == 20
    assert changed in lines[0], "the one that needs a look comes first"
    assert "changed since you looked" in lines[0]
    for order_id in order_ids:
        said = next(line for line in lines if order_id in line)
        assert ("is approved." in said) is (order_id != changed), said
        await console.wait_until_state(order_id, *(["VALIDATED"] if order_id == changed else ["COMPLETED"]))
    assert await console.state(other) == "VALIDATED", "an order that was not selected was decided"


async def test_select_all_takes_what_is_shown_and_nothing_that_comes_later(ada: Window, console: Console) -> None:
    first = await console.place()
    page = await open_list(ada, console, first)
    await page.get_by_role("checkbox", name="Select all shown").check()
    later = await console.place()
    await expect(row(page, later)).to_have_class("order", timeout=SOON)
    await expect(row(page, later).get_by_role("checkbox")).not_to_be_checked()
    await expect(row(page, first).get_by_role("checkbox")).to_be_checked()


async def test_when_the_countdown_is_over_the_order_expires_before_ones_eyes(ada: Window, console: Console) -> None:
    order_id = "o-expires-soon"
    started = await run_in_process(
        ["start", order_id, "--payment-id", f"p-{order_id}"],
        {**console.system.settings, "ORDER_APPROVAL_TIMEOUT_SECONDS": "20"},
    )
    assert started.returncode == 0, started.stderr
    page = await open_list(ada, console, order_id)
    gone = row(page, order_id)
    # What stands there once the time is over is seen for a moment only: until the workflow has let the order expire.
    await expect(gone.locator(".countdown")).to_have_text(re.compile(r"0:\d\d|Time is over"))
    await expect(gone).to_contain_text("EXPIRED", timeout=SOON)
    await expect(gone).to_contain_text("nobody approved it in time")
    await expect(gone.get_by_role("button")).to_have_count(0)


async def test_an_order_is_cancelled_with_a_reason_and_not_without(ada: Window, console: Console) -> None:
    order_id = await console.place()
    page = await open_list(ada, console, order_id)
    ada.expected.append("422")
    mine = row(page, order_id)
    await mine.locator("summary").click()
    await mine.get_by_role("button", name="Cancel this order").click()
    await expect(page.locator("#outcomes")).to_contain_text("an order is cancelled with a reason", timeout=SOON)
    assert await console.state(order_id) == "VALIDATED"

    await mine.get_by_label("Reason").fill("ordered twice")
    await stands_still(page)
    await mine.get_by_role("button", name="Cancel this order").click()
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {order_id} is cancelled.", timeout=SOON)
    journal = await console.journal(order_id)
    assert journal[-1]["state"] == "CANCELLED"
    assert (journal[-1]["cause"]["by"], journal[-1]["cause"]["note"]) == ("development", "ordered twice")
