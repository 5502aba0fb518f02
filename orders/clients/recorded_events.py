"""Which events of orders that are over were recorded before, for the bridge: Postgres knows, and no run is needed."""

import asyncio
from collections.abc import Mapping, Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import rows
from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.schema import inbound_events
from bridge import Call
from schemas.event_types import fingerprint_of
from schemas.workflow_io import LateEventInput

_Key = tuple[str, bytes, str]
"""The primary key of `inbound_events`: the order, a digest of the event's id, and its type."""


class RecordedEvents:
    """The orders' `bridge.SettledBefore`: a late event is settled if the very same is in `inbound_events`.

    The same has the order, id, type and body, by its fingerprint. A `LateEventWorkflow` would find just that, and then
    do nothing. What has another body is no repeat, and only the workflow decides what comes of it. Rows from before
    there were fingerprints have none: there the order, id and type are all that is compared.

    Args:
        engine: Of the application's database. It connects at the first question.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def settled(self, calls: Sequence[Call]) -> Sequence[bool]:
        """See the port.

        Raises:
            DatabaseUnavailableError: Postgres does not answer.
        """
        keys = [_key_of(call) for call in calls]
        asked = {key for key in keys if key is not None}
        if not asked:
            return [False] * len(calls)
        table = inbound_events.c
        of_key = (table.order_id, table.event_digest, table.type)
        statement = select(*of_key, table.body_digest).where(tuple_(*of_key).in_(sorted(asked)))
        async with transaction(self._engine) as connection:
            recorded = {(row[0], bytes(row[1]), row[2]): row[3] for row in await connection.execute(statement)}
        # In a thread, as many bodies, or large ones, take their time.
        return await asyncio.to_thread(_compare, calls, keys, recorded)


def _key_of(call: Call) -> _Key | None:
    """The key of a late event's row; None for a call that is no late event's, or whose event has no id."""
    late = call.argument
    if not isinstance(late, LateEventInput) or not late.event.event_id:
        return None
    return late.order_id, rows.digest(late.event.event_id), late.event.type


def _compare(calls: Sequence[Call], keys: Sequence[_Key | None], recorded: Mapping[_Key, bytes | None]) -> list[bool]:
    return [
        key is not None and key in recorded and _says_the_same(call.argument, recorded[key])
        for call, key in zip(calls, keys, strict=True)
    ]


def _says_the_same(late: LateEventInput, body_digest: bytes | None) -> bool:
    return body_digest is None or fingerprint_of(late.event, late.order_id) == bytes(body_digest).hex()
