"""Payments in Postgres: one row for each payment id, ever."""

from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, RowMapping, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.adapters.postgres import rows
from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.schema import payments
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
        values = charge.model_dump(exclude={"patience"}) | {"status": PaymentStatus.PENDING}
        statement = insert(payments).values(values).on_conflict_do_nothing().returning(payments.c.payment_id)
        async with transaction(self._engine) as connection:
            is_new = (await connection.execute(statement)).one_or_none() is not None
            return replace(await _existing(connection, charge.payment_id), is_new=is_new)

    async def record_outcome(self, payment_id: str, status: PaymentStatus, reason: ReasonCode | None) -> PaymentClaim:
        """The row's own state decides whether it moves, so that two outcomes at once cannot undo each other."""
        statement = (
            update(payments)
            .where(payments.c.payment_id == payment_id, _may_become(status))
            .values(status=status, reason=reason, updated_at=func.now())
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)
            return await _existing(connection, payment_id)

    async def claim_void(self, payment_id: str, order_id: str) -> PaymentClaim:
        """See the port."""
        values = {
            "payment_id": payment_id,
            "order_id": order_id,
            "status": PaymentStatus.VOIDED,
            "amount": 0,
            "currency": NO_CURRENCY,
        }
        async with transaction(self._engine) as connection:
            await connection.execute(insert(payments).values(values).on_conflict_do_nothing())
            return await _existing(connection, payment_id)

    async def find(self, payment_id: str) -> PaymentClaim | None:
        """See the port."""
        async with transaction(self._engine) as connection:
            return await _find(connection, payment_id)


def _may_become(status: PaymentStatus) -> ColumnElement[bool]:
    """Pending becomes anything, charged is given back; every other state is the last."""
    pending = payments.c.status == PaymentStatus.PENDING
    if status in (PaymentStatus.REFUNDED, PaymentStatus.VOIDED):
        return or_(pending, payments.c.status == PaymentStatus.CHARGED)
    return pending


async def _existing(connection: AsyncConnection, payment_id: str) -> PaymentClaim:
    claim = await _find(connection, payment_id)
    if claim is None:
        raise LookupError("the payment id was never claimed")
    return claim


async def _find(connection: AsyncConnection, payment_id: str) -> PaymentClaim | None:
    statement = select(payments).where(payments.c.payment_id == payment_id)
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else claim_of(row)


def claim_of(row: RowMapping) -> PaymentClaim:
    """A row of `payments` as the port has it."""
    return PaymentClaim(
        payment_id=row["payment_id"],
        order_id=row["order_id"],
        amount=row["amount"],
        currency=row["currency"],
        status=PaymentStatus(row["status"]),
        reason=rows.reason_of(row["reason"]),
    )
