"""Activities that move money: at most one charge per payment id, at most one refund and only after a charge."""

from typing import Final

from temporalio import activity

from activities.errors import as_application_errors
from activities.failpoints import Failpoint, Failpoints, NoFailpoints
from activities.giving_up import ProviderAccess, ProviderCalls
from activities.ports import (
    GatewayContractError,
    GatewayPayment,
    GatewayUnavailableError,
    PaymentClaim,
    PaymentGateway,
    PaymentStore,
)
from schemas.activity_io import ChargePayment, ChargeResult, RefundPayment, RefundResult
from schemas.states import PaymentStatus, ReasonCode


class PaymentActivities:
    """Charges and refunds, each idempotent on the payment id."""

    def __init__(self, payments: PaymentStore, gateway: PaymentGateway, failpoints: Failpoints | None = None) -> None:
        self._payments = payments
        self._gateway = gateway
        self.access = ProviderAccess("payment provider")
        """Whether the provider lets us ask it."""
        self._failpoints: Failpoints = failpoints or NoFailpoints()

    @activity.defn
    async def charge_payment(self, charge: ChargePayment) -> ChargeResult:
        """Charges the payment unless that has been done; declines an id that belongs to another order or amount.

        After a crash it is simply repeated: the claim stands, and the outcome of an earlier attempt is looked up
        before the provider is asked again.
        """
        with as_application_errors():
            calls = ProviderCalls(self.access, charge.patience)
            claim = await self._payments.claim(charge)
            if not _is_claim_of(claim, charge):
                return ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_ID_CONFLICT)
            if claim.status is PaymentStatus.PENDING:
                payment = await self._charged(charge, claim, calls)
                _check_charge(payment, claim)
                # A refund may have overtaken this attempt. Then the refund stays recorded, and is the answer.
                claim = await self._record_outcome(claim, payment)
            return _charge_result(claim)

    @activity.defn
    async def refund_payment(self, request: RefundPayment) -> RefundResult:
        """Gives a charge back; where nothing was charged, makes sure that nothing can be any more.

        A charge may still be under way. The gateway decides between the two: it gives the charge back, or declines it
        when it arrives.
        """
        with as_application_errors():
            calls = ProviderCalls(self.access, request.patience)
            claim = await self._payments.claim_void(request.payment_id, request.order_id)
            if claim.order_id != request.order_id:
                # The id is another order's, so nothing of this order was charged under it.
                return RefundResult(status=PaymentStatus.VOIDED)
            if claim.status in (PaymentStatus.PENDING, PaymentStatus.CHARGED):
                claim = await self._record_outcome(claim, await self._given_back(claim, calls))
            refunded = claim.status is PaymentStatus.REFUNDED
            return RefundResult(status=PaymentStatus.REFUNDED if refunded else PaymentStatus.VOIDED)

    async def _known(self, claim: PaymentClaim) -> GatewayPayment | None:
        """The payment of an earlier attempt whose answer never arrived; None where it never reached the provider.

        Raises:
            GatewayUnavailableError: the provider is still working on it.
        """
        known = await self._gateway.look_up(claim.payment_id)
        if known is not None and known.status is PaymentStatus.PENDING:
            raise GatewayUnavailableError("the provider is still working on the payment")
        return known

    async def _charged(self, charge: ChargePayment, claim: PaymentClaim, calls: ProviderCalls) -> GatewayPayment:
        """The payment after its charge, which an earlier attempt may have made already."""
        async with calls.made():
            known = None if claim.is_new else await self._known(claim)
            payment = known or await self._gateway.charge(charge)
        if known is None:
            await self._failpoints.reach(Failpoint.AFTER_CHARGE)
        return payment

    async def _given_back(self, claim: PaymentClaim, calls: ProviderCalls) -> GatewayPayment:
        """The payment after its refund or void, which an earlier attempt may have made already."""
        async with calls.made():
            known = await self._gateway.look_up(claim.payment_id)
            is_given_back = known is not None and known.status in _GIVEN_BACK
            payment = known if known and is_given_back else await self._gateway.refund(claim.payment_id)
        if not is_given_back:
            await self._failpoints.reach(Failpoint.AFTER_REFUND)
        _check_refund(payment, claim, known)
        return payment

    async def _record_outcome(self, claim: PaymentClaim, payment: GatewayPayment) -> PaymentClaim:
        recorded = await self._payments.record_outcome(claim.payment_id, payment.status, payment.reason)
        await self._failpoints.reach(Failpoint.AFTER_PAYMENT_RECORDED)
        return recorded


_GIVEN_BACK: Final = (PaymentStatus.REFUNDED, PaymentStatus.VOIDED)


def _is_claim_of(claim: PaymentClaim, charge: ChargePayment) -> bool:
    claimed = (claim.order_id, claim.amount, claim.currency)
    return claimed == (charge.order_id, charge.amount, charge.currency)


def _check_charge(payment: GatewayPayment, claim: PaymentClaim) -> None:
    """Makes sure that the provider charged the claimed payment, with its amount and currency.

    Raises:
        GatewayContractError: the provider answered of another payment, amount or currency.
    """
    # A payment that was voided before it was ever charged has no amount.
    same_money = _money_of(payment) == _money_of(claim) or payment.status is PaymentStatus.VOIDED
    if payment.payment_id != claim.payment_id or not same_money:
        raise GatewayContractError("the provider answered with another payment, amount or currency than was asked")


def _check_refund(payment: GatewayPayment, claim: PaymentClaim, known: GatewayPayment | None) -> None:
    """Makes sure that the whole charge was given back.

    Args:
        payment: the provider's answer.
        claim: our own record, with the amount that was charged, or may have been.
        known: the provider's record before it was asked; None where it had none. Of a charge whose answer never arrived
            it has the amount.

    Raises:
        GatewayContractError: a charge was not given back, or with another amount; a person has to look.
    """
    provider_charged = known is not None and known.status is PaymentStatus.CHARGED
    if payment.status is PaymentStatus.VOIDED and (claim.status is PaymentStatus.CHARGED or provider_charged):
        raise GatewayContractError("the provider says that a payment was never charged, though it had been")
    charged = known if known is not None and claim.status is PaymentStatus.PENDING else claim
    if payment.status is PaymentStatus.REFUNDED and _money_of(payment) != _money_of(charged):
        raise GatewayContractError("the provider gave back another amount or currency than was charged")


def _money_of(payment: GatewayPayment | PaymentClaim) -> tuple[int, str]:
    return payment.amount, payment.currency


def _charge_result(claim: PaymentClaim) -> ChargeResult:
    if claim.status is PaymentStatus.CHARGED:
        return ChargeResult(status=PaymentStatus.CHARGED)
    if claim.status is PaymentStatus.DECLINED:
        return ChargeResult(status=PaymentStatus.DECLINED, reason=claim.reason or ReasonCode.CARD_DECLINED)
    # Voided or given back meanwhile: the id is used up.
    return ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
