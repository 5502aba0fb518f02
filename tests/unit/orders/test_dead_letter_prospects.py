"""What a dead letter would do to its order, by the workflow's own rules."""

from datetime import UTC, datetime

import pytest

from orders.operations.dead_letters.prospects import Effect, effect_on
from schemas.activity_io import EventOutcome
from schemas.event_types import EventType
from schemas.states import InboundOutcome, OrderState, ReasonCode

CREATED, APPROVED, CANCELLED = EventType.ORDER_CREATED, EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED


@pytest.mark.parametrize(
    ("event_type", "state", "effect", "reason"),
    [
        (CREATED, None, Effect.STARTS, None),
        (APPROVED, None, Effect.HELD, None),
        (CREATED, OrderState.VALIDATED, Effect.REFUSED, ReasonCode.DUPLICATE_ORDER),
        (APPROVED, OrderState.RECEIVED, Effect.HELD, None),
        (APPROVED, OrderState.VALIDATED, Effect.APPLIED, None),
        (APPROVED, OrderState.APPROVED, Effect.REFUSED, ReasonCode.ALREADY_APPROVED),
        (CANCELLED, OrderState.PAID, Effect.REFUSED, ReasonCode.ALREADY_CHARGED),
        (CANCELLED, OrderState.COMPLETED, Effect.REFUSED, ReasonCode.ORDER_CLOSED),
        (APPROVED, OrderState.EXPIRED, Effect.REFUSED, ReasonCode.ORDER_CLOSED),
    ],
)
def test_an_event_does_what_the_order_s_step_makes_of_it(
    event_type: EventType, state: OrderState | None, effect: Effect, reason: ReasonCode | None
) -> None:
    assert effect_on(event_type, state, None) == (effect, reason)


def test_an_event_that_was_decided_does_nothing_more() -> None:
    decided = EventOutcome(
        event_id="e",
        type=APPROVED.value,
        outcome=InboundOutcome.REJECTED,
        reason=ReasonCode.STALE,
        at=datetime.now(UTC),
    )
    assert effect_on(APPROVED, OrderState.VALIDATED, decided) == (Effect.DUPLICATE, None)


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("event_type", EventType)
def test_every_event_in_every_state_has_an_answer(event_type: EventType, state: OrderState) -> None:
    effect, reason = effect_on(event_type, state, None)
    assert (effect is Effect.REFUSED) == (reason is not None)
