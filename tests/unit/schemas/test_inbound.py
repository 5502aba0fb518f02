"""The models of what comes in, apart from any encoding."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from schemas.base import parse_rfc_3339
from schemas.event_types import INBOUND, EventType, fingerprint_of, read_body
from schemas.inbound import ITEMS_MAX, InboundEvent, OrderCreated
from schemas.order import Address, AddressUpdate, Item, OrderDetails

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
ENVELOPE_FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("event_id", "type", "occurred_at", "body", "malformed", "expected_sequence"), ANYTHING)
)
PARTIAL_ADDRESS = st.builds(Address, **dict.fromkeys(Address.model_fields, st.none() | st.sampled_from(["", "a", "b"])))


def order(**fields: Any) -> OrderCreated:
    return OrderCreated.model_validate({"order_id": "o-1", "payment_id": "p-1"} | fields)


def test_every_event_type_has_a_body() -> None:
    assert set(INBOUND) == set(EventType)


def test_two_ids_are_a_whole_order() -> None:
    smallest = order()
    assert (smallest.total, smallest.currency, smallest.items) == (0, "USD", ())


def test_the_total_is_the_amount_else_the_sum_of_the_items() -> None:
    items = [{"sku": "a", "quantity": 2, "unit_amount": 150}, {"sku": "b", "quantity": 1, "unit_amount": 50}]
    assert order(amount=7).total == 7
    assert order(items=items).total == 350
    assert order(items=items, amount=350).total == 350


def test_adjustments_are_summed_into_the_total() -> None:
    items = [{"sku": "a", "quantity": 2, "unit_amount": 150}]
    adjustments = [{"kind": "discount", "amount": -100}, {"kind": "shipping", "amount": 49, "description": " "}]
    assert order(items=items, adjustments=adjustments).total == 249
    assert order(items=items, adjustments=adjustments, amount=249).total == 249
    assert order(adjustments=[{"kind": "shipping", "amount": 49}]).total == 49
    assert order(items=items, adjustments=[{"kind": "voucher", "amount": -300}]).total == 0
    with pytest.raises(ValidationError, match="total below 0"):
        order(items=items, adjustments=[{"kind": "voucher", "amount": -301}])
    with pytest.raises(ValidationError, match="not the sum"):
        order(items=items, adjustments=adjustments, amount=300)


@pytest.mark.parametrize(
    ("fields", "priced"),
    [
        ({}, False),
        ({"items": [], "adjustments": None, "amount": None}, False),
        ({"amount": 0}, True),
        ({"items": [{"sku": "a", "quantity": 1, "unit_amount": 0}]}, True),
        ({"adjustments": [{"kind": "tax", "amount": 0}]}, True),
    ],
)
def test_an_order_has_a_price_where_it_says_one(fields: dict[str, Any], priced: bool) -> None:
    assert order(**fields).is_priced is priced


def test_a_currency_that_has_left_the_table_is_refused_at_the_door_and_read_where_it_was_let_in() -> None:
    body = {"order_id": "o-1", "payment_id": "p-1", "currency": "DEM"}
    with pytest.raises(ValidationError, match="no currency"):
        OrderCreated.model_validate(body)
    taken = read_body(InboundEvent(event_id="e-1", type="order.created", body=body), "o-1")
    assert isinstance(taken, OrderCreated)
    assert taken.currency == "DEM"
    assert OrderDetails(payment_id="p-1", currency="DEM").currency == "DEM"


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 10_000)), min_size=1, max_size=20), st.integers(-1, 1))
def test_an_amount_beside_items_is_their_sum_and_nothing_else(lines: list[tuple[int, int]], off: int) -> None:
    items = [{"sku": "s", "quantity": quantity, "unit_amount": unit} for quantity, unit in lines]
    total = sum(quantity * unit for quantity, unit in lines)
    if off and total + off >= 0:
        with pytest.raises(ValidationError, match="an amount that is not the sum"):
            order(items=items, amount=total + off)
    else:
        assert order(items=items, amount=total).total == total


MANY = 5_000
MISTAKES = {"objects": [{}] * MANY, "numbers": [1] * MANY, "names": {f"n-{number}": {} for number in range(MANY)}}


def errors_max(model: type[BaseModel]) -> int:
    """One for each field, and for each field of one model within it."""
    nested = [inner for field in model.model_fields.values() for inner in models_in(field.annotation)]
    return len(model.model_fields) + sum(map(errors_max, nested))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


@pytest.mark.parametrize("mistakes", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize(
    ("model", "name"),
    [(row.body, name) for row in INBOUND.values() for name in row.body.model_fields],
)
def test_a_field_full_of_mistakes_is_given_up_at_the_first(model: type[BaseModel], name: str, mistakes: object) -> None:
    """I10: each error that is collected takes microseconds in which nothing else happens."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: mistakes})
    assert caught.value.error_count() <= errors_max(model) <= 30


def test_items_beyond_the_most_are_not_looked_at() -> None:
    item = {"sku": "a", "quantity": 1, "unit_amount": 1}
    with pytest.raises(ValidationError) as caught:
        order(items=[item] * ITEMS_MAX + [{}] * MANY)
    assert caught.value.error_count() <= len(Item.model_fields)


@given(ANYTHING)
def test_no_signal_argument_fails_to_decode(argument: Any) -> None:
    """The SDK would drop the signal (I9)."""
    assert isinstance(InboundEvent.model_validate(argument), InboundEvent)


