"""Every request that may take long: its client goes, or the API is stopped, while its servers say nothing."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest

from stack.endpoints import Endpoints
from tests.helpers.answers.asking import answer_of, ask, assert_answered, every_row
from tests.helpers.answers.cases import Case
from tests.helpers.answers.table import WAIT, Named, Row, rows_of
from tests.helpers.servers.kafka_proxy import KafkaProxy
from tests.helpers.servers.proxies import db_settings
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.api_room import ApiRoom, new_order_id, open_api
from tests.helpers.system.event_streams import Listener
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import Patience, assert_eventually, patient_seconds

STOP_SECONDS = 5.0
"""What the API promises."""
GOES_AFTER_SECONDS, GOES_AT_LAST_SECONDS = 3.0, 20.0
"""On a machine that has time, and on any: within the 30 s that `WAIT` asks for."""
LONGER_THAN_ANYBODY_WAITS = "120"
"""Seconds after which the API itself gives a silent Kafka up, so that what ends has ended with its client."""


@dataclass(slots=True)
class Room:
    """An API whose Postgres and Kafka can be struck dumb, so that nothing is answered and nothing refused."""

    api: ApiRoom
    silent: Sequence[Proxy]
    waits: Named
    orders: list[str]
    """More that wait for approval, one for each request that decides something."""

    def named(self, row: Row) -> Named:
        """What a request names."""
        if not row.operation.startswith("POST /orders/"):
            return self.waits
        return Named(new_order_id() if row.operation.endswith("/start") else self.orders.pop())

    @property
    def delivered(self) -> int:
        """How many events Temporal has taken."""
        return self.api.process.log.count('"api.event.delivered"')

    def mute(self) -> None:
        """Postgres and Kafka say nothing any more."""
        for proxy in self.silent:
            proxy.mute()

    def flow(self) -> None:
        """They speak again."""
        for proxy in self.silent:
            proxy.flow()


@pytest.fixture(scope="module")
async def room(system: OrderSystem, endpoints: Endpoints) -> AsyncIterator[Room]:
    async with (
        Proxy(f"{endpoints.db_host}:{endpoints.db_port}") as postgres,
        KafkaProxy(endpoints.kafka_bootstrap_servers) as kafka,
    ):
        settings = {
            **db_settings(postgres),
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
            "KAFKA_REQUEST_TIMEOUT_SECONDS": LONGER_THAN_ANYBODY_WAITS,
            "API_HEALTH_PORT": str(free_port()),
            "LOG_LEVEL": "debug",
        }
        async with open_api(system, **settings) as api:
            waits, *orders = await asyncio.gather(*(api.start_order() for _ in range(7)))
            yield Room(api, (postgres, kafka), Named(waits), orders)


def is_followed(row: Row) -> bool:
    """Whether the request begins with what Postgres says, and then waits for what happens.

    Where Postgres is silent from the beginning it is answered within 3.5 s, whoever waits for it.
    """
    return row.operation.endswith("/result")


# Clients that go -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def left(room: Room) -> list[dict[str, object]]:
    """What the API has said of requests whose clients have gone: many are asked at once, as each takes a while."""
    seconds = min(patient_seconds(GOES_AFTER_SECONDS), GOES_AT_LAST_SECONDS)

    async def go(row: Row) -> None:
        if row.is_stream:
            await ask(room.api.http, row, room.named(row))
            return
        with pytest.raises(httpx.ReadTimeout):
            await ask(room.api.http, row, room.named(row), headers=WAIT, timeout=seconds)

    rows = rows_of(Case.CLIENT_GONE)
    while_all_speak = [row for row in rows if row.is_stream or is_followed(row)]
    await asyncio.gather(*map(go, while_all_speak))
    room.mute()
    await asyncio.gather(*(go(row) for row in rows if row not in while_all_speak))
    await room.api.wait_until_served(0)
    room.flow()
    lines = map(json.loads, room.api.process.log.splitlines())
    return [line for line in lines if line.get("event") == "api.request.answered"]


@every_row(Case.CLIENT_GONE)
async def test_the_work_of_a_client_that_has_gone_ends(row: Row, left: list[dict[str, object]]) -> None:
    path = row.operation.partition(" ")[2]
    wanted = 200 if row.is_stream else 499
    said = [line["status"] for line in left if line["method"] == row.method and path in str(line["route"])]
    assert wanted in said, f"{path}: {said}"


# The API is stopped --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Stopped:
    """How an API ended that many waited for."""

    answers: dict[str, httpx.Response]
    streams: dict[str, Listener]
    exit_status: int
    was_in_time: bool
    log: str

    @property
    def complaints(self) -> str:
        """The lines of its log that say that something is wrong."""
        return "\n".join(line for line in self.log.splitlines() if '"level": "error"' in line)


@pytest.fixture(scope="module")
async def stopped(room: Room, left: list[dict[str, object]]) -> Stopped:
    assert left, "those that have gone went first"
    http, rows = room.api.http, rows_of(Case.STOP_IN_WAIT)
    streams = {row.name: Listener(http, row.path(room.waits)) for row in rows_of(Case.STOP_IN_STREAM)}
    followed = [row for row in rows if is_followed(row)]
    waiting = {row.name: asyncio.create_task(_wait(room, row)) for row in followed}
    await room.api.wait_until_served(len(waiting))
    # Once later ones have waited for a second, these have read what they begin with.
    await asyncio.gather(*(ask(http, row, room.named(row), headers={"Prefer": "wait=1"}) for row in followed))
    async with AsyncExitStack() as reading:
        # Each has begun once it is entered.
        for one in streams.values():
            await reading.enter_async_context(one.listening())
        room.mute()
        before = room.delivered
        waiting |= {row.name: asyncio.create_task(_wait(room, row)) for row in rows if not is_followed(row)}
        await room.api.wait_until_served(len(streams) + len(waiting))
        # They wait for what becomes of it, and no longer for Temporal: what is then answered is another test's.
        decisions = sum(1 for row in rows if row.operation.startswith("POST /orders/"))
        await assert_eventually(lambda: room.delivered == before + decisions, 60, lambda: room.api.process.log_tail)
        allowed = Patience(STOP_SECONDS)
        room.api.process.send(signal.SIGTERM)
        got = await asyncio.gather(*waiting.values())
        status = await room.api.process.wait_until_ended(60)
        was_in_time = not allowed.is_over()
        await assert_eventually(lambda: all(one.ended for one in streams.values()), 30, "the streams end whole")
    return Stopped(dict(zip(waiting, got, strict=True)), streams, status, was_in_time, room.api.process.log)


async def _wait(room: Room, row: Row) -> httpx.Response:
    return await ask(room.api.http, row, room.named(row), headers=WAIT)


@every_row(Case.STOP_IN_WAIT)
async def test_who_waits_is_told_how_things_are_when_the_api_is_stopped(row: Row, stopped: Stopped) -> None:
    assert_answered(stopped.answers[row.name], answer_of(row, Case.STOP_IN_WAIT), stopped.complaints)


@every_row(Case.STOP_IN_STREAM)
async def test_a_stream_ends_whole_when_the_api_is_stopped(row: Row, stopped: Stopped) -> None:
    assert (stopped.streams[row.name].status, stopped.streams[row.name].ended) == (200, True)


async def test_it_ends_in_time_and_without_an_error_whoever_waits(stopped: Stopped) -> None:
    assert stopped.exit_status == 0, stopped.log
    assert stopped.was_in_time
    assert not stopped.complaints
    assert "Traceback" not in stopped.log
