"""api_streams: 500 open streams of events: what they cost, and how long an event takes from the table to a client.

Events are written to the audit table as the workers write them, one transaction each, and no workflow runs beside. The
time begins before the transaction does and ends when the client's connection has the line.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.api_room import Server, database, open_api_room, our_api
from benchmarks.http_load import StreamClient, request
from benchmarks.report import Figure
from orders.operations.bench.report import percentile

STREAMS, WARM_STREAMS = 500, 20
WATCHED_SECONDS, QUICK_SECONDS = 20.0, 3.0
CALM_AFTER_SECONDS = 2.0
OF_ALL_PER_SECOND, OF_ORDERS_PER_SECOND = 5, 50
"""Events a second, for streams of all orders and for streams of single ones. Each event goes to all of the first, so 5
are 2,500 lines a second, and to one of the second."""
DEADLINE_SECONDS = 60.0
DELAY_AT_MOST_SECONDS, MEMORY_AT_MOST_KIB, IDLE_AT_MOST = 1.0, 200.0, 0.05
INSERT_JOURNALS = "INSERT INTO journals (order_id) SELECT unnest($1::text[])"
INSERT_EVENT = """
INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts)
VALUES ($1, $2, $3, 'order.state_changed', $4, now())
"""
BODY = {
    "previous_state": None,
    "state": "RECEIVED",
    "occurred_at": "2026-01-31T12:00:00Z",
    "cause": None,
    "x": "x" * 200,
}


@dataclass(slots=True)
class Watched:
    """What a part of the measurement came to."""

    delays: tuple[float, ...]
    """In seconds, of every line of every stream, the shortest first."""
    cpu_seconds: float
    """Of the API's process, while the events were written and read."""
    seconds: float


class Writer:
    """Writes events, and notes of each when it was written and when it was read."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._sequences: dict[str, int] = {}
        self._written_at: list[float] = []
        self.delays: list[float] = []

    async def know(self, order_ids: Sequence[str]) -> None:
        """Has the orders known, so that one can listen to them."""
        await self._connection.execute(INSERT_JOURNALS, list(order_ids))

    async def write(self, order_id: str) -> None:
        """Records an event of an order."""
        number = len(self._written_at)
        sequence = self._sequences[order_id] = self._sequences.get(order_id, 0) + 1
        body = json.dumps({"number": number, "order_id": order_id, "sequence": sequence, **BODY})
        self._written_at.append(time.perf_counter())
        await self._connection.execute(INSERT_EVENT, order_id, sequence, f"{order_id}-{sequence}", body)

    def read(self, data: bytes) -> None:
        """Notes that a stream has brought an event."""
        number = int(data[data.index(b":") + 1 : data.index(b",")])
        self.delays.append(time.perf_counter() - self._written_at[number])


async def run(*, quick: bool) -> list[Figure]:
    """Measures streams of all orders, then of single ones."""
    seconds = QUICK_SECONDS if quick else WATCHED_SECONDS
    async with (
        open_api_room(API_STREAMS_MAX=str(2 * STREAMS)) as system,
        our_api(system) as server,
        database(system) as connection,
    ):
        writer = Writer(connection)
        ids, others = ([f"{name}-{number}" for number in range(STREAMS)] for name in ("order", "other"))
        await writer.know([*ids, *others])
        async with streams(server, [("/events", writer.read)] * WARM_STREAMS):
            await writer.write(ids[0])
        before = server.resident_bytes()
        async with streams(server, [("/events", writer.read)] * STREAMS):
            idle_share = await _idle_share(server, seconds)
            of_all = await _watch(server, writer, ids, per_second=OF_ALL_PER_SECOND, seconds=seconds, streams=STREAMS)
            held = server.resident_bytes() - before
        async with streams(server, [(f"/orders/{one}/events", writer.read) for one in others]):
            of_orders = await _watch(
                server, writer, others, per_second=OF_ORDERS_PER_SECOND, seconds=seconds, streams=1
            )
    return [
        _delay("api_streams_of_all", of_all),
        _delay("api_streams_of_orders", of_orders),
        Figure("api_streams_memory", held / 1024 / STREAMS, "KiB a stream", at_most=MEMORY_AT_MOST_KIB),
        Figure("api_streams_idle", idle_share, "of a core, 500 streams in which nothing happens", at_most=IDLE_AT_MOST),
    ]


def _delay(name: str, watched: Watched) -> Figure:
    details = {
        "median_seconds": round(percentile(watched.delays, 0.5), 3),
        "longest_seconds": round(watched.delays[-1], 3),
        "lines": len(watched.delays),
        "cpu_us_a_line": round(watched.cpu_seconds / len(watched.delays) * 1e6),
        "of_a_core": round(watched.cpu_seconds / watched.seconds, 3),
    }
    return Figure(
        name,
        percentile(watched.delays, 0.99),
        "s from the event to the line, the 99th percentile",
        at_most=DELAY_AT_MOST_SECONDS,
        details=details,
    )


async def _idle_share(server: Server, seconds: float) -> float:
    await asyncio.sleep(CALM_AFTER_SECONDS)
    before = server.cpu_seconds()
    await asyncio.sleep(seconds)
    return (server.cpu_seconds() - before) / seconds


async def _watch(
    server: Server, writer: Writer, ids: Sequence[str], *, per_second: int, seconds: float, streams: int
) -> Watched:
    """Writes events at an even rate and waits until each was read by as many streams as follow it."""
    writer.delays.clear()
    count = int(per_second * seconds)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    for number in range(count):
        await writer.write(ids[number % len(ids)])
        await asyncio.sleep(max(0.0, began + (number + 1) / per_second - time.perf_counter()))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(writer.delays) < count * streams:  # noqa: ASYNC110 -- the streams tell of lines, not of being done
            await asyncio.sleep(0.01)
    if len(writer.delays) > count * streams:
        raise RuntimeError("events were doubled")
    return Watched(tuple(sorted(writer.delays)), server.cpu_seconds() - cpu, time.perf_counter() - began)


@asynccontextmanager
async def streams(server: Server, asked: Iterable[tuple[str, Callable[[bytes], None]]]) -> AsyncIterator[None]:
    """Streams that are open while the block lasts.

    Args:
        server: What is asked.
        asked: For each stream its path, and what is told each of its lines.

    Raises:
        RuntimeError: one of them was ended.
    """
    clients = [
        StreamClient(request("GET", path, (*server.headers, "Accept: text/event-stream")), tell) for path, tell in asked
    ]
    loop = asyncio.get_running_loop()
    try:
        for client in clients:
            await loop.create_connection(lambda client=client: client, "127.0.0.1", server.port)  # type: ignore[misc]
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.gather(*(client.began for client in clients))
        yield
        if any(client.is_lost for client in clients):
            raise RuntimeError("a stream was ended")
    finally:
        for client in clients:
            client.close()
