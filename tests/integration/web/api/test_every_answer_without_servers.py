"""Every request of an API one of whose servers is away, as after a crash."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from stack.endpoints import Endpoints
from tests.helpers.answers.asking import answer_of, ask, assert_answered, every_row
from tests.helpers.answers.cases import Case
from tests.helpers.answers.preparing import all_named
from tests.helpers.answers.table import WAIT, Named, Row, rows_of
from tests.helpers.servers.proxies import proxies_before
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.api_room import ApiRoom, new_order_id, open_api
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually


@dataclass(slots=True)
class Room:
    """An API whose servers can be taken from it, and what it answered without each."""

    api: ApiRoom
    proxies: dict[Case, Proxy]
    orders: list[str]
    """They wait for approval: for requests that are done although a server is away."""
    waits: Named
    answers: dict[Case, dict[str, httpx.Response]] = field(default_factory=dict)

    def named(self, row: Row, case: Case) -> Named:
        """What the request names: an order of its own where it is to be decided."""
        if not row.operation.startswith("POST /orders/"):
            return self.waits
        is_decided = case is Case.NO_KAFKA and not row.operation.endswith("/start")
        return Named(self.orders.pop() if is_decided else new_order_id())

    async def answers_of(self, case: Case) -> dict[str, httpx.Response]:
        """What is answered while the case's server is away: all are asked at once, as each may take seconds."""
        if case not in self.answers:
            rows, proxy = rows_of(case), self.proxies[case]
            await proxy.refuse()
            asked = [ask(self.api.http, row, self.named(row, case), headers=self._headers(row, case)) for row in rows]
            got = await asyncio.gather(*asked)
            self.answers[case] = {row.name: answer for row, answer in zip(rows, got, strict=True)}
            await proxy.serve()
        return self.answers[case]

    def _headers(self, row: Row, case: Case) -> dict[str, str]:
        # Without a key and without a wait, a decision needs Temporal alone.
        is_decision = row.operation.startswith("POST /orders/")
        return dict(WAIT) if row.method == "POST" and (case is Case.NO_KAFKA or not is_decision) else {}


@pytest.fixture(scope="module")
async def room(system: OrderSystem, endpoints: Endpoints) -> AsyncIterator[Room]:
    async with proxies_before(endpoints) as proxies, open_api(system, **proxies.settings) as api:
        waits, *others = await asyncio.gather(*(api.start_order() for _ in range(4)))
        of_case: dict[Case, Proxy] = {
            Case.NO_TEMPORAL: proxies.temporal,
            Case.NO_POSTGRES: proxies.postgres,
            Case.NO_KAFKA: proxies.kafka,
        }
        yield Room(api, of_case, others, await all_named(api, waits))


async def assert_as_the_table_says(room: Room, row: Row, case: Case) -> None:
    says = answer_of(row, case)
    answer = (await room.answers_of(case))[row.name]
    assert_answered(answer, says)
    assert ("retry-after" in answer.headers) is (says.status in (202, 503))


@every_row(Case.NO_KAFKA)
async def test_without_kafka(room: Room, row: Row) -> None:
    await assert_as_the_table_says(room, row, Case.NO_KAFKA)


@every_row(Case.NO_TEMPORAL)
async def test_without_temporal(room: Room, row: Row) -> None:
    await assert_as_the_table_says(room, row, Case.NO_TEMPORAL)


@every_row(Case.NO_POSTGRES)
async def test_without_postgres(room: Room, row: Row) -> None:
    await assert_as_the_table_says(room, row, Case.NO_POSTGRES)


async def test_once_they_are_back_all_is_as_it_was(room: Room) -> None:
    async def decided() -> bool:
        return (await room.api.signal(room.waits.order_id, "approve", Idempotency_Key="back")).status_code == 200

    await assert_eventually(decided, 60, lambda: room.api.process.log_tail)
    assert "Traceback" not in room.api.process.log
