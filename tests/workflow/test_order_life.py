"""An order's life: the straight road and each branch."""

from schemas.states import OrderState
from tests.workflow.bench import APPROVED, CREATED, Bench

STRAIGHT_ROAD = [
    "RECEIVED",
    "VALIDATED",
    "APPROVED",
    "PAID",
    "PACKAGE_PREPARED",
    "CARRIER_DISPATCHED",
    "SHIPPED",
    "COMPLETED",
]


async def test_an_approved_order_is_charged_shipped_and_completed(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert (result.state, result.reason, result.last_sequence) == (OrderState.COMPLETED, None, 8)
    assert result.tracking_id == f"track-{order_id}"
    assert bench.story(order_id) == STRAIGHT_ROAD
