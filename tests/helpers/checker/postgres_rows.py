"""A database of one's own for a whole-system test, and all that the application left in it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.helpers.checker.evidence import AuditRow, InboundRow, LedgerEntry, OrderRow, PaymentRow, ShipmentRow

CONNECT_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Rows:
    """The tables that the checker judges, as of one moment."""

    orders: tuple[OrderRow, ...]
    payments: tuple[PaymentRow, ...]
    ledger: tuple[LedgerEntry, ...]
    shipments: tuple[ShipmentRow, ...]
    audit: tuple[AuditRow, ...]
    inbound: tuple[InboundRow, ...]


async def read(settings: Mapping[str, str]) -> Rows:
    """Reads every table in one snapshot.

    Args:
        settings: ``DB_HOST`` and the others, as the processes have them.
    """
    async with (
        connection(settings) as made,
        made.transaction(isolation="repeatable_read", readonly=True),
    ):
        fetch = made.fetch
        return Rows(
            orders=tuple(
                OrderRow(
                    order_id=row["id"],
                    state=row["state"],
                    last_sequence=row["last_sequence"],
                    payment_id=row["payment_id"],
                    amount=row["amount"],
                    currency=row["currency"],
                    address=_given(row["address_json"]),
                )
                for row in await fetch("SELECT * FROM orders")
            ),
            payments=tuple(
                PaymentRow(row["payment_id"], row["order_id"], row["status"], row["amount"], row["currency"])
                for row in await fetch("SELECT * FROM payments")
            ),
            ledger=tuple(
                LedgerEntry(row["payment_id"], row["kind"], row["amount"], row["currency"])
                for row in await fetch("SELECT * FROM sandbox_ledger ORDER BY id")
            ),
            shipments=tuple(
                ShipmentRow(row["order_id"], row["tracking_id"], _given(row["address_json"]))
                for row in await fetch("SELECT * FROM sandbox_shipments")
            ),
            audit=tuple(
                AuditRow(row["order_id"], row["sequence"], row["event_id"], row["type"], row["payload_json"])
                for row in await fetch("SELECT * FROM events ORDER BY order_id, sequence")
            ),
            inbound=tuple(
                InboundRow(row["event_id"], row["order_id"], row["type"], row["outcome"], row["reason"])
                for row in await fetch("SELECT * FROM inbound_events")
            ),
        )


async def execute(settings: Mapping[str, str], statement: str, *arguments: object, writes: bool = False) -> str:
    """Runs one statement in the system's database; returns its command tag.

    Args:
        settings: ``DB_HOST`` and the others.
        statement: With its arguments as ``$1``.
        arguments: Of the statement.
        writes: Whether it writes where the server lets nobody write who does not ask for it.
    """
    async with connection(settings) as made:
        if writes:
            await made.execute("SET default_transaction_read_only = off")
        return str(await made.execute(statement, *arguments))


async def create_database(settings: Mapping[str, str], own: str, *, beside: str) -> None:
    """Makes a database.

    Args:
        settings: ``DB_HOST`` and the others.
        own: The new database's name.
        beside: One that exists, to connect to.
    """
    async with _connection(settings, beside) as made:
        await made.execute(f'CREATE DATABASE "{own}"')


async def drop_database(settings: Mapping[str, str], own: str, *, beside: str) -> None:
    """Drops a database, and whoever is still connected to it."""
    async with _connection(settings, beside) as made:
        await made.execute(f'DROP DATABASE IF EXISTS "{own}" WITH (FORCE)')


def _given(address_json: str) -> dict[str, Any]:
    """The fields of an address that are given."""
    return {name: value for name, value in json.loads(address_json).items() if value is not None}


@asynccontextmanager
async def connection(settings: Mapping[str, str]) -> AsyncIterator[Any]:
    """A connection of asyncpg to the system's database."""
    async with _connection(settings, settings["DB_NAME"]) as made:
        yield made


@asynccontextmanager
async def _connection(settings: Mapping[str, str], database: str) -> AsyncIterator[Any]:
    made = await asyncpg.connect(
        host=settings["DB_HOST"],
        port=int(settings["DB_PORT"]),
        user=settings["DB_USER"],
        password=settings["DB_PASSWORD"],
        database=database,
        timeout=CONNECT_TIMEOUT_SECONDS,
    )
    try:
        yield made
    finally:
        await made.close()
