"""I19: an order gives up on a provider for what the provider did, and for nothing of ours."""

from datetime import timedelta

import pytest

from activities.ports import (
    DatabaseUnavailableError,
    GatewayContractError,
    GatewayNotAskedError,
    GatewayUnavailableError,
)
from schemas.states import OrderState, ReasonCode
from tests.helpers.fakes import Unreliable
from tests.workflow.test_order_life import STRAIGHT_ROAD
from tests.workflow.workbench.bench import APPROVED, CREATED, Bench

ALLOWED = timedelta(seconds=30)
AN_HOUR = timedelta(hours=1)
OURS = {
    "a wrong key": GatewayNotAskedError("the provider refuses the key (401): set PAYMENT_GATEWAY_API_KEY"),
    "a defect": KeyError("a defect"),
    "an answer that nobody understands": GatewayContractError("the provider's answer is not understood"),
    "an outage of the sandbox's own database": DatabaseUnavailableError("the database does not answer"),
}
CALLS = ["look_up", "charge", "prepare", "dispatch"]


def port_of(bench: Bench, call: str) -> Unreliable:
    return bench.carrier if call in ("prepare", "dispatch") else bench.gateway


async def is_completed_at_the_first_try(bench: Bench, order_id: str) -> None:
    result = await bench.result(order_id)
    assert (result.state, result.reason) == (OrderState.COMPLETED, None)
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert (await bench.status(order_id)).shipping_attempt == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", OURS)
async def test_what_is_ours_is_waited_for(bench: Bench, order_id: str, call: str, what: str) -> None:
    bench.new_policy(provider_time_allowed=ALLOWED)
    if call == "look_up":
        bench.gateway.lose_next_answers(1, "charge")
    port_of(bench, call).fail_next(30, call, OURS[what])
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await is_completed_at_the_first_try(bench, order_id)


@pytest.mark.parametrize("method", ["claim", "record_outcome"])
async def test_postgres_away_in_the_middle_of_a_charge_is_waited_for(bench: Bench, order_id: str, method: str) -> None:
    bench.new_policy(provider_time_allowed=ALLOWED)
    bench.payments.fail_next(30, method)
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await is_completed_at_the_first_try(bench, order_id)


async def test_a_provider_that_fails_in_turns_with_our_own_database_is_given_up_for_its_own_part_alone(
    bench: Bench, order_id: str
) -> None:
    bench.new_policy(provider_time_allowed=ALLOWED)
    for _ in range(40):
        bench.payments.fail_next(9, "claim", DatabaseUnavailableError("the database does not answer"))
        bench.payments.fail_next(0, "claim", after=1)
    bench.gateway.fail_next(100, "look_up")
    bench.gateway.fail_next(1, "charge")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).reason is ReasonCode.PAYMENT_OUTCOME_UNKNOWN
    assert bench.payments.calls["claim"] > 30


@pytest.mark.parametrize("call", ["charge", "prepare"])
async def test_a_provider_is_given_up_when_the_time_allowed_is_over_and_not_before(
    bench: Bench, order_id: str, call: str
) -> None:
    bench.new_policy(provider_time_allowed=AN_HOUR, shipping_attempts=1)
    port_of(bench, call).fail_next(10_000, call, GatewayUnavailableError("the provider did not answer in time"))
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    assert result.state is (OrderState.PAYMENT_DECLINED if call == "charge" else OrderState.REFUNDED)
    times = {event.state: event.occurred_at for event in bench.events(order_id)}
    begun, given_up = (
        (OrderState.APPROVED, OrderState.PAYMENT_DECLINED)
        if call == "charge"
        else (OrderState.PAID, OrderState.SHIPPING_FAILED)
    )
    assert AN_HOUR <= times[given_up] - times[begun] < AN_HOUR + timedelta(minutes=1)
