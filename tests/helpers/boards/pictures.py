"""Makes the picture of a board in docs/pictures, of what `orders up` runs.

``ORDER_APPROVAL_TIMEOUT_SECONDS=900 bin/orders up``, and beside it
``bin/in-env python -m tests.helpers.boards.pictures [minutes]``: a Prometheus of its own reads the processes for so
long and five minutes more, while orders go through them.
"""

import asyncio
import json
import random
import secrets
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from orders.local.ups import Running, running_here
from schemas.event_types import INBOUND, EventType
from tests.helpers.boards.drawing import drawer
from tests.helpers.browser import chromium, running_browser
from tests.helpers.console.pictures import body, picture
from tests.helpers.deployed_rules import BOARDS, read
from tests.helpers.messages.kafka_io import Outgoing, produce
from tests.helpers.servers.prometheus import running_prometheus

BOARD: Final = "overview"
MINUTES: Final = 15.0
"""What the picture shows."""
RATE_SECONDS: Final = 300.0
"""The board asks for rates of five minutes, which only climb until these are over: the picture begins after them."""
PAUSE_SECONDS: Final = 2.0
"""Between an order and the next, on the average."""
DECIDED_AFTER: Final = 8
"""So many orders later an order is approved, or cancelled."""


def record(event_type: EventType, order_id: str, **fields: Any) -> Outgoing:
    """A message as upstream sends it."""
    value = json.dumps({"order_id": order_id, **fields}).encode()
    return Outgoing(INBOUND[event_type].topic, value, key=order_id.encode())


def decision(number: int, order_id: str) -> list[Outgoing]:
    """What becomes of an order: most are approved, some cancelled, and some left to wait."""
    if number % 12 == 5:
        return []
    return [record(EventType.ORDER_CANCELLED if number % 9 == 4 else EventType.ORDER_APPROVED, order_id)]


async def send_orders(kafka: str, until: float) -> None:
    """Sends orders, and what becomes of them. A few cannot be shipped, and two records are none."""
    mark = secrets.token_hex(2)
    ids: list[str] = []
    while time.time() < until:
        number = len(ids)
        ids.append(f"order-{mark}-{number}")
        zip_code = "FAIL0" if number % 15 == 7 else "1100-048"
        records = [record(EventType.ORDER_CREATED, ids[-1], **body(number, zip_code))]
        if number >= DECIDED_AFTER:
            records += decision(number - DECIDED_AFTER, ids[-1 - DECIDED_AFTER])
        if number in (60, 90):
            records.append(record(EventType.ORDER_CREATED, f"{ids[-1]}-bad"))
        await produce(kafka, records)
        await asyncio.sleep(random.expovariate(1 / PAUSE_SECONDS))


async def main(up: Running, minutes: float, folder: Path) -> None:
    """Lets Prometheus read, and draws the board.

    Args:
        up: what it reads.
        minutes: how long the time is that the board shows.
        folder: empty; for what Prometheus keeps.
    """
    (path,) = [one for one in BOARDS if one.stem == BOARD]
    with TemporaryDirectory() as bundle:
        drawing = drawer(Path(bundle))
        async with running_prometheus(folder) as prometheus, running_browser(chromium(print)) as browser:
            for address in up.health:
                prometheus.read(address.port)
            begin = time.time() + RATE_SECONDS
            await send_orders(up.kafka, begin + minutes * 60)
            async with drawing.drawn(browser, prometheus, read(path), begin, time.time()) as opened:
                await opened.page.locator("#board").screenshot(path=picture("tutorial-board"))


if __name__ == "__main__":
    (running,) = [one for one in running_here() if one.command == "up"]
    with TemporaryDirectory() as kept:
        asyncio.run(main(running, float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES, Path(kept)))
