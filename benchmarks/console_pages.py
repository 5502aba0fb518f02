"""console_pages: 500 people look at 1,000 waiting orders: what that costs, and how soon they see a decision.

Orders are decided as the workers record it, a transaction each, and no workflow runs beside. The time begins before the
transaction does, and ends when a window's connection has the whole list that is without the order.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.api_room import database, open_api_room, our_api
from benchmarks.api_streams import streams
from benchmarks.report import Figure
from orders.operations.bench.report import percentile

WINDOWS, WARM_WINDOWS, WAITING = 500, 20, 1_000
DECIDED_PER_SECOND = 1
WATCHED_SECONDS, QUICK_SECONDS = 20.0, 5.0
CALM_AFTER_SECONDS = 3.0
DEADLINE_SECONDS = 60.0
DELAY_AT_MOST_SECONDS, MEMORY_AT_MOST_KIB, IDLE_AT_MOST = 1.0, 400.0, 0.05
COUNTED = re.compile(rb"<strong>([\d,]+) orders?</strong>")
"""How the list's head says how many wait."""
LIST_ENDS = b"</ol>"

INSERT_WAITING = """
INSERT INTO orders (id, state, address_json, items_json, amount, currency, customer_id, payment_id, last_sequence,
                    approval_deadline)
SELECT 'o-' || lpad(n::text, 4, '0'), 'VALIDATED', '{"street": "1 Example Street", "city": "Utrecht"}',
       '[{"sku": "mug-blue", "quantity": 2, "unit_amount": 1250}]', 2500, 'EUR', 'c-' || n % 7, 'p-' || n, 2,
       now() + interval '1 hour' + n * interval '1 second'
FROM generate_series(1, $1::int) n
"""
INSERT_JOURNALS = "INSERT INTO journals (order_id) SELECT id FROM orders"
APPROVE = (
    "UPDATE orders SET state = 'APPROVED', decided_by = 'ada', last_sequence = 3, updated_at = now() WHERE id = $1"
)
INSERT_EVENT = """
INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts)
VALUES ($1, 3, $1 || '-3', 'order.state_changed', $2, now())
"""


@dataclass(slots=True)
class Decided:
    """The orders that were decided, and when each window saw it."""

    connection: Any
    at: list[float] = field(default_factory=list)
    """When each decision began to be recorded, in their order."""
    delays: list[float] = field(default_factory=list)

    async def decide(self) -> None:
        """Records that the order which is due next was approved."""
        order_id = f"o-{len(self.at) + 1:04d}"
        body = json.dumps({"order_id": order_id, "sequence": 3, "state": "APPROVED", "previous_state": "VALIDATED"})
        self.at.append(time.perf_counter())
        async with self.connection.transaction():
            await self.connection.execute(APPROVE, order_id)
            await self.connection.execute(INSERT_EVENT, order_id, body)


class Window:
    """One window's list: reads what is sent to it, as a browser would."""

    def __init__(self, decided: Decided) -> None:
        self._decided = decided
        self._waiting = WAITING - len(decided.at)
        self._comes: int | None = None

    def read(self, line: bytes) -> None:
        """Takes a line of markup."""
        counted = COUNTED.search(line)
        if counted is not None:
            self._comes = int(counted[1].replace(b",", b""))
        elif line.startswith(LIST_ENDS) and self._comes is not None:
            now = time.perf_counter()
            # Several that were decided within a moment come as one list.
            for waiting in range(self._comes, self._waiting):
                self._decided.delays.append(now - self._decided.at[WAITING - waiting - 1])
            self._waiting, self._comes = self._comes, None


async def run(*, quick: bool) -> list[Figure]:
    """Measures how soon the windows see each decision, what they hold, and what they cost while nothing happens."""
    seconds = QUICK_SECONDS if quick else WATCHED_SECONDS
    windows = WINDOWS // 10 if quick else WINDOWS
    async with (
        open_api_room(API_STREAMS_MAX=str(2 * WINDOWS)) as system,
        our_api(system) as server,
        database(system) as connection,
    ):
        await connection.execute(INSERT_WAITING, WAITING)
        await connection.execute(INSERT_JOURNALS)
        decided = Decided(connection)
        async with streams(server, _windows(WARM_WINDOWS, decided)):
            await decided.decide()
            await _until(lambda: len(decided.delays) == WARM_WINDOWS)
        before = server.resident_bytes()
        decided.delays.clear()
        async with streams(server, _windows(windows, decided)):
            await asyncio.sleep(CALM_AFTER_SECONDS)
            idle, cpu = time.perf_counter(), server.cpu_seconds()
            await asyncio.sleep(seconds)
            idle_share = (server.cpu_seconds() - cpu) / (time.perf_counter() - idle)
            shown, cpu, began = int(DECIDED_PER_SECOND * seconds), server.cpu_seconds(), time.perf_counter()
            for number in range(shown):
                await decided.decide()
                await asyncio.sleep(max(0.0, began + (number + 1) / DECIDED_PER_SECOND - time.perf_counter()))
            await _until(lambda: len(decided.delays) == shown * windows)
            busy_share = (server.cpu_seconds() - cpu) / (time.perf_counter() - began)
            held = server.resident_bytes() - before
    delays = tuple(sorted(decided.delays))
    return [
        Figure(
            "console_pages",
            percentile(delays, 0.99),
            "s from a decision to the window, the 99th percentile",
            at_most=DELAY_AT_MOST_SECONDS,
            details={
                "windows": windows,
                "median_seconds": round(percentile(delays, 0.5), 3),
                "longest_seconds": round(delays[-1], 3),
                "of_a_core": round(busy_share, 3),
            },
        ),
        Figure("console_pages_memory", held / 1024 / windows, "KiB a window", at_most=MEMORY_AT_MOST_KIB),
        Figure("console_pages_idle", idle_share, "of a core, windows in which nothing happens", at_most=IDLE_AT_MOST),
    ]


def _windows(count: int, decided: Decided) -> list[tuple[str, Callable[[bytes], None]]]:
    return [("/console/waiting/live", Window(decided).read) for _ in range(count)]


async def _until(come_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not come_true():  # noqa: ASYNC110 -- the windows tell of lines, not of being done
            await asyncio.sleep(0.01)
