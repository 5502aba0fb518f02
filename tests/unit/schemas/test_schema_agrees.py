"""The published JSON Schemas and the bridge say the same of every message: drawn from the schemas, and broken.

Rules that JSON Schema cannot say are listed in `BEYOND_THE_SCHEMA`, and stand in the schemas' descriptions.
"""

import copy
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema.validators import extend

from bridge import ReadLimits, Record, RefusedError
from orders.mapping import OrderMapping
from schemas.contract.__main__ import documents
from schemas.event_types import INBOUND, EventType
from tests.helpers.messages.drawn import from_schema

MAPPING: Final = OrderMapping(
    {event_type.value: event_type for event_type in EventType}, limits=ReadLimits(value_max_bytes=10_000_000)
)
SCHEMAS: Final = {event_type: documents()[f"schemas/{event_type}.json"] for event_type in EventType}
BEYOND_THE_SCHEMA: Final = frozenset({"amount_mismatch", "amount_negative", "amount_too_large", "time_unknown"})
"""Codes of what a schema takes and the bridge refuses: sums, and times that exist."""
OF_THE_DOCUMENT: Final = frozenset(
    {"json_nul_character", "json_lone_surrogate", "json_integer_too_long", "json_number_too_large", "json_too_deep"}
)
"""Codes of documents that not all readers read alike, also in fields that no schema knows."""
_ITEM: Final = {"sku": "s", "quantity": 1, "unit_amount": 1}
STRANGE: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [
        *(None, True, False, [], {}, [{}], [1]),
        *(0, 1, -1, 7, 1.0, 12.5, 1e3, 1e15, 10**15, 10**15 + 1, -(10**15) - 1, 1_000_000.0, 1_000_001),
        *("", " ", "\u00a0", "\ufeff", "\x1f", "x", "o-1", "o/1", "o-1\n", "USD", "usd", "XXX", "ZZZ"),
        *("x" * length for length in (128, 129, 200, 201, 512, 513, 1_000, 1_001)),
        *("2026-01-31T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-31", "2026-01-31T12:00:00\u0660Z"),
        *("2016-12-31T23:59:60Z", "2016-12-31T12:59:60Z", "2026-01-31t12:00:00.0123456789z", "0000-01-01T00:00:00Z"),
        *({"street": " "}, {"street": "s"}, {"zipCode": "1"}, {"City": "x"}),
        *([_ITEM], [_ITEM | {"sku": " "}], [_ITEM | {"quantity": 1.0}], [_ITEM | {"unit_amount": 2.5}]),
        *([{"kind": "tax", "amount": -1}], [{"kind": "", "amount": 1}], [{"kind": "tax", "amount": 1.0}] * 51),
    ]
)
NAMES: Final = st.sampled_from(
    [
        "orderId",
        "Order-ID",
        "order_id_",
        "paymentid",
        "shippingAddress",
        "unit.amount",
        "zipCode",
        "colour",
        "id",
        "sKu",
    ]
)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:  # noqa: ARG001
    # As ECMA-262 has it: in Python `$` matches before a last line end as well.
    if isinstance(instance, str) and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError("does not match")


Validator: Final = extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"pattern": _pattern}
)
FORMATS: Final = jsonschema.FormatChecker(())
"""Without formats: the pattern beside `date-time` says its form, and no schema which times exist."""


def refusal_of(event_type: EventType, body: Any) -> str | None:
    """The code with which the bridge refuses a body; None where it takes it."""
    try:
        MAPPING.read(Record(event_type.value, 0, 0, 0, None, json.dumps(body).encode()))
    except RefusedError as error:
        return str(error.refusal.code)
    return None


def assert_agreement(event_type: EventType, body: Any) -> None:
    taken = Validator(SCHEMAS[event_type], format_checker=FORMATS).is_valid(body)
    code = refusal_of(event_type, body)
    if code in OF_THE_DOCUMENT:
        return
    if taken:
        assert code is None or code in BEYOND_THE_SCHEMA, (code, body)
    else:
        assert code is not None, body


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a document's members and elements are."""
    if isinstance(node, dict):
        for name in node:
            yield (*path, name)
            yield from places(node[name], (*path, name))
    elif isinstance(node, list):
        for index in range(len(node)):
            yield (*path, index)
            yield from places(node[index], (*path, index))


SLOW = settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.mark.parametrize("event_type", EventType)
def test_the_bridge_takes_what_the_schema_takes(event_type: EventType) -> None:
    seen: set[str | None] = set()

    @SLOW
    @given(from_schema(SCHEMAS[event_type]))
    def holds(body: Any) -> None:
        seen.add(refusal_of(event_type, body))
        assert_agreement(event_type, body)

    holds()
    assert None in seen, "what was drawn is hardly ever a message"


FULL: Final[dict[EventType, dict[str, Any]]] = {
    event_type: {
        **dict.fromkeys(row.body.model_fields),
        "occurred_at": "2026-01-31T12:00:00Z",
        "event_id": "e-1",
        **copy.deepcopy(dict(row.example)),
    }
    for event_type, row in INBOUND.items()
}


@pytest.mark.parametrize("event_type", EventType)
def test_the_bridge_refuses_what_the_schema_refuses(event_type: EventType) -> None:
    """A whole message with something strange, missing or misnamed in any place."""
    seen: set[str | None] = set()

    @settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        body = copy.deepcopy(FULL[event_type])
        for _ in range(data.draw(st.integers(1, 2))):
            *above, last = data.draw(st.sampled_from(list(places(body)) or [()]))
            holder = body
            for part in above:
                holder = holder[part]
            change = data.draw(st.sampled_from(["value", "value", "value", "missing", "name"]))
            if change == "missing":
                del holder[last]
            elif change == "name" and isinstance(holder, dict):
                holder[data.draw(NAMES)] = copy.deepcopy(holder[last])
            else:
                holder[last] = copy.deepcopy(data.draw(STRANGE))
            if not body:
                break
        seen.add(refusal_of(event_type, body))
        assert_agreement(event_type, body)

    holds()
    assert None in seen
    assert len(seen) > 4, "hardly anything is refused"


def test_what_is_beyond_the_schema_is_said_in_it() -> None:
    said = json.dumps(SCHEMAS[EventType.ORDER_CREATED])
    for rule in (
        "sum of quantity x unit_amount",
        "neither below 0 nor above 10^15",
        "within the years 1 to 9999 in UTC",
    ):
        assert rule in said


def test_a_time_that_a_schema_takes_is_beyond_it_only_where_it_does_not_exist() -> None:
    for time in ("2026-02-30T12:00:00Z", "2016-12-31T12:59:60Z", "0000-01-01T00:00:00Z"):
        body = {"order_id": "o-1", "occurred_at": time}
        assert refusal_of(EventType.ORDER_APPROVED, body) == "time_unknown"
        with pytest.raises(ValueError, match=r"range|month|second|year"):
            datetime.fromisoformat(time)
