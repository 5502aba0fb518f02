"""Payments in Postgres: one row for each payment id, ever. Every change is one statement that answers with the row."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import rows
from activities.adapters.postgres.driver import fetch
from activities.adapters.postgres.statements import Statement
from activities.ports import PaymentClaim, PaymentStore
from schemas.activity_io import ChargePayment
from schemas.states import PaymentStatus, ReasonCode

NO_CURRENCY: Final = "XXX"
"""ISO 4217's code where no currency is involved: the currency of an id that was voided before anybody claimed it."""


class PostgresPaymentStore(PaymentStore):
    """The port's implementation on a SQLAlchemy engine, which is the caller's to dispose of."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, charge: ChargePayment) -> PaymentClaim:
        """The primary key decides between orders that claim one id at once."""
        return await self._claim(
            payment_id=charge.payment_id,
            order_id=charge.order_id,
            status=PaymentStatus.PENDING,
            amount=charge.amount,
            currency=charge.currency,
        )

    async def record_outcome(self, payment_id: str, status: PaymentStatus, reason: ReasonCode | None) -> PaymentClaim:
        """The row's own state decides whether it moves, so that two outcomes at once cannot undo each other."""
        values = {
            "payment_id": payment_id,
            "status": status.value,
            "reason": None if reason is None else reason.value,
            "movable": _may_become(status),
        }
        moved = await fetch(self._engine, _RECORD_OUTCOME, values)
        return claim_of(moved[0]) if moved else await self._existing(payment_id)

    async def claim_void(self, payment_id: str, order_id: str) -> PaymentClaim:
        """See the port."""
        return await self._claim(
            payment_id=payment_id,
            order_id=order_id,
            status=PaymentStatus.VOIDED,
            amount=0,
            currency=NO_CURRENCY,
        )

    async def find(self, payment_id: str) -> PaymentClaim | None:
        """See the port."""
        found = await fetch(self._engine, _FIND, {"payment_id": payment_id})
        return claim_of(found[0]) if found else None

    async def _claim(
        self, *, payment_id: str, order_id: str, status: PaymentStatus, amount: int, currency: str
    ) -> PaymentClaim:
        values = {
            "payment_id": payment_id,
            "order_id": order_id,
            "status": status.value,
            "amount": amount,
            "currency": currency,
        }
        claimed = await fetch(self._engine, _CLAIM, values)
        # None where another claim was committed while this statement ran, which sees what was there before.
        return claim_of(claimed[0], is_new=claimed[0]["is_new"]) if claimed else await self._existing(payment_id)

    async def _existing(self, payment_id: str) -> PaymentClaim:
        claim = await self.find(payment_id)
        if claim is None:
            raise LookupError("the payment id was never claimed")
        return claim


_COLUMNS: Final = "payment_id, order_id, amount, currency, status, reason"
# The texts that are put together are ours.
_CLAIM: Final = Statement.of(
    f"""
    WITH made AS (
        INSERT INTO payments (payment_id, order_id, status, amount, currency)
        VALUES (:payment_id, :order_id, :status, :amount, :currency)
        ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
    )
    SELECT {_COLUMNS}, true AS is_new FROM made
    UNION ALL
    SELECT {_COLUMNS}, false FROM payments WHERE payment_id = :payment_id AND NOT EXISTS (SELECT FROM made)
    """  # noqa: S608
)
_RECORD_OUTCOME: Final = Statement.of(
    f"""
    UPDATE payments SET status = :status, reason = :reason, updated_at = now()
    WHERE payment_id = :payment_id AND status = ANY(CAST(:movable AS text[]))
    RETURNING {_COLUMNS}
    """  # noqa: S608
)
_FIND: Final = Statement.of(f"SELECT {_COLUMNS} FROM payments WHERE payment_id = :payment_id")  # noqa: S608


def _may_become(status: PaymentStatus) -> list[str]:
    """From which states: pending becomes anything, charged is given back; every other state is the last."""
    if status in (PaymentStatus.REFUNDED, PaymentStatus.VOIDED):
        return [PaymentStatus.PENDING.value, PaymentStatus.CHARGED.value]
    return [PaymentStatus.PENDING.value]


def claim_of(row: rows.Columns, *, is_new: bool = False) -> PaymentClaim:
    """A row of `payments` as the port has it."""
    return PaymentClaim(
        payment_id=row["payment_id"],
        order_id=row["order_id"],
        amount=row["amount"],
        currency=row["currency"],
        status=PaymentStatus(row["status"]),
        reason=rows.reason_of(row["reason"]),
        is_new=is_new,
    )
