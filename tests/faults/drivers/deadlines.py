"""Outages that outlast what an order waits for: its deadline, or the time that a provider is given (I17, I19).

Orders of the campaign itself wait for longer than any outage, so that none is mistaken for a time-out. What is short
here holds for the orders that a fault itself creates: an order keeps the policy of the bridge that has begun it.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from schemas.event_types import EventType
from schemas.states import FINAL_STATES, OrderState
from tests.faults.drivers.outages import Outages
from tests.faults.drivers.watching import OUTAGE_SECONDS
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.waiting import assert_as_long_as_it_moves, patient_seconds

ORDERS = 8
SHORT_SECONDS = 8.0
"""What an order waits for its approval, and a provider may leave it without an outcome."""
OUTLASTED_SECONDS = 1.5 * SHORT_SECONDS
BACKLOG_SECONDS, ONE_THING_SECONDS = max(OUTLASTED_SECONDS, OUTAGE_SECONDS), 0.5
"""How long one worker takes for all the charges of a backlog, and for one of them: a provider's answer is awaited for
longer. ``OUTAGE_MINUTES=120`` makes it a backlog of hours."""
SETTLED_WITHIN_SECONDS = 300.0
"""So that a test ends: nothing is judged by it."""


async def bridge_killed_in_mid_approval(outages: Outages) -> None:
    """I17: the bridge dies before it has handed over approvals, and is back after all the deadlines."""
    system = outages.system
    # The approvals have to be in Kafka by then, also on a busy machine.
    approval_seconds = patient_seconds(SHORT_SECONDS)
    async with bridge_with(outages, ORDER_APPROVAL_TIMEOUT_SECONDS=f"{approval_seconds:g}") as bridge:
        ids = [f"o-{secrets.token_hex(6)}" for _ in range(ORDERS)]
        await _send(outages, EventType.ORDER_CREATED, ids, amount=1250)
        await system.wait_until_drained(SETTLED_WITHIN_SECONDS)
        await bridge.kill9()
        await _send(outages, EventType.ORDER_APPROVED, ids)
        await asyncio.sleep(1.5 * approval_seconds)
    await all_complete(outages, ids)


async def no_workers_for_longer_than_a_provider_is_given(outages: Outages) -> None:
    """I19: the time allowed passes while nobody could have asked the provider."""
    async with bridge_with(outages, ORDER_PROVIDER_TIME_ALLOWED_SECONDS=f"{SHORT_SECONDS:g}"):
        ids = await outages.work.no_workers(OUTLASTED_SECONDS)
    await all_complete(outages, ids)


async def wrong_key_for_longer_than_a_provider_is_given(outages: Outages) -> None:
    """I19: the time allowed passes while the provider takes no question of ours."""
    async with bridge_with(outages, ORDER_PROVIDER_TIME_ALLOWED_SECONDS=f"{SHORT_SECONDS:g}"):
        ids = await outages.work.wrong_key(OUTLASTED_SECONDS)
    await all_complete(outages, ids)


async def a_backlog_of_workers_for_longer_than_everything_is_given(outages: Outages) -> None:
    """I17, I19: of many orders that wait for workers, the last are begun long after every time allowed is over."""
    began = time.monotonic()
    async with (
        bridge_with(
            outages,
            ORDER_APPROVAL_TIMEOUT_SECONDS=f"{SHORT_SECONDS:g}",
            ORDER_EARLY_EVENT_TTL_SECONDS=f"{SHORT_SECONDS:g}",
            ORDER_PROVIDER_TIME_ALLOWED_SECONDS=f"{SHORT_SECONDS:g}",
        ),
        outages.work.one_thing_at_a_time(ONE_THING_SECONDS),
    ):
        ids = await outages.work.send_orders(round(BACKLOG_SECONDS / ONE_THING_SECONDS))
        await all_complete(outages, ids)
        assert time.monotonic() - began > BACKLOG_SECONDS, "the charges alone take as long as that"


@asynccontextmanager
async def bridge_with(outages: Outages, **settings: str) -> AsyncIterator[OrdersProcess]:
    """Another bridge while the block lasts, once everything is handed over; afterwards one as before.

    The block may kill it.
    """
    system = outages.system
    await system.wait_until_drained(SETTLED_WITHIN_SECONDS)
    await system.running("bridge").terminate()
    bridge = outages.start_bridge(expect_end=False, **settings)
    await system.wait_until_bridges_own_partitions()
    yield bridge
    if bridge.exit_status is None:
        await system.wait_until_drained(SETTLED_WITHIN_SECONDS)
        await bridge.terminate()
    outages.start_bridge()
    await system.wait_until_bridges_own_partitions()


async def all_complete(outages: Outages, ids: list[str]) -> None:
    """Waits until these orders are at their ends, and fails unless each is COMPLETED."""
    ends: dict[str, str] = {}
    published = 0

    async def ended() -> bool:
        nonlocal published
        bodies = [json.loads(record.value or b"{}") for record in await outages.system.published()]
        ends.update({body["order_id"]: body["state"] for body in bodies if body.get("state") in FINAL_STATES})
        published = len(bodies)
        return set(ids) <= set(ends)

    await assert_as_long_as_it_moves(
        ended,
        lambda: published,
        SETTLED_WITHIN_SECONDS,
        lambda: f"the ends of {set(ids) - set(ends)}\n{outages.system.log_tails}",
    )
    others = {one: ends[one] for one in ids if ends[one] != OrderState.COMPLETED}
    assert not others, f"ended by an outage: {others}"


async def _send(outages: Outages, event_type: EventType, ids: list[str], **fields: object) -> None:
    topic = outages.system.topic_of(event_type)
    own = {"payment_id": "p-{}"} if event_type is EventType.ORDER_CREATED else {}
    messages = [
        message_of(event_type, {"order_id": one, **{name: text.format(one) for name, text in own.items()}, **fields})
        for one in ids
    ]
    await outages.system.produce(Outgoing(topic, message.value, message.key) for message in messages)


FAULTS: dict[str, Callable[[Outages], Awaitable[None]]] = {
    "bridge killed in mid-approval": bridge_killed_in_mid_approval,
    "no workers for longer than a provider is given": no_workers_for_longer_than_a_provider_is_given,
    "a wrong key for longer than a provider is given": wrong_key_for_longer_than_a_provider_is_given,
    "a backlog of workers for longer than everything is given": (
        a_backlog_of_workers_for_longer_than_everything_is_given
    ),
}
