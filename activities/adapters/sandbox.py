"""The embedded payment provider and carrier: no money moves and nothing ships, for a first run without any provider.

They play another company: their books are tables of their own, which outlive our processes and are shared by all. The
books are in our database all the same: its outages are raised as such, and no order is given up for them (I19).
Magic values, in the manner of payment providers' test modes:

=====================  ==================================================================================
``payment_id``         ``decline-…`` is declined; ``slow-…`` is charged, but the answer to the first call is lost
``zip_code``           ``FAIL0`` is never shipped; ``FLAKY`` is shipped at the third attempt
=====================  ==================================================================================
"""

from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.adapters.postgres import rows
from activities.adapters.postgres.driver import fetch
from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.payments import NO_CURRENCY
from activities.adapters.postgres.schema import sandbox_ledger, sandbox_payments
from activities.adapters.postgres.statements import Statement
from activities.ports import (
    CarrierGateway,
    GatewayPayment,
    GatewayUnavailableError,
    PaymentGateway,
    ShipmentRefusedError,
)
from schemas.activity_io import ChargePayment
from schemas.order import Address
from schemas.states import PaymentStatus, ReasonCode

DECLINED_PREFIX: Final = "decline-"
SLOW_PREFIX: Final = "slow-"
NEVER_SHIPS_ZIP_CODE: Final = "FAIL0"
FLAKY_ZIP_CODE: Final = "FLAKY"
FLAKY_SHIPS_AT_ATTEMPT: Final = 3


class SandboxPaymentGateway(PaymentGateway):
    """The embedded payment provider; `sandbox_ledger` has a row for each movement of money."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def charge(self, charge: ChargePayment) -> GatewayPayment:
        """See the port. The first call with an id decides whether a magic value applies."""
        declined = charge.payment_id.startswith(DECLINED_PREFIX)
        new = {
            "payment_id": charge.payment_id,
            "status": (PaymentStatus.DECLINED if declined else PaymentStatus.CHARGED).value,
            "amount": charge.amount,
            "currency": charge.currency,
            "reason": ReasonCode.CARD_DECLINED.value if declined else None,
        }
        # No row where another call was committed while this statement ran, which sees what was there before.
        found = await fetch(self._engine, _CHARGE, new) or await fetch(self._engine, _CHARGE, new)
        is_first = found[0]["is_first"]
        if is_first and charge.payment_id.startswith(SLOW_PREFIX):
            raise GatewayUnavailableError("the provider did not answer in time; whether it charged is unknown")
        return _gateway_payment(found[0])

    async def refund(self, payment_id: str) -> GatewayPayment:
        """See the port."""
        unknown = {"payment_id": payment_id, "status": PaymentStatus.VOIDED, "amount": 0, "currency": NO_CURRENCY}
        async with transaction(self._engine) as connection:
            await _open(connection, unknown)
            payment = await _payment(connection, payment_id)
            if payment.status is PaymentStatus.CHARGED:
                await _enter(connection, "refund", payment)
                await _become(connection, payment_id, PaymentStatus.REFUNDED)
            elif payment.status is PaymentStatus.DECLINED:
                await _become(connection, payment_id, PaymentStatus.VOIDED)
            return await _payment(connection, payment_id)

    async def look_up(self, payment_id: str) -> GatewayPayment | None:
        """See the port."""
        found = await fetch(self._engine, _LOOK_UP, {"payment_id": payment_id})
        return _gateway_payment(found[0]) if found else None


class SandboxCarrierGateway(CarrierGateway):
    """The embedded carrier."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self, order_id: str, address: Address, attempt: int) -> str:  # noqa: ARG002 # The port's.
        """See the port."""
        await fetch(self._engine, _PREPARE, _shipment(order_id, address))
        return _package_id(order_id)

    async def dispatch(self, order_id: str, address: Address, attempt: int) -> str:
        """See the port. A dispatched package stays dispatched, whatever the address says later."""
        shipment = _shipment(order_id, address)
        if _is_refused(address, attempt):
            await fetch(self._engine, _PREPARE, shipment)
            (shipped,) = await fetch(self._engine, _TRACKING, shipment)
            if shipped["tracking_id"] is None:
                raise ShipmentRefusedError(
                    "the sandbox's carrier does not take this shipment: its zip_code is a magic one"
                )
        else:
            (shipped,) = await fetch(self._engine, _DISPATCH, shipment)
        tracking_id: str = shipped["tracking_id"]
        return tracking_id


