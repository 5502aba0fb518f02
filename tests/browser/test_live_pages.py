"""Every page of a running console, with what is really there: usable by everybody, in every form."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from schemas.event_types import EventType
from tests.helpers.browser import Window, window
from tests.helpers.console.acting import SOON, open_list, open_order
from tests.helpers.console.letters import set_aside
from tests.helpers.console.made_up import HOSTILE
from tests.helpers.console.running import Console
from tests.helpers.console.shown import assert_good_in_every_form


@dataclass(slots=True)
class Filled:
    """What there is to see."""

    waiting: str
    hostile: str
    over: str
    cut: str
    """An order that a dead letter names."""


@pytest.fixture(scope="module")
async def filled(console: Console) -> Filled:
    """Orders in several states, and a record that was set aside."""
    items = [{"sku": "mug-blue", "quantity": 3, "unit_amount": 1_250}]
    address = {"street": "Rua Augusta 1", "city": "Lisbon", "country": "PT"}
    waiting = await console.place(customer_id="c-1", items=items, currency="EUR", shipping_address=address)
    text = HOSTILE["10 kB"][:1_000]
    hostile = await console.place(customer_id=HOSTILE["a tag"], shipping_address={"street": text, "city": text})
    over = await console.place(customer_id="c-1", items=items, shipping_address=address)
    await console.send(EventType.ORDER_APPROVED, over, approved_by="ada", note="checked by phone")
    await console.wait_until_state(over, "COMPLETED")
    await console.send(EventType.ORDER_CANCELLED, over, reason="too late")
    await set_aside(console, f'{{"order_id": "{waiting}", "x": "<b>'.encode(), key=waiting.encode())
    return Filled(waiting, hostile, over, waiting)


@pytest.fixture(scope="module")
async def eve(browser: Browser) -> AsyncIterator[Window]:
    """One window for all pages."""
    async with window(browser) as opened:
        yield opened


async def unfold(page: Page) -> None:
    """Opens whatever is folded: forms, and long texts."""
    await page.evaluate("() => { for (const one of document.querySelectorAll('details')) one.open = true; }")


async def test_the_list_of_waiting_orders(eve: Window, console: Console, filled: Filled, pictures: Path | None) -> None:
    page = await open_list(eve, console, filled.waiting, filled.hostile)
    await assert_good_in_every_form(page, "live-waiting", pictures)
    await unfold(page)
    await assert_good_in_every_form(page, "live-waiting-unfolded", pictures)
    assert eve.unexpected == []


@pytest.mark.parametrize("which", ["waiting", "hostile", "over"])
async def test_the_page_of_an_order(
    eve: Window, console: Console, filled: Filled, pictures: Path | None, which: str
) -> None:
    page = await open_order(eve, console, getattr(filled, which))
    await expect(page.get_by_role("heading", name="Records in Kafka that name it")).to_be_visible(timeout=SOON)
    await unfold(page)
    await assert_good_in_every_form(page, f"live-order-{which}", pictures)
    assert eve.unexpected == []


@pytest.mark.parametrize("path", ["/orders", "/orders?q=c-1", "/dead-letters", "/dead-letters?reason=json_truncated"])
async def test_lists(eve: Window, console: Console, filled: Filled, pictures: Path | None, path: str) -> None:
    assert filled.waiting
    await eve.page.goto(console.page(path))
    await expect(eve.page.locator("tbody tr").first).to_be_visible()
    named = "".join(letter if letter.isalnum() else "-" for letter in path)
    await assert_good_in_every_form(eve.page, f"live{named}", pictures)
    assert eve.unexpected == []


async def test_a_dead_letter_its_dry_run_and_its_replay(
    eve: Window, console: Console, filled: Filled, pictures: Path | None
) -> None:
    page = eve.page
    await page.goto(console.page(f"/dead-letters?order={filled.cut}"))
    await page.locator("tbody tr").get_by_role("link").click()
    await assert_good_in_every_form(page, "live-dead-letter", pictures)
    await page.get_by_role("button", name="Dry run of its replay").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Dry run")
    await assert_good_in_every_form(page, "live-plan", pictures)
    await page.get_by_role("button", name="Replay 1 record").click()
    await expect(page.locator("#replay")).to_contain_text("It was set aside again, at", timeout=2 * SOON)
    await assert_good_in_every_form(page, "live-replay", pictures)
    assert eve.unexpected == []


async def test_the_system(eve: Window, console: Console, filled: Filled, pictures: Path | None) -> None:
    assert filled.over
    page = eve.page
    await page.goto(console.page("/system"))
    await expect(page.locator("#system")).to_contain_text("In the last", timeout=SOON)
    await assert_good_in_every_form(page, "live-system", pictures)
    assert eve.unexpected == []


async def test_what_went_wrong(browser: Browser, console: Console, pictures: Path | None) -> None:
    nobody = f"nobody-{secrets.token_hex(4)}"
    wrong = {
        "unknown-order": (f"/orders/{nobody}", "That is not here"),
        "wrong-filter": ("/orders?state=LOST", "That cannot be done"),
        "wrong-place": ("/dead-letters/none", "That cannot be done"),
        "wrong-page": ("/?after=none", "That cannot be done"),
    }
    async with window(browser) as opened:
        opened.expected += ["404", "422"]
        for name, (path, heading) in wrong.items():
            await opened.page.goto(console.page(path))
            await expect(opened.page.get_by_role("heading", level=1)).to_have_text(heading)
            await assert_good_in_every_form(opened.page, f"live-{name}", pictures)
        assert opened.unexpected == []
