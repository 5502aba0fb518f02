"""Pages that stay up to date, whatever happens to their server."""

from playwright.async_api import expect

from schemas.event_types import EventType
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, approve, open_list, row
from tests.helpers.console.running import Console
from tests.helpers.messages.kafka_io import Outgoing

CUT_OFF = [
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "htmx:sse:error",
    "network error",
    "Failed to fetch",
]
"""What a browser says of a server that is away."""


async def test_after_a_restart_of_the_server_nothing_is_missed(ada: Window, console: Console) -> None:
    gone, stays = await console.place(), await console.place()
    page = await open_list(ada, console, gone, stays)
    ada.expected += CUT_OFF
    await console.process.terminate(within_seconds=6)
    await expect(page.locator("#link")).to_contain_text("The connection to the server is lost", timeout=SOON)

    # What happens while nobody could tell the page of it.
    body = f'{{"order_id": "{gone}"}}'.encode()
    await console.system.produce([_record(console, body, gone)])
    await console.system.wait_until_states(gone, *_WHOLE_LIFE)
    await console.start()

    await expect(row(page, gone)).to_have_count(0, timeout=3 * SOON)
    await expect(row(page, stays)).to_have_class("order")
    await expect(page.locator("#link")).to_be_hidden(timeout=SOON)
    later = await console.place()
    await expect(row(page, later)).to_have_class("order", timeout=SOON)
    await approve(page, stays)
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {stays} is approved.", timeout=SOON)


_WHOLE_LIFE = (
    "RECEIVED", "VALIDATED", "APPROVED", "PAID", "PACKAGE_PREPARED", "CARRIER_DISPATCHED", "SHIPPED", "COMPLETED",
)  # fmt: skip


def _record(console: Console, value: bytes, order_id: str) -> Outgoing:
    return Outgoing(console.system.topic_of(EventType.ORDER_APPROVED), value, key=order_id.encode())


async def test_the_system_s_page_shows_who_runs(ada: Window, console: Console) -> None:
    page = ada.page
    await page.goto(console.page("/system"))
    system = page.locator("#system")
    await expect(system).to_contain_text("order-tq", timeout=SOON)
    await expect(system).to_contain_text("shipping-tq")
    await expect(system).to_contain_text(console.system.topic_of(EventType.ORDER_CREATED))
    first = await system.locator("time").first.get_attribute("datetime")
    await expect(system.locator("time").first).not_to_have_attribute("datetime", str(first), timeout=SOON)
