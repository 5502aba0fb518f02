"""The checker finds what is wrong: each rule is shown evidence that breaks it, and evidence that does not."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import pytest

from tests.helpers.checker.checker import assert_no_violations, check
from tests.helpers.checker.commit_log import Commit
from tests.helpers.checker.evidence import (
    Evidence,
    InboundRow,
    LedgerEntry,
    OrderRow,
    Run,
    ShipmentRow,
    identity_of,
)
from tests.helpers.checker.sample_evidence import (
    BODIES,
    COMPLETED_PATH,
    GOOD,
    LATE_REJECTION,
    MALFORMED,
    audit_row,
    body_of,
    input_record,
    letter_of,
    path_of,
    published_record,
)
from tests.helpers.messages.kafka_io import PartitionOffsets, StoredRecord

Row = TypeVar("Row")


def without(rows: tuple[Row, ...], index: int) -> tuple[Row, ...]:
    return rows[:index] + rows[index + 1 :]


def with_published(evidence: Evidence, bodies: list[dict[str, Any]]) -> Evidence:
    """The evidence with other events, equal in Kafka and in the audit table, and the order's row to match."""
    states = [body["state"] for body in bodies if body["type"] == "order.state_changed"]
    return replace(
        evidence,
        published=tuple(published_record(body, offset) for offset, body in enumerate(bodies)),
        audit=tuple(audit_row(body) for body in bodies),
        orders=(replace(evidence.orders[0], state=states[-1], last_sequence=bodies[-1]["sequence"]),),
    )


def reordered(first: int, second: int) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        records = list(evidence.published)
        records[first], records[second] = records[second], records[first]
        renumbered = [replace(record, offset=offset) for offset, record in enumerate(records)]
        return replace(evidence, published=tuple(renumbered))

    return change


def repeated_with_other_bytes(evidence: Evidence) -> Evidence:
    again = replace(evidence.published[0], offset=9, value=(evidence.published[0].value or b"") + b" ")
    return replace(evidence, published=(*evidence.published, again))


def two_address_updates_swapped(evidence: Evidence) -> Evidence:
    updates = tuple(
        input_record("order.address_updated", offset, {"order_id": "o-1", "event_id": f"a-{offset}", "address": {}})
        for offset in (0, 1)
    )
    changes = [
        body_of("o-1", sequence, "VALIDATED", "VALIDATED", cause)
        | {"type": "order.address_changed", "address": {"city": cause}}
        for sequence, cause in ((3, "a-1"), (4, "a-0"))
    ]
    later = [body | {"sequence": body["sequence"] + 2} for body in BODIES[2:]]
    decided = tuple(InboundRow(f"a-{offset}", "o-1", "order.address_updated", "applied") for offset in (0, 1))
    offsets = (*evidence.offsets[:3], PartitionOffsets("order.address_updated", 0, begin=0, end=2, committed=2))
    moved = replace(evidence, inputs=evidence.inputs + updates, inbound=evidence.inbound + decided, offsets=offsets)
    return with_published(moved, [*BODIES[:2], *changes, *later])


def effect_twice(evidence: Evidence) -> Evidence:
    return with_published(evidence, [*BODIES, LATE_REJECTION | {"sequence": 10}])


def jumped_over_payment(evidence: Evidence) -> Evidence:
    return with_published(evidence, path_of("o-1", [*COMPLETED_PATH[:3], *COMPLETED_PATH[4:]]))


def went_on_after_the_end(evidence: Evidence) -> Evidence:
    return with_published(evidence, [*BODIES, body_of("o-1", 10, "COMPLETED", "CANCELLED", None)])


def wrong_previous_state(evidence: Evidence) -> Evidence:
    return with_published(evidence, [*BODIES[:1], BODIES[1] | {"previous_state": None}, *BODIES[2:]])


def with_forged_headers(evidence: Evidence, *, kept_as: str) -> Evidence:
    source = replace(MALFORMED, headers=(("dlq_message", b"forged"),))
    letter = letter_of(source)
    kept = replace(letter, headers=((kept_as, b"forged"), *letter.headers[1:]))
    return replace(evidence, inputs=(evidence.inputs[0], source, *evidence.inputs[2:]), dead_letters=(kept,))


def replaced_last_outcome(outcome: str) -> tuple[InboundRow, ...]:
    return (*GOOD.inbound[:2], replace(GOOD.inbound[2], outcome=outcome))


