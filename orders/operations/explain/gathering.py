"""Explains an order: asks Kafka, Temporal and Postgres at once, names whichever does not answer, and uses the rest."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from orders.clients.opened import Clients
from orders.errors import NotFoundError, OrdersError, UnreachableError
from orders.operations.explain.database_side import DatabaseSide, look_in_postgres
from orders.operations.explain.kafka_side import HeldRecord, KafkaSide, NamingRecord, look_in_kafka
from orders.operations.explain.temporal_side import TemporalSide, look_in_temporal
from schemas.activity_io import EventOutcome

Side = TypeVar("Side")


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one order; a side is None where it could not be reached."""

    order_id: str
    kafka: KafkaSide | None
    temporal: TemporalSide | None
    database: DatabaseSide | None
    unreachable: tuple[str, ...]
    """A sentence for each side that is missing."""

    @property
    def is_known(self) -> bool:
        """Whether anybody knows anything of the order."""
        kafka, temporal, database = self.kafka, self.temporal, self.database
        return (
            (kafka is not None and bool(kafka.records or kafka.letters or kafka.held))
            or (temporal is not None and bool(temporal.runs))
            or (database is not None and bool(database.order or database.events or database.inbound))
        )

    def outcome_of(self, record: NamingRecord) -> str:
        """What became of a record that names the order, in a few words."""
        letters = {letter.identity: letter for letter in self.kafka.letters} if self.kafka else {}
        letter = letters.get(record.identity)
        if letter is not None:
            return f"set aside ({letter.error_code}) at {letter.at}"
        if record.event_id is None:
            fate = "will be set aside" if record.taken is False else "cannot be read"
            return f"{fate} ({record.error_code})"
        decided = self._decided.get((record.event_id, record.event_type))
        if decided is not None:
            return decided.outcome.value + (f" ({decided.reason.value})" if decided.reason else "")
        if record.taken is False:
            return "waits in Kafka: no bridge has settled it"
        if self.database is None:
            return "not known: Postgres could not be reached"
        return "handed to the workflow; not decided yet" if record.taken else "not decided yet"

    @property
    def _decided(self) -> dict[tuple[str, str], EventOutcome]:
        return {(one.event_id, one.type): one for one in self.database.inbound} if self.database else {}

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What has to happen before the order goes on; a sentence each, the most telling first."""
        return tuple(_waits(self))


def _waits(known: Explanation) -> list[str]:
    waits: list[str] = []
    temporal, database, kafka = known.temporal, known.database, known.kafka
    if temporal is not None:
        if temporal.in_the_way is not None:
            waits.append(f"its workflow id: {temporal.in_the_way}")
        waits += [run.held_up_by for run in temporal.open_runs if run.held_up_by is not None]
        if temporal.status is not None and temporal.status.waits_for:
            waits.append(temporal.status.waits_for)
        waits += [sentence for run in temporal.open_runs for sentence in run.failed_activities]
    if kafka is not None:
        waits += [record.waits_for for record in _first_of_each_partition(kafka.held)]
        untaken = sum(record.taken is False for record in kafka.records)
        if untaken:
            waits.append(f"the bridge: {untaken} of its records are not settled yet; see `orders health bridge`")
    if database is not None and database.unpublished:
        waits.append(f"Kafka: {database.unpublished} recorded events are not known to be published yet")
    return waits


def _first_of_each_partition(held: tuple[HeldRecord, ...]) -> list[HeldRecord]:
    """One for each transaction that is waited for."""
    return list({(record.topic, record.partition): record for record in reversed(held)}.values())


async def explain(clients: Clients, order_id: str, *, since: datetime | None, limit: int) -> Explanation:
    """Gathers everything about an order.

    Args:
        clients: lead to the servers.
        order_id: which order.
        since: how far back Kafka is read; None for as far as the limit goes.
        limit: most records that are read from Kafka.

    Raises:
        NotFoundError: all three answered, and none knows the order.
        UnreachableError: nothing of the order was found, and not all three answered.
    """
    (kafka, no_kafka), (temporal, no_temporal), (database, no_database) = await asyncio.gather(
        _reached(look_in_kafka(clients, order_id, since=since, limit=limit)),
        _reached(look_in_temporal(clients, order_id)),
        _reached(look_in_postgres(clients, order_id)),
    )
    problems = tuple(problem for problem in (no_kafka, no_temporal, no_database) if problem)
    known = Explanation(order_id, kafka, temporal, database, problems)
    if known.is_known:
        return known
    if problems:
        raise UnreachableError("\n".join([*problems, f"nothing of order {order_id!r} was found elsewhere"]))
    check = (temporal.in_the_way if temporal else None) or "check the id"
    raise NotFoundError(f"order {order_id!r} is unknown to Kafka, Temporal and Postgres: {check}")


async def _reached(looking: Coroutine[Any, Any, Side]) -> tuple[Side | None, str | None]:
    try:
        return await looking, None
    except OrdersError as error:
        return None, str(error)
