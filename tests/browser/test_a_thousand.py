"""The console where a thousand orders wait."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import expect

from stack import Endpoints
from tests.helpers.browser import Window
from tests.helpers.console.running import Console, console_before
from tests.helpers.console.shown import assert_fits
from tests.helpers.system.system import order_system
from tests.helpers.system.waiting import in_time

ORDERS = 1_000
PAGE = 50
FIRST_SHOWN_SECONDS = 5.0
"""For a page that takes a tenth of a second; a busy machine takes longer."""


@pytest.fixture(scope="module")
async def crowded(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """A console before a database in which a thousand orders wait, each due a second after the one before."""
    folder: Path = tmp_path_factory.mktemp("crowded")
    async with order_system(endpoints, folder, start=False) as system:
        connection = await asyncpg.connect(
            host=system.settings["DB_HOST"],
            port=int(system.settings["DB_PORT"]),
            user=system.settings["DB_USER"],
            password=system.settings.get("DB_PASSWORD"),
            database=system.settings["DB_NAME"],
        )
        await connection.execute(
            "INSERT INTO orders (id, state, address_json, items_json, amount, currency, customer_id, payment_id, "
            "last_sequence, approval_deadline) SELECT 'o-' || lpad(n::text, 4, '0'), 'VALIDATED', "
            """'{"city": "Lisbon"}', '[{"sku": "mug", "quantity": 2, "unit_amount": 1250}]', 2500, """
            "'EUR', 'c-' || n % 7, 'p-' || n, 2, now() + interval '1 hour' + n * interval '1 second' "
            "FROM generate_series(1, $1::int) n",
            ORDERS,
        )
        await connection.close()
        async with console_before(system) as console:
            yield console


async def test_all_of_them_are_counted_and_reached_page_by_page(ada: Window, crowded: Console) -> None:
    page = ada.page
    with in_time(FIRST_SHOWN_SECONDS):
        await page.goto(crowded.page())
        await expect(page.locator("#head")).to_contain_text("1,000 orders wait")
    await assert_fits(page, "a thousand orders")
    seen: list[str] = []
    while True:
        seen += await page.locator("#waiting > li h2").all_inner_texts()
        following = page.get_by_role("link", name="Next orders")
        if await following.count() == 0:
            break
        await following.click()
        await page.wait_for_load_state()
        assert len(seen) <= ORDERS
    assert seen == [f"o-{number:04d}" for number in range(1, ORDERS + 1)], "in the order of their deadlines, each once"


async def test_select_all_takes_one_page_and_says_how_many(ada: Window, crowded: Console) -> None:
    page = ada.page
    await page.goto(crowded.page())
    await page.get_by_role("checkbox", name="Select all shown").check()
    await expect(page.get_by_role("button", name=f"Approve {PAGE} selected")).to_be_visible()
    await page.get_by_role("checkbox", name="Select order o-0001", exact=True).uncheck()
    await expect(page.get_by_role("button", name=f"Cancel {PAGE - 1} selected")).to_be_visible()
