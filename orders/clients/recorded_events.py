"""Which events of orders that are over were recorded before, for the bridge: Postgres knows, and no run is needed."""

from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import rows
from activities.adapters.postgres.engine import single_statements
from activities.adapters.postgres.schema import inbound_events
from bridge import Call
from schemas.workflow_io import LateEventInput


class RecordedEvents:
    """The orders' `bridge.SettledBefore`: a late event is settled if its order, id and type are in `inbound_events`.

    Just that is what a `LateEventWorkflow` would find, and then do nothing.

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
        columns = (inbound_events.c.order_id, inbound_events.c.event_digest, inbound_events.c.type)
        statement = select(*columns).where(tuple_(*columns).in_(sorted(asked)))
        async with single_statements(self._engine) as connection:
            recorded = {(row[0], bytes(row[1]), row[2]) for row in await connection.execute(statement)}
        return [key in recorded for key in keys]


def _key_of(call: Call) -> tuple[str, bytes, str] | None:
    """The primary key of a late event's row; None for a call that is no late event's, or whose event has no id."""
    late = call.argument
    if not isinstance(late, LateEventInput) or not late.event.event_id:
        return None
    return late.order_id, rows.digest(late.event.event_id), late.event.type
