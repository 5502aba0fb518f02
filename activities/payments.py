"""Activities that move money: at most one charge per payment id, at most one refund and only after a charge."""

from temporalio import activity

from activities.errors import told_to_temporal
from activities.failpoints import Failpoint, Failpoints
from activities.ports import GatewayContractError, GatewayPayment, PaymentClaim, PaymentGateway, PaymentStore
from schemas.orchestration import ChargePayment, ChargeResult, RefundPayment, RefundResult
from schemas.states import PaymentStatus, ReasonCode


class PaymentActivities:
    """Charges and refunds, each idempotent on the payment id."""

    def __init__(self, payments: PaymentStore, gateway: PaymentGateway, failpoints: Failpoints | None = None) -> None:
        self._payments = payments
        self._gateway = gateway
        self._failpoints = failpoints or Failpoints()

    @activity.defn
    async def charge_payment(self, charge: ChargePayment) -> ChargeResult:
        """Charges the payment unless that has been done; declines an id that belongs to another order or amount.

        After a crash anywhere it is repeated as it is: the claim stands, and the gateway answers a repeat with what
        the first call came to.
        """
        with told_to_temporal():
            claim = await self._payments.claim(charge)
            if not _is_claim_of(claim, charge):
                return ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_ID_CONFLICT)
            if claim.status is PaymentStatus.PENDING:
                payment = await self._gateway.charge(charge)
                await self._failpoints.reach(Failpoint.AFTER_CHARGE)
                _check_answer(payment, charge)
                # A refund may have overtaken this attempt: what is recorded then stands, and is the answer.
                claim = await self._payments.settle(charge.payment_id, payment.status, payment.reason)
                await self._failpoints.reach(Failpoint.AFTER_SETTLEMENT)
            return _charge_result(claim)

    @activity.defn
    async def refund_payment(self, request: RefundPayment) -> RefundResult:
        """Gives a charge back; where nothing was charged, makes sure that nothing can be any more.

        The gateway decides between a charge still under way and this: it either gives that charge back, or declines it
        when it arrives.
        """
        with told_to_temporal():
            claim = await self._payments.claim_void(request.payment_id, request.order_id)
            if claim.order_id != request.order_id:
                # The id is another order's, so nothing of this order was charged under it.
                return RefundResult(status=PaymentStatus.VOIDED)
            if claim.status in (PaymentStatus.PENDING, PaymentStatus.CHARGED):
                payment = await self._gateway.refund(request.payment_id)
                await self._failpoints.reach(Failpoint.AFTER_REFUND)
                claim = await self._payments.settle(request.payment_id, payment.status, payment.reason)
            refunded = claim.status is PaymentStatus.REFUNDED
            return RefundResult(status=PaymentStatus.REFUNDED if refunded else PaymentStatus.VOIDED)


def _is_claim_of(claim: PaymentClaim, charge: ChargePayment) -> bool:
    claimed = (claim.order_id, claim.amount, claim.currency)
    return claimed == (charge.order_id, charge.amount, charge.currency)


def _check_answer(payment: GatewayPayment, charge: ChargePayment) -> None:
    """Makes sure that what was charged is what was asked.

    Raises:
        GatewayContractError: it is not.
    """
    same_money = (payment.amount, payment.currency) == (charge.amount, charge.currency)
    # A payment that was voided before it was ever charged has no amount.
    same_money = same_money or payment.status is PaymentStatus.VOIDED
    if payment.payment_id != charge.payment_id or not same_money:
        raise GatewayContractError("the provider answered with another payment, amount or currency than was asked")


def _charge_result(claim: PaymentClaim) -> ChargeResult:
    if claim.status is PaymentStatus.CHARGED:
        return ChargeResult(status=PaymentStatus.CHARGED)
    if claim.status is PaymentStatus.DECLINED:
        return ChargeResult(status=PaymentStatus.DECLINED, reason=claim.reason or ReasonCode.CARD_DECLINED)
    # Voided or given back meanwhile: the id is used up.
    return ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_OUTCOME_UNKNOWN)