@given(ENVELOPE_FIELDS)
def test_no_fields_of_an_envelope_fail_to_decode(fields: dict[str, Any]) -> None:
    assert isinstance(InboundEvent.model_validate(fields), InboundEvent)


def test_an_argument_that_is_no_envelope_is_marked_and_one_that_is_nothing_is_not() -> None:
    assert InboundEvent.model_validate(["x"]).malformed
    assert InboundEvent.model_validate(None) == InboundEvent()
    assert not InboundEvent.model_validate({}).malformed


@given(PARTIAL_ADDRESS, PARTIAL_ADDRESS)
def test_a_merged_address_has_the_update_s_fields_where_given(base: Address, update: Address) -> None:
    merged = base.merged_with(update).model_dump()
    for name, given_value in update.model_dump().items():
        assert merged[name] == (getattr(base, name) if given_value is None else given_value)


@given(PARTIAL_ADDRESS, PARTIAL_ADDRESS, PARTIAL_ADDRESS)
def test_merging_is_associative(first: Address, second: Address, third: Address) -> None:
    """So that updates may be merged before the order is known."""
    assert first.merged_with(second).merged_with(third) == first.merged_with(second.merged_with(third))


def test_an_update_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one of"):
        AddressUpdate.model_validate({"street": None})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00.123456789z", datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-01-31T12:00:00.5+02:00", datetime(2026, 1, 31, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("2026-01-31T12:00:00.12345678901234567890Z", datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2017-01-01t05:29:60.5+05:30", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_times_are_rfc_3339_and_held_in_utc(text: str, expected: datetime) -> None:
    assert parse_rfc_3339(text) == expected
    assert parse_rfc_3339(text).utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2016-12-31T22:59:60Z",
        "2016-12-31T23:59:61Z",
        "0000-01-01T00:00:00Z",
        "2026-01-31T12:00:00+24:00",
        "0001-01-01T00:00:00+01:00",
        5,
        datetime(2026, 1, 31, 12),  # noqa: DTZ001 - the mistake that is meant
    ],
)
def test_what_is_no_such_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_rfc_3339(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_that_we_wrote_is_read_again(time: datetime) -> None:
    assert parse_rfc_3339(time.isoformat()) == time


def said(event_type: EventType, body: dict[str, Any], event_id: str = "e-1") -> str:
    return fingerprint_of(InboundEvent(event_id=event_id, type=event_type.value, body=body), "o-1")


@pytest.mark.parametrize("event_type", EventType)
def test_an_event_has_one_fingerprint_however_it_was_written(event_type: EventType) -> None:
    """The bridge writes defaults out, the command line does not, and a person leaves the order's id out."""
    body = {**INBOUND[event_type].example, "order_id": "o-1"}
    model = INBOUND[event_type].body.model_validate(body)
    written = [
        body,
        {name: value for name, value in body.items() if name != "order_id"},
        dict(reversed(body.items())),
        {**body, "event_id": "e-1", "of a later version": 1},
        model.model_dump(mode="json"),
        model.model_dump(mode="json", exclude_none=True),
    ]
    assert len({said(event_type, one) for one in written}) == 1
    assert len(said(event_type, body)) == 64


def test_another_type_or_another_body_has_another_fingerprint() -> None:
    approved, cancelled = EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED
    made = [
        said(approved, {}),
        said(cancelled, {}),
        said(approved, {"approved_by": "ada"}),
        said(approved, {"approved_by": "bob"}),
        said(approved, {"note": "ada"}),
        said(approved, {"occurred_at": "2026-01-31T12:00:00Z"}),
        said(approved, {"note": 1}),
        said(approved, {"note": 2}),
        said(approved, {"order_id": "another"}),
    ]
    assert len(set(made)) == len(made)


def test_the_id_of_the_event_and_the_sequence_it_was_sent_for_are_not_what_it_says() -> None:
    event = InboundEvent(event_id="e-1", type=EventType.ORDER_APPROVED.value, body={"note": "n"})
    others: list[dict[str, Any]] = [
        {"event_id": "e-2"},
        {"expected_sequence": 4},
        {"occurred_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ]
    assert {fingerprint_of(event.model_copy(update=one), "o-1") for one in others} == {fingerprint_of(event, "o-1")}


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=3))
def test_a_body_of_anything_has_a_fingerprint(body: dict[str, Any]) -> None:
    assert len(fingerprint_of(InboundEvent(event_id="e", type="order.approved", body=body), "o-1")) == 64


@pytest.mark.parametrize(
    ("event_type", "body", "digest"),
    [
        (EventType.ORDER_CREATED, {"payment_id": "p-1"}, "63676b15f65a97e4"),
        (EventType.ORDER_APPROVED, {"approved_by": "ada"}, "3a3ab18a7311d0bc"),
        (EventType.ORDER_CANCELLED, {}, "c1698bb2e8899dd2"),
        (EventType.ORDER_ADDRESS_UPDATED, {"address": {"city": "Zürich"}}, "7f432082cf951d0b"),
    ],
)
def test_a_fingerprint_stays_what_it_is_whatever_fields_a_later_version_adds(
    event_type: EventType, body: dict[str, Any], digest: str
) -> None:
    """They are in the table for as long as an event may come again; a repeat is compared with what stands there."""
    assert said(event_type, body).startswith(digest)