def given_up(*failures: tuple[str, str]) -> Callable[[Evidence], Evidence]:
    """An order that ended for want of an answer, one that was refunded, and what their activities failed of."""
    unknown = path_of("o-2", [(state, None) for state in ("RECEIVED", "VALIDATED", "APPROVED", "PAYMENT_DECLINED")])
    unknown[-1] |= {"reason": "payment_outcome_unknown"}
    refunded = path_of("o-3", [(state, None) for state in REFUNDED_PATH])
    lines = [
        json.dumps({"event": "activity.failed", "workflow_id": workflow, "error_type": kind})
        for workflow, kind in failures
    ]

    def change(evidence: Evidence) -> Evidence:
        more = tuple(published_record(body, 50 + number) for number, body in enumerate([*unknown, *refunded]))
        return replace(
            evidence, published=evidence.published + more, logs={**evidence.logs, "worker": "\n".join(lines)}
        )

    return change


REFUNDED_PATH = ("RECEIVED", "VALIDATED", "APPROVED", "PAID", "SHIPPING_FAILED", "REFUNDED")
PROVIDERS_DOING = (("order:o-2", "ProviderGivenUp"), ("shipping:o-3:2", "ShipmentRefused"))


def fields(**changes: Any) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, **changes)


def offsets(**changes: Any) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, offsets=(replace(evidence.offsets[0], **changes), *evidence.offsets[1:]))


def header_of_the_first_event(name: str, value: bytes) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        first = evidence.published[0]
        headers = tuple((key, value if key == name else old) for key, old in first.headers)
        return replace(evidence, published=(replace(first, headers=headers), *evidence.published[1:]))

    return change


ALIEN = input_record("order.created", 77, b"never produced")


def expired(evidence: Evidence, *, early_seconds: float) -> Evidence:
    """The order is EXPIRED, and its approval came to Kafka so long before its deadline."""
    path = [("RECEIVED", "order.created:0:0"), ("VALIDATED", None), ("EXPIRED", None)]
    bodies = path_of("o-1", path)
    validated_at = datetime.fromisoformat(bodies[1]["occurred_at"]).timestamp()
    at_ms = round((validated_at + evidence.approval_timeout_seconds - early_seconds) * 1_000)
    inputs = [
        replace(record, timestamp_ms=at_ms) if record.topic == "order.approved" else record
        for record in evidence.inputs
    ]
    # An approval without an id of its own is named by its record, and so by the record's time.
    (named,) = (evidence.identity_of(record) for record in inputs if record.topic == "order.approved")
    assert named is not None
    inbound = [replace(row, event_id=named[1]) if row.type == "order.approved" else row for row in evidence.inbound]
    return replace(with_published(evidence, bodies), inputs=tuple(inputs), inbound=tuple(inbound))