def _shipment(order_id: str, address: Address) -> dict[str, str]:
    return {
        "order_id": order_id,
        "package_id": _package_id(order_id),
        "tracking_id": f"track-{order_id}",
        "address_json": address.model_dump_json(exclude_none=True),
    }


def _package_id(order_id: str) -> str:
    return f"package-{order_id}"


def _is_refused(address: Address, attempt: int) -> bool:
    too_early = address.zip_code == FLAKY_ZIP_CODE and attempt < FLAKY_SHIPS_AT_ATTEMPT
    return too_early or address.zip_code == NEVER_SHIPS_ZIP_CODE


_PAYMENT: Final = "payment_id, status, amount, currency, reason"
# The texts that are put together are ours.
_CHARGE: Final = Statement.of(
    f"""
    WITH made AS (
        INSERT INTO sandbox_payments ({_PAYMENT}) VALUES (:payment_id, :status, :amount, :currency, :reason)
        ON CONFLICT DO NOTHING RETURNING {_PAYMENT}
    ),
    entered AS (
        INSERT INTO sandbox_ledger (payment_id, kind, amount, currency)
        SELECT payment_id, 'charge', amount, currency FROM made WHERE status = '{PaymentStatus.CHARGED.value}'
    )
    SELECT {_PAYMENT}, true AS is_first FROM made
    UNION ALL
    SELECT {_PAYMENT}, false FROM sandbox_payments
    WHERE payment_id = :payment_id AND NOT EXISTS (SELECT FROM made)
    """  # noqa: S608
)
"""Opens a payment's account, and enters the charge; answers with the account that stands. Of two calls at once the
second waits for the first."""
_LOOK_UP: Final = Statement.of(f"SELECT {_PAYMENT} FROM sandbox_payments WHERE payment_id = :payment_id")  # noqa: S608
_PREPARE: Final = Statement.of(
    """
    INSERT INTO sandbox_shipments (order_id, package_id, address_json)
    VALUES (:order_id, :package_id, CAST(:address_json AS jsonb)) ON CONFLICT DO NOTHING
    """
)
_TRACKING: Final = Statement.of("SELECT tracking_id FROM sandbox_shipments WHERE order_id = :order_id")
_DISPATCH: Final = Statement.of(
    """
    INSERT INTO sandbox_shipments AS known (order_id, package_id, address_json, tracking_id)
    VALUES (:order_id, :package_id, CAST(:address_json AS jsonb), :tracking_id)
    ON CONFLICT (order_id) DO UPDATE SET tracking_id = coalesce(known.tracking_id, excluded.tracking_id),
        address_json = CASE WHEN known.tracking_id IS NULL THEN excluded.address_json ELSE known.address_json END
    RETURNING tracking_id
    """
)


async def _open(connection: AsyncConnection, values: dict[str, object]) -> None:
    """Opens a payment's account unless it is open; of two at once, the second waits for the first's outcome."""
    await connection.execute(insert(sandbox_payments).values(values).on_conflict_do_nothing())


async def _payment(connection: AsyncConnection, payment_id: str) -> GatewayPayment:
    """The payment, locked until the transaction's end."""
    statement = select(sandbox_payments).where(sandbox_payments.c.payment_id == payment_id).with_for_update()
    return _gateway_payment((await connection.execute(statement)).mappings().one())


async def _become(connection: AsyncConnection, payment_id: str, status: PaymentStatus) -> None:
    await connection.execute(
        update(sandbox_payments).where(sandbox_payments.c.payment_id == payment_id).values(status=status)
    )


async def _enter(connection: AsyncConnection, kind: str, payment: GatewayPayment) -> None:
    await connection.execute(
        insert(sandbox_ledger).values(
            payment_id=payment.payment_id, kind=kind, amount=payment.amount, currency=payment.currency, ts=func.now()
        )
    )


def _gateway_payment(row: rows.Columns) -> GatewayPayment:
    return GatewayPayment(
        payment_id=row["payment_id"],
        status=PaymentStatus(row["status"]),
        amount=row["amount"],
        currency=row["currency"],
        reason=rows.reason_of(row["reason"]),
    )
