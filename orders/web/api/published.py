"""A published event as the API's document describes it: one model for all types, open to those of later versions."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from orders.web.api.fields import PublishedType, Reason, State
from schemas.outbound import OUTBOUND, Cause, OutboundBody


class _EveryEvent(BaseModel):
    """What every event has."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    order_id: str
    sequence: int
    """Position among this order's events: 1, 2, 3 ... without gaps."""
    type: PublishedType
    """Pass over one that you do not know; its sequence counts."""
    previous_state: State | None
    """State before the event; null where nothing had been recorded of the order."""
    state: State | None
    """State after the event."""
    occurred_at: datetime
    cause: Cause | None
    """Null where time or our own work led to the event."""
    reason: Reason | None


def _of_some_types() -> dict[str, Any]:
    """The fields that some types have, each with the types that it belongs to: read from the registry of types."""
    types: dict[str, list[str]] = {}
    fields = {}
    for event_type, row in OUTBOUND.items():
        for name in row.body.model_fields.keys() - OutboundBody.model_fields.keys() - {"type"}:
            types.setdefault(name, []).append(f"`{event_type.value}`")
            fields[name] = row.body.model_fields[name]
    return {
        name: (
            fields[name].annotation | None,  # type: ignore[operator] # A type, or a union of types.
            Field(None, description=" ".join(filter(None, [fields[name].description, f"Of {', '.join(of)} only."]))),
        )
        for name, of in sorted(types.items())
    }


PublishedEvent = create_model(
    "PublishedEvent",
    __base__=_EveryEvent,
    __doc__="An event as it was published. The message contract has a schema of each type by itself.",
    **_of_some_types(),
)
"""The model of the document alone: what is answered is the journal's own text.

It names no type by a schema of its own. A type, a state or a reason may be added within version 1; an alternative of a
`oneOf` or a value of an `enum` more would break programs that check what they are answered by the schema they know.
"""
