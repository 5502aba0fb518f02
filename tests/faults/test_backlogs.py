"""The bridge is killed while most of an order's backlog is deferred: nothing is lost, doubled, or out of order."""

import secrets
from pathlib import Path
from typing import Any

from bridge.failpoints import Failpoint
from schemas.event_types import EventType
from stack import Endpoints
from tests.faults.drivers.outages import send_a_bad_record, send_orders_to_cancel
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.messages.kafka_io import Outgoing, remove_members
from tests.helpers.messages.messages import message_of
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import OrderSystem, order_system

BACKLOG, OTHERS, KILLS = 300, 20, (60, 120, 80)
"""Address updates of one order, orders beside it, and at which call of theirs the bridge is killed."""
STRUCK_WITHIN_SECONDS = 60.0
SIGKILLED = -9


async def send_a_backlog(system: OrderSystem) -> str:
    """An order, and so many changes of its address in one partition."""
    order_id = f"o-{secrets.token_hex(6)}"
    bodies: list[dict[str, Any]] = [
        {"order_id": order_id, "event_id": f"{order_id}-{number}", "address": {"city": f"City {number}"}}
        for number in range(BACKLOG)
    ]
    events: list[tuple[EventType, dict[str, Any]]] = [
        (EventType.ORDER_CREATED, {"order_id": order_id, "payment_id": f"p-{order_id}"}),
        *((EventType.ORDER_ADDRESS_UPDATED, body) for body in bodies),
        (EventType.ORDER_CANCELLED, {"order_id": order_id}),
    ]
    made = [(kind, message_of(kind, body)) for kind, body in events]
    await system.produce(Outgoing(system.topic_of(kind), message.value, message.key) for kind, message in made)
    return order_id


async def test_kill_9_with_a_deferred_backlog_loses_nothing_and_doubles_nothing(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    """I1 to I8, with a room that the backlog fills ten times over."""
    async with order_system(
        endpoints,
        tmp_path,
        BRIDGE_COMMIT_INTERVAL_SECONDS="0.2",
        BRIDGE_RECORDS_HELD_MAX="32",
        BRIDGE_LANE_RECORDS_MAX="4",
        ORDER_APPROVAL_TIMEOUT_SECONDS="900",
        ORDER_EARLY_EVENT_TTL_SECONDS="900",
    ) as system:
        await system.running("bridge").terminate()
        await send_a_backlog(system)
        await send_orders_to_cancel(system, OTHERS)
        await send_a_bad_record(system)
        struck: list[OrdersProcess] = []
        for hit in KILLS:
            bridge = system.start_bridge(FAILPOINTS=f"{Failpoint.BEFORE_CALL}:kill@{hit}", expect_end=True)
            await bridge.wait_until_ended(STRUCK_WITHIN_SECONDS)
            struck.append(bridge)
            await remove_members(system.endpoints.kafka_bootstrap_servers, system.group_id)
            assert_no_violations(await system.evidence(), drained=False)
        assert [bridge.exit_status for bridge in struck] == [SIGKILLED] * len(KILLS)
        system.start_bridge()
        await system.wait_until_drained()
        await system.wait_until_idle()
        assert_no_violations(await system.evidence(), drained=True)
