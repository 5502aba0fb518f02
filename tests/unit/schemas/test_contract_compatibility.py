"""The compatibility rule of docs/message-contract.md: what today's contract may not change of version 1."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas.contract.__main__ import documents
from schemas.currencies import ISO_4217_CODES
from schemas.states import FINAL_STATES
from tests.contract.recorded_messages import CONTRACT, CURRENCIES
from tests.helpers.messages.compatibility import breaking_changes

VERSION_1: dict[str, Any] = json.loads(CONTRACT.read_text())

Change = Callable[[dict[str, Any]], object]


def test_today_s_contract_breaks_nothing_of_version_1() -> None:
    assert breaking_changes(VERSION_1, documents()["asyncapi.json"]) == []


def test_what_was_added_to_version_1_is_recorded() -> None:
    """Else a later change could break it unseen."""
    present = documents()["asyncapi.json"]
    assert breaking_changes(present, VERSION_1) == [], "run: make record-messages"
    assert present["info"]["version"] == VERSION_1["info"]["version"], "run: make record-messages"


def test_the_states_in_which_an_order_ends_are_those_of_version_1() -> None:
    """By which readers tell that nothing more comes."""
    assert {
        "COMPLETED",
        "REJECTED",
        "CANCELLED",
        "EXPIRED",
        "PAYMENT_DECLINED",
        "REFUNDED",
    } == FINAL_STATES


def test_no_currency_is_refused_that_version_1_takes() -> None:
    taken = set(json.loads(CURRENCIES.read_text()))
    assert taken - ISO_4217_CODES == set()
    assert ISO_4217_CODES - taken == set(), "run: make record-messages"


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def fields(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema(document, name)["properties"]
    return found


def renamed(name: str, old: str, new: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        fields(document, name)[new] = fields(document, name).pop(old)
        required = schema(document, name)["required"]
        schema(document, name)["required"] = [new if one == old else one for one in required]

    return change


def headers(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["messages"][name]["headers"]
    return found


BREAKING: dict[str, tuple[Change, str]] = {
    # What others send us.
    "an optional field in is renamed": (
        renamed("OrderCreated", "customer_id", "buyer_id"),
        "OrderCreated.payload.customer_id: is gone",
    ),
    "a needed field in is renamed": (
        renamed("OrderCreated", "payment_id", "payment"),
        "OrderCreated.payload.payment: is required",
    ),
    "a field in becomes needed": (
        lambda it: schema(it, "OrderApproved")["required"].append("approved_by"),
        "OrderApproved.payload.approved_by: is required",
    ),
    "a new field in is needed": (
        lambda it: (
            fields(it, "OrderCreated").update(channel={"type": "string"}),
            schema(it, "OrderCreated")["required"].append("channel"),
        ),
        "OrderCreated.payload.channel: is required",
    ),
    "a field in a list in becomes needed": (
        lambda it: schema(it, "Item")["required"].append("weight"),
        "OrderCreated.payload.items[].weight: is required",
    ),
    "a text in may be less long": (
        lambda it: fields(it, "Address-Input")["street"]["anyOf"][0].update(maxLength=80),
        "OrderCreated.payload.shipping_address.street: maxLength",
    ),
    "a number in may be less large": (
        lambda it: fields(it, "Item")["quantity"].update(maximum=100),
        "OrderCreated.payload.items[].quantity: maximum",
    ),
    "a number in must be larger": (
        lambda it: fields(it, "Item")["unit_amount"].update(minimum=1),
        "OrderCreated.payload.items[].unit_amount: minimum",
    ),
    "a field in has another type": (
        lambda it: fields(it, "Item")["quantity"].update(type="string"),
        "OrderCreated.payload.items[].quantity: type",
    ),
    "a field in may no longer be null": (
        lambda it: fields(it, "OrderCreated")["amount"]["anyOf"].pop(),
        "OrderCreated.payload.amount: type",
    ),
    "a field in has fewer values to choose from": (
        lambda it: fields(it, "OrderCreated")["currency"]["anyOf"][0].update(enum=["USD", "EUR"]),
        "OrderCreated.payload.currency: the value 'AED' is gone",
    ),
    "ids in have another form": (
        lambda it: fields(it, "OrderCancelled")["order_id"].update(pattern="^[0-9]+$"),
        "OrderCancelled.payload.order_id: pattern",
    ),
    "a default in is another": (
        lambda it: fields(it, "OrderCreated")["currency"].update(default="EUR"),
        "OrderCreated.payload.currency: has another default",
    ),
    "a header in becomes needed": (
        lambda it: headers(it, "OrderCreated").update(required=["ce_id"]),
        "OrderCreated.headers.ce_id: is required",
    ),
    "another encoding is no longer read": (
        lambda it: it["components"]["messages"].pop("OrderCreatedCloudEvent"),
        "OrderCreatedCloudEvent: is gone",
    ),
    "a topic has another name": (
        lambda it: it["channels"]["order_created"].update(address="orders.new"),
        "order.created: no longer carries OrderCreated",
    ),
    # What others read of us.
    "a field out is renamed": (
        renamed("OrderStateChanged", "tracking_id", "tracking"),
        "OrderStateChanged.payload.tracking_id: is gone",
    ),
    "a field out may be missing": (
        lambda it: schema(it, "OrderStateChanged")["required"].remove("cause"),
        "OrderStateChanged.payload.cause: is required",
    ),
    "a field out may be null": (
        lambda it: fields(it, "OrderEventRejected").update(
            reason={"anyOf": [{"$ref": "#/components/schemas/ReasonCode"}, {"type": "null"}]}
        ),
        "OrderEventRejected.payload.reason: type",
    ),
    "a text that comes in and goes out may be longer": (
        lambda it: fields(it, "Address-Output")["street"]["anyOf"][0].update(maxLength=2_000),
        "OrderAddressChanged.payload.address.street: maxLength",
    ),
    "a number out may be larger": (
        lambda it: fields(it, "OrderStateChanged")["amount"]["anyOf"][0].update(maximum=10**18),
        "OrderStateChanged.payload.amount: maximum",
    ),
    "a number out may be smaller": (
        lambda it: fields(it, "OrderAddressChanged")["sequence"].update(minimum=0),
        "OrderAddressChanged.payload.sequence: minimum",
    ),
    "a state out is gone": (
        lambda it: schema(it, "OrderState")["anyOf"][0]["enum"].remove("PAID"),
        "OrderStateChanged.payload.state: the value 'PAID' is gone",
    ),
    "a reason out is gone": (
        lambda it: schema(it, "ReasonCode")["anyOf"][0]["enum"].remove("stale"),
        "OrderEventRejected.payload.reason: the value 'stale' is gone",
    ),
    "a type out has another name": (
        lambda it: fields(it, "OrderStateChanged")["type"].update(const="order.moved"),
        "OrderStateChanged.payload.type: const",
    ),
    "a header out may be missing": (
        lambda it: headers(it, "OrderStateChanged")["required"].remove("ce_id"),
        "OrderStateChanged.headers.ce_id: is required",
    ),
    "a header out has another form": (
        lambda it: headers(it, "OrderStateChanged")["properties"]["ce_sequence"].update(pattern="^[1-9][0-9]*$"),
        "OrderStateChanged.headers.ce_sequence: pattern",
    ),
    "a keyword that the comparison does not know": (
        lambda it: schema(it, "OrderCreated").update(additionalProperties=False),
        "OrderCreated.payload: the keyword additionalProperties is not understood",
    ),
}

COMPATIBLE: dict[str, Change] = {
    "a new optional field in": lambda it: fields(it, "OrderCreated").update(channel={"type": "string"}),
    "a field in is no longer needed": lambda it: schema(it, "OrderAddressUpdated")["required"].remove("address"),
    "a text in may be longer": lambda it: fields(it, "OrderApproved")["note"]["anyOf"][0].update(maxLength=2_000),
    "a field in may be null": lambda it: fields(it, "Item").update(
        sku={"anyOf": [fields(it, "Item")["sku"], {"type": "null"}]}
    ),
    "a new field out": lambda it: (
        fields(it, "OrderStateChanged").update(carrier={"type": "string"}),
        schema(it, "OrderStateChanged")["required"].append("carrier"),
    ),
    "a new state": lambda it: schema(it, "OrderState")["anyOf"][0]["enum"].append("RETURNED"),
    "a new reason": lambda it: schema(it, "ReasonCode")["anyOf"][0]["enum"].append("fraud_suspected"),
    "a new header out": lambda it: headers(it, "OrderStateChanged")["properties"].update(ce_traceparent={}),
    "a new event type out": lambda it: (
        it["components"]["messages"].update(OrderHeld=it["components"]["messages"]["OrderStateChanged"]),
        it["channels"]["order_events"]["messages"].update(OrderHeld={"$ref": "#/components/messages/OrderHeld"}),
    ),
    "a new topic": lambda it: it["channels"].update(order_held={"address": "order.held", "messages": {}}),
    "other words": lambda it: schema(it, "OrderCreated").update(description="An order.", title="Order"),
}


def changed(change: Change) -> dict[str, Any]:
    document = copy.deepcopy(VERSION_1)
    change(document)
    assert document != VERSION_1
    return document


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_others_is_found_where_it_is(name: str) -> None:
    change, words = BREAKING[name]
    found = breaking_changes(VERSION_1, changed(change))
    assert any(one.startswith(words) for one in found), found


@pytest.mark.parametrize("name", COMPATIBLE)
def test_a_change_within_version_1_is_let_through(name: str) -> None:
    assert breaking_changes(VERSION_1, changed(COMPATIBLE[name])) == []
