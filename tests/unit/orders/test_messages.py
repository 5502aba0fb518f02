"""What the command line makes of options, and how it shows what comes back. Pure."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge import Record
from orders.cli.rendering.event_lines import event_line
from orders.local.console_producer import ConsoleProducer, example_messages
from orders.local.log_lines import readable_line
from orders.mapping import OrderMapping
from orders.operations.bodies import body_fields, build_body
from orders.operations.messages import Encoding, encode_message, order_id_in
from schemas.event_types import INBOUND, EventType

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("event_type", list(EventType))
def test_the_bridge_reads_what_the_command_line_writes(event_type: EventType, encoding: Encoding) -> None:
    body = build_body(event_type, example_messages("o-1")[event_type])
    message = encode_message(event_type, body_fields(body), encoding=encoding, event_id="e-1", time=NOW)
    record = Record(
        topic=event_type.value,
        partition=0,
        offset=7,
        timestamp_ms=1,
        key=b"o-1",
        value=message.value,
        headers=message.headers,
    )
    decoded = OrderMapping({event_type.value: event_type}).read(record)
    assert decoded.body == body
    if encoding is Encoding.BARE:
        assert decoded.event.event_id.startswith(f"{event_type.value}:0:7:")
    else:
        assert decoded.event.event_id.endswith("e-1")
        assert decoded.event.occurred_at == NOW


@pytest.mark.parametrize(
    ("value", "order_id"),
    [
        (b'{"order_id": "o-1"}', "o-1"),
        (b'{"specversion": "1.0", "data": {"order_id": "o-2"}}', "o-2"),
        (b'{"order_id": 7}', None),
        (b"[1]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_key_of_a_message_written_elsewhere_is_its_order_id(value: bytes, order_id: str | None) -> None:
    assert order_id_in(value) == order_id


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("event_type", list(EventType))
def test_a_printed_line_survives_the_shell(event_type: EventType, *, keyed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "with spaces & 'quotes'"
    folder.mkdir()
    program = folder / "producer"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nprintf "== "\ncat\n')
    program.chmod(0o700)
    fields = example_messages("o-1")[event_type] | {"note": 'it\'s "so" | $HOME `x`'}
    producer = ConsoleProducer(program, "127.0.0.1:9092", {event: event.value for event in EventType})
    line = producer.line(event_type, fields, keyed=keyed)
    said = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True).stdout
    arguments, value = said.split("== ")
    assert arguments.splitlines() == producer.arguments(event_type, keyed=keyed)[1:]
    key, found, text = value.partition("|") if keyed else ("o-1", "", value)
    assert key == "o-1"
    assert bool(found) is keyed
    assert json.loads(text) == fields


def test_the_examples_keep_the_contract() -> None:
    for event_type, fields in example_messages("o-1").items():
        INBOUND[event_type].body.model_validate_json(json.dumps(fields))


def test_a_log_line_is_shortened_for_a_person() -> None:
    line = json.dumps(
        {"event": "bridge.record.settled", "level": "info", "timestamp": "2026-11-23T04:05:06Z", "workflow_id": "[o]"}
    )
    assert readable_line(line) == "[dim]04:05:06[/dim] bridge.record.settled [dim]workflow_id=\\[o][/dim]"


def test_a_library_is_heard_only_when_it_warns() -> None:
    told = {"event": "Joined group", "logger": "aiokafka.consumer", "level": "info"}
    assert readable_line(json.dumps(told)) is None
    assert readable_line(json.dumps({**told, "level": "warning"})) is not None


@pytest.mark.parametrize("text", ["Traceback (most recent call last):", "{not json", "[1, 2]", "7"])
def test_a_line_that_is_no_log_line_is_shown_as_it_is(text: str) -> None:
    shown = readable_line(text)
    assert shown is not None
    assert shown.replace("\\[", "[") == text


def test_events_are_told_with_their_reason_or_their_cause() -> None:
    cause = {"event_id": "e", "type": "order.cancelled"}
    common = {"occurred_at": "2026-11-23T04:05:06.789Z", "order_id": "o-1", "sequence": 3}
    assert "EXPIRED" in event_line(
        "order.state_changed", {**common, "state": "EXPIRED", "reason": "approval_timed_out"}
    )
    assert "← order.cancelled" in event_line("order.state_changed", {**common, "state": "CANCELLED", "cause": cause})
    refused = event_line("order.event_rejected", {**common, "cause": cause, "reason": "order_closed"})
    assert "order.cancelled refused" in refused
    assert "(order_closed)" in refused
    for verified_by, words in ((None, "unverified"), ("api", "signed in"), ("signature:desk-1", "signed with desk-1")):
        decided = {**common, "state": "APPROVED", "cause": cause | {"by": "ada", "verified_by": verified_by}}
        assert f"by ada, {words}[/dim]" in event_line("order.state_changed", decided)
    moved = event_line("order.address_changed", {**common, "address": {"city": "[porto]", "street": None}})
    assert "to \\[porto]" in moved
