"""Sending an event and waiting for what becomes of it, on real servers: also many at once, and with servers away."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bridge import CallOutcome
from orders.clients.opened import Clients, open_clients
from orders.errors import UnreachableError
from orders.operations.bodies import build_body
from orders.operations.decide import (
    Decision,
    OutcomeStatus,
    OutcomeUnreachableError,
    await_outcome,
    recorded_outcome,
    send_and_wait,
)
from orders.operations.send import inbound_event
from orders.settings import Settings
from schemas.event_types import EventType, fingerprint_of
from schemas.states import ReasonCode
from stack.endpoints import Endpoints
from tests.helpers.servers.proxies import db_settings
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import in_time

WAIT = timedelta(seconds=60)
"""Longer than anything takes here, also on a busy machine, that is decided at all."""
CREATED, APPROVED, CANCELLED = EventType.ORDER_CREATED, EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED
CROWD = 24


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    folder = tmp_path_factory.mktemp("decide")
    async with order_system(endpoints, folder, ORDER_APPROVAL_TIMEOUT_SECONDS="120") as running:
        yield running


def settings_of(system: OrderSystem, **changes: str) -> Settings:
    given: dict[str, Any] = {name.lower(): value for name, value in {**system.settings, **changes}.items()}
    return Settings(_env_file=None, **given)


@pytest.fixture
async def clients(system: OrderSystem) -> AsyncIterator[Clients]:
    async with open_clients(settings_of(system)) as opened:
        yield opened


@pytest.fixture
def order_id() -> str:
    return f"decide-{secrets.token_hex(6)}"


async def sent(
    clients: Clients, order_id: str, event_type: EventType, *, wait: timedelta = WAIT, expected: int | None = None,
    **fields: str,
) -> Decision:  # fmt: skip
    body = build_body(event_type, {"order_id": order_id, **fields})
    return await send_and_wait(clients, event_type, body, expected_sequence=expected, wait=wait)


async def started(clients: Clients, order_id: str) -> Decision:
    decision = await sent(clients, order_id, CREATED, payment_id=f"p-{order_id}")
    assert decision.outcome.status is OutcomeStatus.APPLIED
    return decision


async def test_a_decision_is_told_as_what_is_recorded_of_it(clients: Clients, order_id: str) -> None:
    first = await started(clients, order_id)
    assert (first.delivery, first.outcome.sequence, first.outcome.body_matches) == (CallOutcome.DELIVERED, 1, True)

    refused = await sent(clients, order_id, APPROVED, expected=77)
    cancelled = await sent(clients, order_id, CANCELLED, cancelled_by="ada")
    late = await sent(clients, order_id, APPROVED)

    assert (refused.outcome.status, refused.outcome.reason) == (OutcomeStatus.REJECTED, ReasonCode.ORDER_CHANGED)
    assert cancelled.outcome.status is OutcomeStatus.APPLIED
    assert (late.outcome.status, late.outcome.reason) == (OutcomeStatus.REJECTED, ReasonCode.ORDER_CLOSED)
    async with clients.order_reader() as reader:
        stored = await reader.events(order_id)
    by_sequence = {one.sequence: one.payload_json for one in stored}
    for decision in (first, refused, cancelled, late):
        assert decision.outcome.sequence is not None
        assert decision.event_id in by_sequence[decision.outcome.sequence]


async def test_the_same_again_is_told_the_same_and_another_body_under_its_id_is_noticed(
    clients: Clients, order_id: str
) -> None:
    await started(clients, order_id)
    first = await sent(clients, order_id, APPROVED, approved_by="ada", event_id="key-1")

    again = await sent(clients, order_id, APPROVED, approved_by="ada", event_id="key-1")
    other = await sent(clients, order_id, APPROVED, approved_by="bob", event_id="key-1")

    assert again.outcome == first.outcome
    assert (other.outcome.status, other.outcome.body_matches) == (OutcomeStatus.APPLIED, False)
    body = build_body(APPROVED, {"order_id": order_id, "approved_by": "ada", "event_id": "key-1"})
    said = fingerprint_of(inbound_event(APPROVED, body), order_id)
    assert await recorded_outcome(clients, order_id, "key-1", APPROVED, said) == first.outcome
    assert await recorded_outcome(clients, order_id, "key-2", APPROVED) is None


async def test_an_event_that_came_before_its_order_is_told_as_held_at_once_and_decided_later(
    clients: Clients, order_id: str
) -> None:
    with in_time(WAIT.total_seconds() / 2):
        early = await sent(clients, order_id, APPROVED, event_id="early")
    assert early.outcome.status is OutcomeStatus.HELD
    assert early.outcome.waits_for is not None
    assert "order.created" in early.outcome.waits_for
    assert early.outcome.waits_until is not None

    waiting = asyncio.create_task(await_outcome(clients, order_id, "early", APPROVED, wait=WAIT))
    await started(clients, order_id)

    assert (await waiting).status in (OutcomeStatus.APPLIED, OutcomeStatus.HELD)
    assert (await await_outcome(clients, order_id, "early", APPROVED, wait=WAIT)).status is OutcomeStatus.APPLIED


async def test_many_decisions_at_once_have_each_their_own_outcome(clients: Clients, order_id: str) -> None:
    ids = [f"{order_id}-{number}" for number in range(CROWD)]
    await asyncio.gather(*(started(clients, one) for one in ids))

    decided = await asyncio.gather(
        *(sent(clients, one, APPROVED, expected=None if number % 3 else 1) for number, one in enumerate(ids))
    )

    refused = [number for number, one in enumerate(decided) if one.outcome.status is OutcomeStatus.REJECTED]
    assert refused == list(range(0, CROWD, 3))


async def test_what_nobody_sent_is_undecided(clients: Clients, order_id: str) -> None:
    nothing = await await_outcome(clients, order_id, "never", APPROVED, wait=timedelta(seconds=1.5))
    assert (nothing.status, nothing.waits_for) == (OutcomeStatus.UNDECIDED, None)
    await started(clients, order_id)
    waiting = await await_outcome(clients, order_id, "never", APPROVED, wait=timedelta(0))
    assert waiting.status is OutcomeStatus.UNDECIDED
    assert waiting.waits_for is not None


async def test_without_a_worker_it_is_undecided_and_says_what_it_waits_for(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory, order_id: str
) -> None:
    async with (
        order_system(endpoints, tmp_path_factory.mktemp("no-worker"), start=False) as idle,
        open_clients(settings_of(idle)) as clients,
    ):
        decision = await sent(clients, order_id, CREATED, wait=timedelta(seconds=0.5), payment_id="p-1")
    assert (decision.delivery, decision.outcome.status) == (CallOutcome.DELIVERED, OutcomeStatus.UNDECIDED)
    assert decision.outcome.waits_for is not None
    assert "worker" in decision.outcome.waits_for


async def test_where_temporal_is_away_it_says_so_and_nothing_is_waited_for(system: OrderSystem, order_id: str) -> None:
    async with open_clients(settings_of(system, TEMPORAL_HOST="127.0.0.1:1")) as clients:
        with pytest.raises(UnreachableError, match="Temporal"):
            await sent(clients, order_id, APPROVED)


async def test_where_postgres_is_away_it_says_that_the_event_was_delivered(
    system: OrderSystem, clients: Clients, order_id: str
) -> None:
    await started(clients, order_id)
    async with open_clients(settings_of(system, DB_HOST="127.0.0.1", DB_PORT="1")) as blind:
        with pytest.raises(OutcomeUnreachableError, match="was delivered") as raised:
            await sent(blind, order_id, CANCELLED, event_id="unseen", wait=timedelta(seconds=1))
    assert (raised.value.event_id, raised.value.delivery) == ("unseen", CallOutcome.DELIVERED)
    outcome = await await_outcome(clients, order_id, "unseen", CANCELLED, wait=WAIT)
    assert outcome.status is OutcomeStatus.APPLIED


async def test_a_database_that_comes_back_within_the_wait_is_asked_again(system: OrderSystem, order_id: str) -> None:
    host, port = system.settings["DB_HOST"], system.settings["DB_PORT"]
    async with Proxy(f"{host}:{port}") as proxy:
        settings = settings_of(system, **db_settings(proxy), DB_CONNECT_TIMEOUT_SECONDS="1")
        async with open_clients(settings) as clients:
            await started(clients, order_id)
            await proxy.refuse()
            waiting = asyncio.create_task(sent(clients, order_id, CANCELLED))
            await asyncio.wait([waiting], timeout=1.5)
            assert not waiting.done()
            await proxy.serve()
            proxy.flow()
            assert (await waiting).outcome.status is OutcomeStatus.APPLIED
