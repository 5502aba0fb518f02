"""api_calls: requests a second, and how long they take, of ``orders api`` against bare routes with the same calls.

For start and approve no worker runs: what is measured is the way in. A status is an order's own answer, so a worker
answers for both sides.
"""

import itertools
import secrets
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.api_room import Server, bare_api, database, open_api_room, our_api
from benchmarks.http_load import load, request
from benchmarks.ratios import Ratio, in_turns
from benchmarks.report import Figure
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually

REQUESTS, STATUSES, ORDERS, TURNS = 2_000, 1_000, 200, 3
CONNECTIONS = 8
"""Requests at once: the knee of the Python client on two cores (benchmarks/bridge_calls.py)."""
RATE_AT_LEAST = 0.9
P99_AT_MOST = 1 / RATE_AT_LEAST
SETTINGS = {"ORDER_AMOUNT_REQUIRED": "false", "ORDER_APPROVAL_TIMEOUT_SECONDS": "86400"}
"""So that an order is open for as long as its status is asked for: in that part nobody approves."""
WAIT_SECONDS = 180.0

Requests = Callable[[Server], Iterator[bytes]]


@dataclass(slots=True)
class Side:
    """One of the two servers, and what its turns came to."""

    server: Server
    p99_seconds: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    """Of each turn: microseconds of the processor for one request."""

    async def turn(self, requests: Iterator[bytes], status: int) -> float:
        """Sends these requests; returns how many were answered a second."""
        before = self.server.cpu_seconds()
        served = await load(self.server.port, requests, connections=CONNECTIONS, status=status)
        self.p99_seconds.append(served.p99)
        self.cpu_us.append((self.server.cpu_seconds() - before) / len(served.took) * 1e6)
        return served.per_second


async def run(*, quick: bool) -> list[Figure]:
    """Measures the three, one after the other."""
    share = 10 if quick else 1
    async with open_api_room(**SETTINGS) as system, our_api(system) as ours, bare_api(system) as bare:
        figures = await _compare("api_start", ours, bare, lambda one: starts(one, REQUESTS // share), 202)
        ids = new_ids(ORDERS)
        await load(ours.port, start_of(ours, ids), connections=CONNECTIONS, status=202)
        figures += await _compare("api_approve", ours, bare, lambda one: approvals(one, ids, REQUESTS // share), 202)
    # A system of its own: the worker would otherwise first work on what was started before.
    async with open_api_room(**SETTINGS) as system, our_api(system) as ours, bare_api(system) as bare:
        ids = new_ids(ORDERS // share)
        await _have_wait_for_approval(system, ours, ids)
        figures += await _compare("api_status", ours, bare, lambda one: statuses(one, ids, STATUSES // share), 200)
    return figures


async def _have_wait_for_approval(system: OrderSystem, server: Server, ids: list[str]) -> None:
    worker = system.start_worker("order-tq")
    await system.wait_until_polled("order-tq", worker.pid)
    await load(server.port, start_of(server, ids), connections=CONNECTIONS, status=202)
    async with database(system) as connection:

        async def all_wait() -> bool:
            count: int = await connection.fetchval("SELECT count(*) FROM orders WHERE state = 'VALIDATED'")
            return count == len(ids)

        await assert_eventually(all_wait, WAIT_SECONDS, lambda: f"{len(ids)} orders to wait\n{worker.log_tail}")


async def _compare(name: str, ours: Server, bare: Server, requests: Requests, status: int) -> list[Figure]:
    our_side, bare_side = Side(ours), Side(bare)
    ratio = await in_turns(
        lambda: our_side.turn(requests(ours), status), lambda: bare_side.turn(requests(bare), status), turns=TURNS
    )
    return _figures(name, ratio, our_side, bare_side)


def _figures(name: str, ratio: Ratio, ours: Side, bare: Side) -> list[Figure]:
    p99, bare_p99 = statistics.median(ours.p99_seconds), statistics.median(bare.p99_seconds)
    rate = Figure(
        name,
        ratio.value,
        "of the bare route's rate",
        at_least=RATE_AT_LEAST,
        trustworthy=ratio.is_trustworthy,
        details={
            "requests_per_second": round(ratio.measured),
            "baseline_requests_per_second": round(ratio.baseline),
            "cpu_us_a_request": round(statistics.median(ours.cpu_us)),
            "baseline_cpu_us_a_request": round(statistics.median(bare.cpu_us)),
            "noise": round(ratio.noise, 3),
        },
    )
    slowest = Figure(
        f"{name}_p99",
        p99 / bare_p99,
        "times the bare route's 99th percentile",
        at_most=round(P99_AT_MOST, 2),
        trustworthy=ratio.is_trustworthy,
        details={"p99_ms": round(p99 * 1e3, 1), "baseline_p99_ms": round(bare_p99 * 1e3, 1)},
    )
    return [rate, slowest]


def new_ids(count: int) -> list[str]:
    """Ids of orders that no other turn has."""
    turn = secrets.token_hex(4)
    return [f"bench-{turn}-{number}" for number in range(count)]


def starts(server: Server, count: int) -> Iterator[bytes]:
    """Requests that each start an order."""
    return start_of(server, new_ids(count))


def start_of(server: Server, ids: list[str]) -> Iterator[bytes]:
    """Requests that start these orders."""
    for order_id in ids:
        body = b'{"payment_id": "p-%s"}' % order_id.encode()
        yield request("POST", f"/orders/{order_id}/start", server.headers, body)


def approvals(server: Server, ids: list[str], count: int) -> Iterator[bytes]:
    """Requests that approve the orders in turns; no worker runs, so each run stays open and takes them all."""
    for order_id in itertools.islice(itertools.cycle(ids), count):
        yield request("POST", f"/orders/{order_id}/signals/approve", (*server.headers, "Content-Length: 0"))


def statuses(server: Server, ids: list[str], count: int) -> Iterator[bytes]:
    """Requests that ask the orders in turns where they are."""
    for order_id in itertools.islice(itertools.cycle(ids), count):
        yield request("GET", f"/orders/{order_id}/status", server.headers)
