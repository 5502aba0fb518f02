"""Payments as tests ask and answer them."""

import json

from schemas.activity_io import ChargePayment, RefundPayment


def refund_of(charge: ChargePayment) -> RefundPayment:
    """What asks for the charge back."""
    return RefundPayment(order_id=charge.order_id, payment_id=charge.payment_id)


def body_of(charge: ChargePayment, status: str, **other: object) -> str:
    """The fault that answers 200 with this payment in another state, or with other fields."""
    payment = charge.model_dump(include={"payment_id", "amount", "currency"})
    return "body:" + json.dumps(payment | {"status": status} | other)
