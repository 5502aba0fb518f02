"""Activities that move money: at most one charge per payment id, at most one refund and only after a charge."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import GATEWAY_UNAVAILABLE
from activities.ports import GatewayUnavailableError, PaymentGateway, PaymentStore
from schemas.orchestration import ChargePayment, ChargeResult, RefundPayment, RefundResult
from schemas.states import PaymentStatus, ReasonCode


class PaymentActivities:
    """Charges and refunds, each idempotent on the payment id."""

    def __init__(self, payments: PaymentStore, gateway: PaymentGateway) -> None:
        self._payments = payments
        self._gateway = gateway

    @activity.defn
    async def charge_payment(self, charge: ChargePayment) -> ChargeResult:
        """Charges the payment unless that has been done; declines an id that belongs to another order or amount."""
        claim = await self._payments.claim(charge)
        if (claim.order_id, claim.amount, claim.currency) != (
            charge.order_id,
            charge.amount,
            charge.currency,
        ):
            return ChargeResult(status=PaymentStatus.DECLINED, reason=ReasonCode.PAYMENT_ID_CONFLICT)
        if claim.status is PaymentStatus.CHARGED:
            return ChargeResult(status=claim.status)
        if claim.status is not PaymentStatus.PENDING:
            return ChargeResult(status=PaymentStatus.DECLINED, reason=claim.reason or ReasonCode.CARD_DECLINED)
        try:
            payment = await self._gateway.charge(charge)
        except GatewayUnavailableError as error:
            raise ApplicationError(str(error), type=GATEWAY_UNAVAILABLE) from error
        await self._payments.settle(charge.payment_id, payment.status, payment.reason)
        return ChargeResult(status=payment.status, reason=payment.reason)

    @activity.defn
    async def refund_payment(self, request: RefundPayment) -> RefundResult:
        """Gives a charge back; where nothing was charged, makes sure that nothing can be any more."""
        claim = await self._payments.find(request.payment_id)
        if claim is None or claim.order_id != request.order_id:
            return RefundResult(status=PaymentStatus.VOIDED)
        if claim.status in (PaymentStatus.REFUNDED, PaymentStatus.VOIDED):
            return RefundResult(status=claim.status)
        if claim.status is PaymentStatus.DECLINED:
            return RefundResult(status=PaymentStatus.VOIDED)
        try:
            payment = await self._gateway.refund(request.payment_id)
        except GatewayUnavailableError as error:
            raise ApplicationError(str(error), type=GATEWAY_UNAVAILABLE) from error
        await self._payments.settle(request.payment_id, payment.status, payment.reason)
        return RefundResult(status=payment.status)
