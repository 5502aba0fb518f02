"""Makes the pictures of docs/pictures, of what `orders up` runs: real orders in real pages.

``ORDER_APPROVAL_TIMEOUT_SECONDS=900 bin/orders up``, and beside it
``bin/in-env python -m tests.helpers.console.pictures [http://127.0.0.1:8000]``. Chromium is installed where it is
missing, as for tests/browser.
"""

import asyncio
import secrets
import sys
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import Page, expect

from tests.helpers.browser import chromium, running_browser, window

PICTURES: Final = Path(__file__).parents[3] / "docs" / "pictures"
WIDTH: Final = 1_200
HEIGHT: Final = 760
TALL: Final = 1_290
SOON_MS: Final = 60_000
PAINT_SECONDS: Final = 2.0
"""Temporal's page draws its time line after everything else is there, and says nothing when it has."""
CUSTOMERS: Final[tuple[dict[str, Any], ...]] = (
    {"customer_id": "c-4711", "items": [("mug-blue", 12, 1_250), ("plate-large", 4, 2_700)], "city": "Lisbon"},
    {"customer_id": "c-0815", "items": [("lamp-brass", 1, 18_900)], "city": "Utrecht"},
    {"customer_id": "c-1138", "items": [("chair-oak", 6, 14_500)], "city": "Ghent"},
    {"customer_id": "c-2001", "items": [("teapot", 1, 3_900), ("tea-green", 3, 850)], "city": "Trieste"},
)


def body(number: int, zip_code: str = "1100-048") -> dict[str, Any]:
    """What starts an order."""
    one = CUSTOMERS[number % len(CUSTOMERS)]
    return {
        "payment_id": f"pay-{secrets.token_hex(4)}",
        "customer_id": one["customer_id"],
        "currency": "EUR",
        "items": [{"sku": sku, "quantity": many, "unit_amount": each} for sku, many, each in one["items"]],
        "adjustments": [{"kind": "shipping", "amount": 490}],
        "shipping_address": {"street": f"{number + 1} Example Street", "city": one["city"], "zip_code": zip_code},
    }


async def started(client: httpx.AsyncClient, order_id: str, **options: Any) -> str:
    """An order that waits for approval."""
    answer = await client.post(f"/orders/{order_id}/start", json=body(**options), headers={"Prefer": "wait=30"})
    answer.raise_for_status()
    return order_id


async def ended(client: httpx.AsyncClient, order_id: str) -> str:
    """The order approved, and over."""
    (await client.post(f"/orders/{order_id}/signals/approve", headers={"Prefer": "wait=30"})).raise_for_status()
    (await client.get(f"/orders/{order_id}/result")).raise_for_status()
    return order_id


def picture(name: str) -> Path:
    """Where a picture goes."""
    return PICTURES / f"{name}.png"


async def take(page: Page, console: str, client: httpx.AsyncClient) -> None:
    """Takes all of them."""
    mark = secrets.token_hex(2)
    waiting = [await started(client, f"order-{mark}-{number}", number=number) for number in range(4)]
    await page.goto(f"{console}/console/")
    await expect(page.get_by_role("link", name=waiting[-1], exact=True)).to_be_visible(timeout=SOON_MS)
    await page.screenshot(path=picture("console-waiting"))
    await page.goto(f"{console}/console/orders/{waiting[0]}")
    await expect(page.get_by_role("button", name="Approve").first).to_be_visible(timeout=SOON_MS)
    await page.screenshot(path=picture("tutorial-console"))
    lost = await ended(client, await started(client, f"order-{mark}-lost", number=0, zip_code="FAIL0"))
    await page.goto(f"{console}/console/orders/{lost}?everything=true")
    await expect(page.get_by_text("Refunded").first).to_be_visible(timeout=SOON_MS)
    await page.screenshot(path=picture("console-order"), full_page=True)
    shipped = await ended(client, await started(client, f"order-{mark}-shipped", number=1))
    await page.goto(f"{console}/console/orders/{shipped}?everything=true")
    link = page.locator(f"a[href*='/namespaces/'][href*='{shipped}/']").first
    await page.goto(str(await link.get_attribute("href", timeout=SOON_MS)))
    await expect(page.get_by_text("OrderWorkflow").first).to_be_visible(timeout=SOON_MS)
    # Tall enough for the time line below the run's input and result.
    await page.set_viewport_size({"width": WIDTH, "height": TALL})
    await asyncio.sleep(PAINT_SECONDS)
    await page.screenshot(path=picture("tutorial-temporal"))
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    await page.goto(f"{console}/console/system")
    await expect(page.get_by_role("heading", name="System")).to_be_visible(timeout=SOON_MS)
    await page.screenshot(path=picture("tutorial-system"))


async def main(console: str) -> None:
    """Takes all of them, in a window of its own."""
    async with (
        httpx.AsyncClient(base_url=console, timeout=60) as client,
        running_browser(chromium(print)) as browser,
        window(browser, viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light") as opened,
    ):
        await take(opened.page, console, client)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"))