WRONG: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "a malformed record without a dead letter": ("I1", fields(dead_letters=())),
    "a record that is applied and set aside": (
        "I1",
        fields(dead_letters=(*GOOD.dead_letters, letter_of(GOOD.inputs[3], 1))),
    ),
    "an inbound event that no record says": (
        "I1",
        fields(inbound=(*GOOD.inbound, InboundRow("ghost", "o-1", "order.approved", "applied"))),
    ),
    "a commit beyond the end": ("I2", offsets(committed=4)),
    "a commit behind the end": ("I2", offsets(committed=2)),
    "no commit at all": ("I2", offsets(committed=None)),
    "a commit that goes back": ("I2", fields(commits=(*GOOD.commits, Commit("order.created", 0, 2)))),
    "two address updates applied the wrong way round": ("I3", two_address_updates_swapped),
    "two completed runs": ("I4", fields(runs=(*GOOD.runs, Run("order:o-1", "r-9", "OrderWorkflow", "COMPLETED")))),
    "one event with its effect twice": ("I5", effect_twice),
    "an effect of an event that is not recorded": ("I5", fields(inbound=GOOD.inbound[1:])),
    "two charges": ("I6", fields(ledger=GOOD.ledger * 2)),
    "a refund without a charge": ("I6", fields(ledger=(LedgerEntry("p-2", "refund", 500),))),
    "two refunds": (
        "I6",
        fields(ledger=(*GOOD.ledger, *(LedgerEntry("p-1", "refund", 500),) * 2)),
    ),
    "a completed order that was not charged": ("I6", fields(ledger=())),
    "a completed order whose money was given back": (
        "I6",
        fields(ledger=(*GOOD.ledger, LedgerEntry("p-1", "refund", 500))),
    ),
    "another amount": ("I6", fields(ledger=(LedgerEntry("p-1", "charge", 501),))),
    "another currency": ("I6", fields(ledger=(LedgerEntry("p-1", "charge", 500, "EUR"),))),
    "a charge of an order that was cancelled": ("I6", fields(orders=(replace(GOOD.orders[0], state="CANCELLED"),))),
    "a gap in the sequence": ("I7", fields(published=without(GOOD.published, 3))),
    "a first occurrence out of order": ("I7", reordered(3, 4)),
    "a repeat with other bytes": ("I7", repeated_with_other_bytes),
    "an event in another partition": (
        "I7",
        fields(published=(*GOOD.published[:8], replace(GOOD.published[8], partition=1))),
    ),
    "a wrong key": ("I7", fields(published=(replace(GOOD.published[0], key=b"o-2"), *GOOD.published[1:]))),
    "a wrong event id": ("I7", header_of_the_first_event("ce_id", b"another")),
    "a wrong sequence header": ("I7", header_of_the_first_event("ce_sequence", b"2")),
    "no time": ("I7", header_of_the_first_event("ce_time", b"")),
    "a body that is not of the contract": (
        "I7",
        fields(published=(*GOOD.published, replace(GOOD.published[0], offset=9, value=b'{"order_id": "o-1"}'))),
    ),
    "a transition that was not published": ("I8", fields(published=GOOD.published[:-1])),
    "a transition that was not recorded": ("I8", fields(audit=GOOD.audit[:-1])),
    "a transition recorded otherwise": (
        "I8",
        fields(audit=(replace(GOOD.audit[0], payload_json="{}"), *GOOD.audit[1:])),
    ),
    "an order in another state": ("I8", fields(orders=(replace(GOOD.orders[0], state="REFUNDED"),))),
    "an order at another sequence": ("I8", fields(orders=(replace(GOOD.orders[0], last_sequence=8),))),
    "an order that is not in the table": ("I8", fields(orders=())),
    "an order of which nothing was published": ("I8", fields(orders=(*GOOD.orders, OrderRow("o-2", "EXPIRED", 0)))),
    "a signal that left no trace": ("I9", fields(inbound=without(GOOD.inbound, 1))),
    "a rejection that was not published": ("I9", lambda evidence: with_published(evidence, BODIES[:-1])),
    "an applied event that was refused as well": (
        "I5",
        fields(inbound=replaced_last_outcome("applied")),
    ),
    "an applied event without an effect": (
        "I9",
        lambda evidence: replace(with_published(evidence, BODIES[:-1]), inbound=replaced_last_outcome("applied")),
    ),
    "a dead letter with other bytes": ("I15", fields(dead_letters=(replace(GOOD.dead_letters[0], value=b"{"),))),
    "a dead letter with another key": ("I15", fields(dead_letters=(replace(GOOD.dead_letters[0], key=None),))),
    "a dead letter without its headers": (
        "I15",
        fields(dead_letters=(replace(GOOD.dead_letters[0], headers=GOOD.dead_letters[0].headers[1:]),)),
    ),
    "a pointer to a small record": (
        "I15",
        fields(dead_letters=(replace(letter_of(MALFORMED, dlq_pointer="true"), value=None),)),
    ),
    "a forged header taken over as ours": (
        "I15",
        lambda evidence: with_forged_headers(evidence, kept_as="dlq_message"),
    ),
    "a dead letter of nothing": ("I15", fields(dead_letters=(*GOOD.dead_letters, letter_of(ALIEN)))),
    "a dead letter without a source": (
        "I15",
        fields(dead_letters=(*GOOD.dead_letters, replace(MALFORMED, topic="order.dead_letters"))),
    ),
    "a dead letter without a reason": ("I15", fields(dead_letters=(letter_of(MALFORMED, dlq_message=""),))),
    "a password in a log": ("I16", fields(logs={"worker": "connecting with s3cret-password"})),
    "an address in a dead letter's header": (
        "I16",
        fields(dead_letters=(letter_of(MALFORMED, dlq_message="bad street Rosenweg 7"),)),
    ),
    "an order that expired though it was approved in time": (
        "I17",
        lambda evidence: expired(evidence, early_seconds=1),
    ),
    "a state that was jumped over": ("LIFE", jumped_over_payment),
    "a state after the end": ("LIFE", went_on_after_the_end),
    "a wrong previous state": ("LIFE", wrong_previous_state),
    "an order that stopped on its way": ("LIFE", fields(orders=(replace(GOOD.orders[0], state="PAID"),))),
    "a completed order that the carrier does not have": ("LIFE", fields(shipments=())),
    "a completed order that was only packed": ("LIFE", fields(shipments=(ShipmentRow("o-1", None, {"city": "Ulm"}),))),
    "an order sent elsewhere": ("LIFE", fields(shipments=(ShipmentRow("o-1", "T-1", {"city": "Bonn"}),))),
    "a refunded order on its way": ("LIFE", fields(orders=(replace(GOOD.orders[0], state="REFUNDED"),))),
    "an order that an outage of ours has ended": (
        "I19",
        given_up(("order:o-2", "DatabaseUnavailable"), PROVIDERS_DOING[1]),
    ),
    "an attempt that a wrong key has lost": (
        "I19",
        given_up(PROVIDERS_DOING[0], ("shipping:o-3:2", "GatewayNotAsked")),
    ),
    "a run that is still open": (
        "LIFE",
        fields(runs=(*GOOD.runs, Run("order:o-1", "r-9", "OrderWorkflow", "RUNNING"))),
    ),
    "an order whose run failed": ("LIFE", fields(runs=(Run("order:o-1", "r-1", "OrderWorkflow", "FAILED"),))),
    "a completed run of an order that never was": (
        "LIFE",
        fields(runs=(*GOOD.runs, Run("order:o-2", "r-9", "OrderWorkflow", "COMPLETED"))),
    ),
}


