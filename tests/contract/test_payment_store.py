"""What every `PaymentStore` does: the one in memory and the one on Postgres."""

import asyncio
import itertools
import secrets
from functools import partial

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresPaymentStore
from activities.ports import PaymentClaim, PaymentStore
from schemas.activity_io import ChargePayment
from schemas.states import PaymentStatus, ReasonCode
from tests.helpers.fakes import InMemoryPaymentStore
from tests.helpers.patience import patiently

ALLOWED = {
    PaymentStatus.PENDING: set(PaymentStatus),
    PaymentStatus.CHARGED: {PaymentStatus.CHARGED, PaymentStatus.REFUNDED, PaymentStatus.VOIDED},
    PaymentStatus.DECLINED: {PaymentStatus.DECLINED},
    PaymentStatus.REFUNDED: {PaymentStatus.REFUNDED},
    PaymentStatus.VOIDED: {PaymentStatus.VOIDED},
}


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> PaymentStore:
    if request.param == "memory":
        return InMemoryPaymentStore()
    engine: AsyncEngine = request.getfixturevalue("engine")
    return PostgresPaymentStore(engine)


@pytest.fixture
def charge() -> ChargePayment:
    return ChargePayment(order_id="o-1", payment_id=f"p-{secrets.token_hex(6)}", amount=1250, currency="EUR")


async def test_an_id_that_was_never_claimed_is_not_found(store: PaymentStore, charge: ChargePayment) -> None:
    assert await store.find(charge.payment_id) is None
    with pytest.raises(LookupError):
        await store.record_outcome(charge.payment_id, PaymentStatus.CHARGED, None)


async def test_a_claim_is_pending_and_stays_with_its_order(store: PaymentStore, charge: ChargePayment) -> None:
    first = await store.claim(charge)
    other = await store.claim(charge.model_copy(update={"order_id": "o-2", "amount": 1, "currency": "USD"}))

    assert first == PaymentClaim(
        payment_id=charge.payment_id, order_id="o-1", amount=1250, currency="EUR", status=PaymentStatus.PENDING
    )
    assert other == first == await store.find(charge.payment_id)
    assert (first.is_new, other.is_new) == (True, False)


async def test_of_orders_that_claim_one_id_at_once_one_wins(store: PaymentStore, charge: ChargePayment) -> None:
    claims = [charge.model_copy(update={"order_id": f"o-{number}"}) for number in range(20)]

    owners = {
        claim.order_id for claim in await asyncio.gather(*(patiently(partial(store.claim, one)) for one in claims))
    }

    assert len(owners) == 1


@pytest.mark.parametrize(("before", "after"), list(itertools.product(PaymentStatus, PaymentStatus)))
async def test_what_is_recorded_of_a_payment_moves_forward_only(
    store: PaymentStore, charge: ChargePayment, before: PaymentStatus, after: PaymentStatus
) -> None:
    await store.claim(charge)
    await store.record_outcome(charge.payment_id, before, None)

    claim = await store.record_outcome(charge.payment_id, after, None)

    assert claim.status is (after if after in ALLOWED[before] else before)
    assert claim == await store.find(charge.payment_id)


async def test_the_reason_of_a_refusal_is_kept(store: PaymentStore, charge: ChargePayment) -> None:
    await store.claim(charge)

    claim = await store.record_outcome(charge.payment_id, PaymentStatus.DECLINED, ReasonCode.CARD_DECLINED)

    assert (claim.status, claim.reason) == (PaymentStatus.DECLINED, ReasonCode.CARD_DECLINED)
    assert claim == await store.claim(charge)


async def test_an_id_that_is_voided_before_it_is_claimed_can_never_be(
    store: PaymentStore, charge: ChargePayment
) -> None:
    voided = await store.claim_void(charge.payment_id, "o-1")

    assert (voided.status, voided.order_id) == (PaymentStatus.VOIDED, "o-1")
    assert await store.claim(charge) == voided
    assert await store.record_outcome(charge.payment_id, PaymentStatus.CHARGED, None) == voided


async def test_voiding_leaves_a_claim_as_it_is(store: PaymentStore, charge: ChargePayment) -> None:
    claim = await store.claim(charge)

    assert await store.claim_void(charge.payment_id, "o-2") == claim
