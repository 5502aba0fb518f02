"""The transitions of each step, written out a second time, and where a run goes on that finds an order in a state."""

import pytest

from schemas.states import OrderState, OrderStep
from workflows.life.steps import NEXT_STEPS, STEPS

TABLE = """
RECEIVING                 nothing             RECEIVED
VALIDATING                RECEIVED            VALIDATED REJECTED CANCELLED
AWAITING_MANUAL_APPROVAL  VALIDATED           APPROVED CANCELLED EXPIRED
AWAITING_MANUAL_APPROVAL  APPROVED            CANCELLED
CHARGING_PAYMENT          APPROVED            PAID PAYMENT_DECLINED
SHIPPING                  PAID                PACKAGE_PREPARED SHIPPING_FAILED
SHIPPING                  PACKAGE_PREPARED    CARRIER_DISPATCHED SHIPPING_FAILED
REFUNDING_PAYMENT         SHIPPING_FAILED     REFUNDED
MARKING_SHIPPED           CARRIER_DISPATCHED  SHIPPED
MARKING_SHIPPED           SHIPPED             COMPLETED
"""
WRITTEN = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("step", OrderStep)
def test_a_step_makes_these_transitions_and_no_others(step: OrderStep) -> None:
    found = {before or "nothing": list(after) for before, after in STEPS[step].transitions.items()}
    assert found == {before: after for name, before, *after in WRITTEN if name == step}


def test_a_run_goes_on_at_the_last_step_that_knows_the_state_it_finds() -> None:
    """The ended run may have scheduled what the later step does: of an approved order, the charge."""
    assert NEXT_STEPS == {
        OrderState.RECEIVED: OrderStep.VALIDATING,
        OrderState.VALIDATED: OrderStep.AWAITING_MANUAL_APPROVAL,
        OrderState.APPROVED: OrderStep.CHARGING_PAYMENT,
        OrderState.PAID: OrderStep.SHIPPING,
        OrderState.PACKAGE_PREPARED: OrderStep.SHIPPING,
        OrderState.SHIPPING_FAILED: OrderStep.REFUNDING_PAYMENT,
        OrderState.CARRIER_DISPATCHED: OrderStep.MARKING_SHIPPED,
        OrderState.SHIPPED: OrderStep.MARKING_SHIPPED,
    }
