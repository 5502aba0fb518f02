"""What one happy order costs, counted on real servers: a change that makes orders dearer, or cheaper, fails here.

Events, tasks, activities and commands are counted in the histories of the order and of its shipping attempt;
transactions and round trips by a proxy before Postgres. docs/performance.md has the same figures with their reasons.
"""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass

import pytest

from activities.adapters.postgres.order_statements import MARK_PUBLISHED
from schemas.event_types import EventType
from stack import Endpoints
from tests.e2e.test_main_job import COMPLETED_PATH, send
from tests.helpers.servers.postgres_traffic import Cost, PostgresTraffic, Transaction
from tests.helpers.system.system import TASK_QUEUES, OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id, shipping_workflow_id

OUR_OWN_RECORDS = {"look_up_order", "receive_order", "validate_order", "publish_events", "mark_order_shipped"}
EFFECTS = {"charge_payment": 1, "prepare_package": 1, "dispatch_carrier": 1}


@dataclass(frozen=True, slots=True)
class OrderCost:
    """What an order and its shipping attempt came to, both together."""

    events: int
    workflow_tasks: int
    activities: int
    of_them_our_own_records: int
    search_attribute_commands: int
    commands: int
    """All that workflow tasks asked of Temporal."""
    billable_actions: int
    transactions: int
    round_trips: int


BUDGET = OrderCost(
    events=71,
    workflow_tasks=12,
    activities=7,
    of_them_our_own_records=4,
    search_attribute_commands=2,
    commands=15,
    billable_actions=14,
    transactions=7,
    round_trips=7,
)
"""Exactly what it costs. The records: RECEIVED and VALIDATED; APPROVED; PAID; and the four that end it, as the carrier
answers at once. The other transactions: the claim of the payment, its outcome, and the note that all is published."""

ORDERS_MAX = 8
"""Where what comes meets what is under way, as on a busy machine, Temporal makes one workflow task of two, or two of
one. So one order out of several has to cost exactly this: the one that nothing came in between for."""

WHAT_TO_DO = (
    "An order costs something else than before. Look at what the change added to its life: an activity, a timer, a "
    "signal that is awaited, a record of its own, a statement. Where that is meant, set BUDGET here, and the table of "
    "docs/performance.md, to what it costs now, and say in the commit why it is worth it; where it got cheaper, too."
)

UPSERT = "upsert_workflow_search_attributes"
COMMANDS = (
    "activity_task_scheduled",
    "timer_started",
    "timer_canceled",
    "start_child_workflow_execution_initiated",
    "signal_external_workflow_execution_initiated",
    UPSERT,
    "marker_recorded",
    "workflow_execution_completed",
)


@pytest.fixture
async def traffic(endpoints: Endpoints) -> AsyncIterator[PostgresTraffic]:
    async with PostgresTraffic(f"{endpoints.db_host}:{endpoints.db_port}") as one:
        yield one


@pytest.fixture
async def system(
    endpoints: Endpoints, traffic: PostgresTraffic, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OrderSystem]:
    """A system whose workers go to Postgres by way of the traffic that is counted."""
    host, _, port = traffic.address.rpartition(":")
    async with order_system(endpoints, tmp_path_factory.mktemp("cost"), start=False) as one:
        for task_queue in TASK_QUEUES:
            one.start("worker-" + task_queue, "worker", "--queue", task_queue, DB_HOST=host, DB_PORT=port)
        one.start_bridge()
        await one.wait_until_bridges_own_partitions()
        yield one


async def at_once() -> None:
    """Waits for nothing."""


async def happy_order(system: OrderSystem, *, approved_after: Callable[[], Awaitable[object]] = at_once) -> str:
    """An order that is approved once it waits for that, and whatever else is to be awaited, and comes to its end."""
    order_id = f"o-{secrets.token_hex(6)}"
    await send(system, EventType.ORDER_CREATED, {"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 100})
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
    await approved_after()
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id})
    await system.wait_until_states(order_id, *COMPLETED_PATH)
    await system.client.get_workflow_handle(order_workflow_id(order_id)).result()
    return order_id


async def counted(system: OrderSystem, order_id: str, database: Cost) -> OrderCost:
    """Counts an order's histories.

    Billable actions as https://docs.temporal.io/cloud/actions counts them (read 2026-11-26): each start, by a signal or
    a parent; each further signal; and each timer, activity and upsert of search attributes.
    """
    kinds: Counter[str] = Counter()
    activities: Counter[str] = Counter()
    for workflow_id in (order_workflow_id(order_id), shipping_workflow_id(order_id, 1)):
        history = await system.client.get_workflow_handle(workflow_id).fetch_history()
        for event in history.events:
            kinds[(event.WhichOneof("attributes") or "").removesuffix("_event_attributes")] += 1
            activities[event.activity_task_scheduled_event_attributes.activity_type.name] += 1
    del activities[""]
    assert {name: count for name, count in activities.items() if name not in OUR_OWN_RECORDS} == EFFECTS
    # The first signal came with the start.
    signals = kinds["workflow_execution_signaled"] - 1
    billed = ("workflow_execution_started", "activity_task_scheduled", "timer_started", UPSERT)
    return OrderCost(
        events=kinds.total(),
        workflow_tasks=kinds["workflow_task_started"],
        activities=activities.total(),
        of_them_our_own_records=sum(activities[name] for name in OUR_OWN_RECORDS),
        search_attribute_commands=kinds[UPSERT],
        commands=sum(kinds[kind] for kind in COMMANDS),
        billable_actions=sum(kinds[kind] for kind in billed) + signals,
        transactions=database.transactions,
        round_trips=database.round_trips,
    )


def of_workers(transactions: list[Transaction]) -> list[Transaction]:
    """Those of the worker's stores; who reads for `/metrics` or a command is named otherwise."""
    return [one for one in transactions if one.application == "orders worker"]


def notes(transactions: list[Transaction]) -> list[Transaction]:
    """Those that only say how far orders are published."""
    return [one for one in transactions if one.statements == (MARK_PUBLISHED.text,)]


def without_notes_by_the_clock(transactions: list[Transaction]) -> list[Transaction]:
    """Without what a slow machine adds.

    How far an order is published is written with its next record, or a second later where that has not come by then:
    one more transaction for each wait that took so long. Only the last note belongs to every order: its end waits for
    it.
    """
    by_the_clock = {id(one) for one in notes(transactions)[:-1]}
    return [one for one in transactions if id(one) not in by_the_clock]


@pytest.mark.parametrize("waits", [False, True], ids=["approved at once", "approved after a note by the clock"])
async def test_a_happy_order_costs_what_it_is_allowed_to(
    system: OrderSystem, traffic: PostgresTraffic, *, waits: bool
) -> None:
    await happy_order(system)  # Connections are made, and statements prepared.
    found: list[OrderCost] = []
    while BUDGET not in found and len(found) < ORDERS_MAX:
        before = len(traffic.transactions)

        async def noted(before: int = before) -> None:
            await assert_eventually(lambda: bool(notes(of_workers(traffic.since(before)))), 60.0, "a note by the clock")

        order_id = await happy_order(system, approved_after=noted if waits else at_once)
        all_of_it = of_workers(traffic.since(before))
        its_own = without_notes_by_the_clock(all_of_it)
        assert not waits or len(its_own) < len(all_of_it)
        found.append(await counted(system, order_id, Cost.of(its_own)))
    assert BUDGET in found, f"{WHAT_TO_DO}\nallowed: {asdict(BUDGET)}\nfound: {[asdict(one) for one in found]}"