def test_good_evidence_breaks_nothing() -> None:
    assert_no_violations(GOOD)


@pytest.mark.parametrize(("invariant", "change"), WRONG.values(), ids=WRONG.keys())
def test_wrong_evidence_is_found(invariant: str, change: Callable[[Evidence], Evidence]) -> None:
    assert invariant in {violation.invariant for violation in check(change(GOOD))}


def test_every_invariant_of_the_checker_is_shown_broken() -> None:
    assert {invariant for invariant, _ in WRONG.values()} == {
        "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I15", "I16", "I17", "I19", "LIFE",
    }  # fmt: skip


def test_an_approval_after_the_deadline_saves_no_order() -> None:
    found = {violation.invariant for violation in check(expired(GOOD, early_seconds=-1))}
    assert "I17" not in found


def test_a_failure_names_invariant_order_and_what_happened() -> None:
    with pytest.raises(AssertionError, match=r"I6 p-1: moved money more than once: \{'charge': 2\}"):
        assert_no_violations(replace(GOOD, ledger=GOOD.ledger * 2))


def test_an_order_that_a_provider_has_ended_is_no_violation() -> None:
    assert check(given_up(*PROVIDERS_DOING)(GOOD), drained=False) == []


def test_an_exact_repeat_of_a_published_event_is_allowed() -> None:
    repeats = tuple(replace(record, offset=record.offset + 9) for record in GOOD.published[2:5])
    assert_no_violations(replace(GOOD, published=GOOD.published + repeats))


def test_a_repeated_dead_letter_with_the_same_bytes_is_allowed() -> None:
    assert_no_violations(replace(GOOD, dead_letters=(*GOOD.dead_letters, letter_of(MALFORMED, offset=1))))


def test_an_order_still_on_its_way_is_no_violation_before_the_end() -> None:
    bodies = BODIES[:4]
    underway = replace(
        with_published(GOOD, bodies),
        runs=(Run("order:o-1", "r-1", "OrderWorkflow", "RUNNING"),),
        inbound=GOOD.inbound[:2],
        offsets=(replace(GOOD.offsets[0], committed=1), *GOOD.offsets[1:]),
    )
    assert check(underway, drained=False) == []
    assert {violation.invariant for violation in check(underway)} == {"I2", "I9", "LIFE"}


def test_a_forged_header_is_kept_under_another_name() -> None:
    assert_no_violations(with_forged_headers(GOOD, kept_as="original_dlq_message"))


def test_a_pointer_stands_for_a_record_that_is_too_large() -> None:
    large = replace(MALFORMED, value=b" " * 600_000)
    pointer = replace(letter_of(large, dlq_pointer="true"), value=None)
    assert_no_violations(replace(GOOD, inputs=(GOOD.inputs[0], large, *GOOD.inputs[2:]), dead_letters=(pointer,)))


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        (input_record("order.created", 5, {"order_id": "o-1"}), ("o-1", "order.created:0:5:ebde495098044c76")),
        (input_record("order.created", 5, {"order_id": "o-1", "event_id": "e"}), ("o-1", "e")),
        (
            replace(
                input_record("order.created", 5, {"order_id": "o-1", "event_id": "e"}),
                headers=(("ce_id", b"1"), ("ce_source", b"/shop")),
            ),
            ("o-1", "/shop|1"),
        ),
        (
            replace(
                input_record("order.created", 5, {"id": "1", "source": "/shop", "data": {"order_id": "o-1"}}),
                headers=(("content-type", b"application/cloudevents+json; charset=utf-8"),),
            ),
            ("o-1", "/shop|1"),
        ),
        (
            input_record(
                "order.created", 5, {"specversion": "1.0", "id": "1", "source": "/s", "data": {"order_id": "o"}}
            ),
            ("o", "/s|1"),
        ),
        (input_record("order.created", 5, b"{"), None),
        (input_record("order.created", 5, [1]), None),
        (input_record("order.created", 5, {"order_id": 7}), None),
        (input_record("order.created", 5, b"[" * 100_000), None),
    ],
)
def test_an_event_has_the_identity_that_the_contract_says(
    record: StoredRecord, identity: tuple[str, str] | None
) -> None:
    assert identity_of(record) == identity
