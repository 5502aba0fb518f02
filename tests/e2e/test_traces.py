"""One trace from a record's sender to what is published of it, as a receiver of traces sees it."""

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Header, Outgoing, StoredRecord
from tests.helpers.messages.messages import Encoding, message_of
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.servers.otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver
from tests.helpers.system.api_room import open_api
from tests.helpers.system.system import PLANTED_SECRET, OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually

WITHIN_SECONDS = 120.0
STATES = ("RECEIVED", "VALIDATED", "APPROVED", "PAID", "PACKAGE_PREPARED", "CARRIER_DISPATCHED", "SHIPPED", "COMPLETED")


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who traces, and sends a record."""

    sampled: bool = True
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    span_id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    @property
    def headers(self) -> tuple[Header, ...]:
        return (("traceparent", self.traceparent.encode()),)


@dataclass(slots=True)
class Traced:
    """The system, and who receives its traces."""

    system: OrderSystem
    receiver: OtlpReceiver

    async def send(self, order_id: str, event_type: EventType, *headers: Header, **body: Any) -> None:
        message = message_of(event_type, {"order_id": order_id, **body})
        topic = self.system.topic_of(event_type)
        await self.system.produce([Outgoing(topic, message.value, message.key, (*message.headers, *headers))])

    async def until_told(self, sender: Sender, *names: str) -> list[ReceivedSpan]:
        """The spans of a sender's trace, once all of these are among them."""

        def told() -> list[ReceivedSpan]:
            spans = self.receiver.of_trace(sender.trace_id)
            missing = Counter(names) - Counter(bare(span) for span in spans)
            assert not missing, f"{missing} not among {[bare(span) for span in spans]}"
            return spans

        return await assert_eventually(told, WITHIN_SECONDS, "the spans")

    async def until_published(self, order_id: str, state: str) -> None:
        async def published() -> bool:
            return state in traces_of(await self.published(order_id))

        await self.system.wait_until(published, WITHIN_SECONDS, lambda: f"{order_id} {state}")

    async def published(self, order_id: str) -> list[StoredRecord]:
        records = [one for one in await self.system.published() if one.key == order_id.encode()]
        return sorted(records, key=lambda one: one.offset)


def bare(span: ReceivedSpan) -> str:
    """The span's name without the tag of the test's topics."""
    return span.name.rpartition("-")[0] if span.name.startswith(("process ", "send ")) else span.name


def new_order() -> str:
    return f"traced-{secrets.token_hex(6)}"


def assert_whole(spans: list[ReceivedSpan], sender: Sender) -> None:
    """Every span follows another of the trace or the sender's own, and none was told twice."""
    ids = [span.span_id for span in spans]
    assert len(set(ids)) == len(ids), "a span was told twice"
    strangers = [(span.name, span.parent_id) for span in spans if span.parent_id not in {*ids, sender.span_id}]
    assert not strangers
    assert all(span.began_ns <= span.ended_ns for span in spans)


def the(spans: list[ReceivedSpan], name: str) -> ReceivedSpan:
    (found,) = [span for span in spans if bare(span) == name]
    return found


def parent_of(span: ReceivedSpan, spans: list[ReceivedSpan]) -> str:
    (parent,) = [one for one in spans if one.span_id == span.parent_id]
    return bare(parent)


def traces_of(records: list[StoredRecord]) -> dict[str, str | None]:
    """By state, the trace that the event's record carries."""
    found: dict[str, str | None] = {}
    for record in records:
        body, header = json.loads(record.value or b""), record.header("traceparent")
        name = body["state"] if body["type"] == "order.state_changed" else body["type"]
        found[name] = None if header is None else header.split("-")[1]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    """Nothing is kept in memory: each turn of a workflow is replayed from its history."""
    folder = tmp_path_factory.mktemp("traces")
    with otlp_receiver() as receiver:
        async with (
            running_gateway(folder, api_key=PLANTED_SECRET) as gateway,
            order_system(
                endpoints,
                folder,
                gateway=gateway,
                ORDER_APPROVAL_TIMEOUT_SECONDS="600",
                ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
                TRACES_ENDPOINT=receiver.endpoint,
                TRACES_SAMPLE_RATIO="0",
                WORKER_CACHED_WORKFLOWS="0",
                # What is published first is published again.
                FAILPOINTS="after_publish:raise@1",
            ) as system,
        ):
            yield Traced(system, receiver)
            await system.wait_until_idle()


async def test_an_order_with_an_early_approval_and_a_retried_charge_is_one_trace(traced: Traced) -> None:
    order_id, placed, decided = new_order(), Sender(), Sender()
    gateway = traced.system.gateway
    assert gateway is not None
    await gateway.misbehave("POST", "payments", "status:503")
    await traced.send(order_id, EventType.ORDER_APPROVED, ("ce_traceparent", decided.traceparent.encode()))
    await traced.until_told(decided, "process order.approved", "take approve_order")
    await traced.send(order_id, EventType.ORDER_CREATED, *placed.headers, payment_id=f"p-{order_id}")
    await traced.system.wait_until_states(order_id, *STATES, within_seconds=WITHIN_SECONDS)

    approval = await traced.until_told(decided, "run OrderWorkflow", "send order.events")
    order = await traced.until_told(placed, "run ShippingWorkflow", *["send order.events"] * 7)
    assert_whole(approval, decided)
    assert_whole(order, placed)
    records = await traced.published(order_id)
    assert traces_of(records) == dict.fromkeys(STATES, placed.trace_id) | {"APPROVED": decided.trace_id}
    assert {record.header("traceparent").split("-")[2] for record in records} <= {  # type: ignore[union-attr]
        span.span_id for span in [*approval, *order]
    }

    assert the(order, "process order.created").parent_id == placed.span_id
    assert the(order, "process order.created").kind == "CONSUMER"
    assert the(order, "process order.created").attributes["bridge.outcome"] == "delivered"
    assert parent_of(the(order, "signal_with_start OrderWorkflow"), order) == "process order.created"
    assert parent_of(the(order, "take order_created"), order) == "signal_with_start OrderWorkflow"
    assert the(order, "take order_created").links == (decided.trace_id,)
    assert parent_of(the(order, "run ShippingWorkflow"), order) == "take order_created"
    charges = [span for span in order if span.name == "attempt charge_payment"]
    assert [(span.attributes["temporal.attempt"], span.failed) for span in charges] == [(1, True), (2, False)]
    asked = [span for span in order if span.name == "POST payment_gateway"]
    assert {parent_of(span, order) for span in asked} == {"attempt charge_payment"}
    told = [one["traceparent"] for one in await gateway.requests() if one["body"].get("payment_id") == f"p-{order_id}"]
    assert [traceparent.split("-")[1:3] for traceparent in told] == [[one.trace_id, one.span_id] for one in asked]
    assert {span.service for span in order} == {"orders-bridge", "orders-worker"}
    names = Counter(bare(span) for span in [*order, *approval])
    assert names["run OrderWorkflow"] == names["take approve_order"] == names["take order_created"] == 1


async def test_an_event_that_is_published_again_is_the_same_to_the_byte(traced: Traced) -> None:
    """The worker fails once, when Kafka has an event and neither the database nor Temporal knows it."""
    order_id, sender = new_order(), Sender()
    await traced.send(order_id, EventType.ORDER_CREATED, *sender.headers, payment_id=f"p-{order_id}")
    await traced.send(order_id, EventType.ORDER_CANCELLED, *sender.headers)
    # The bridge tells in a time of its own, which may be after the worker.
    spans = await traced.until_told(sender, "run OrderWorkflow", "process order.created", "process order.cancelled")
    assert_whole(spans, sender)
    everything = Counter((one.key, one.value, one.headers) for one in await traced.system.published())
    ids = Counter(dict(headers)["ce_id"] for _, _, headers in everything.elements())
    assert max(ids.values()) > 1, "the failpoint was not reached"
    assert len(everything) == len(ids)


async def test_a_shipping_failure_is_in_the_trace_with_each_attempt_and_the_refund(traced: Traced) -> None:
    order_id, sender = new_order(), Sender()
    gateway = traced.system.gateway
    assert gateway is not None
    await gateway.misbehave("POST", "shipments", *["status:422"] * 3)
    await traced.send(order_id, EventType.ORDER_CREATED, *sender.headers, payment_id=f"p-{order_id}")
    await traced.send(order_id, EventType.ORDER_APPROVED, *sender.headers)
    spans = await traced.until_told(
        sender, "run OrderWorkflow", *["run ShippingWorkflow"] * 3, "attempt refund_payment", *["send order.events"] * 6
    )
    assert_whole(spans, sender)
    lost = [span for span in spans if span.name == "run ShippingWorkflow"]
    assert all(span.failed for span in lost)
    assert {parent_of(span, spans) for span in lost} == {"run OrderWorkflow"}
    run = the(spans, "run OrderWorkflow")
    assert not run.failed
    assert run.ended_ns > max(span.ended_ns for span in lost)
    traces = traces_of(await traced.published(order_id))
    assert set(traces) >= {"SHIPPING_FAILED", "REFUNDED"}
    assert set(traces.values()) == {sender.trace_id}


async def test_a_late_event_is_a_trace_of_its_own(traced: Traced) -> None:
    order_id, placed, late = new_order(), Sender(), Sender()
    await traced.send(order_id, EventType.ORDER_CREATED, *placed.headers, payment_id=f"p-{order_id}")
    await traced.send(order_id, EventType.ORDER_CANCELLED, *placed.headers)
    await traced.until_told(placed, "run OrderWorkflow")
    structured = message_of(
        EventType.ORDER_APPROVED, {"order_id": order_id}, encoding=Encoding.STRUCTURED, event_id=secrets.token_hex(4)
    )
    value = json.dumps(json.loads(structured.value or b"") | {"traceparent": late.traceparent}).encode()
    topic = traced.system.topic_of(EventType.ORDER_APPROVED)
    await traced.system.produce([Outgoing(topic, value, structured.key, structured.headers)])
    spans = await traced.until_told(late, "run LateEventWorkflow", "send order.events", "process order.approved")
    assert_whole(spans, late)
    assert the(spans, "process order.approved").attributes["bridge.outcome"] == "late"
    assert parent_of(the(spans, "start LateEventWorkflow"), spans) == "process order.approved"
    assert parent_of(the(spans, "attempt answer_late_events"), spans) == "run LateEventWorkflow"
    traces = traces_of(await traced.published(order_id))
    assert (traces["CANCELLED"], traces["order.event_rejected"]) == (placed.trace_id, late.trace_id)


async def test_what_a_sender_does_not_sample_or_trace_is_not_traced(traced: Traced) -> None:
    unsampled, untraced, sender = new_order(), new_order(), Sender(sampled=False)
    known = {span.trace_id for span in traced.receiver.spans}
    for order_id, headers in ((unsampled, sender.headers), (untraced, ())):
        await traced.send(order_id, EventType.ORDER_CREATED, *headers, payment_id=f"p-{order_id}")
        await traced.send(order_id, EventType.ORDER_CANCELLED, *headers)
        await traced.until_published(order_id, "CANCELLED")
    # What comes after them is told, and they are not.
    order_id, following = new_order(), Sender()
    await traced.send(order_id, EventType.ORDER_CREATED, *following.headers, payment_id=f"p-{order_id}")
    await traced.send(order_id, EventType.ORDER_CANCELLED, *following.headers)
    await traced.until_told(following, "run OrderWorkflow", *["process order.created", "process order.cancelled"])
    assert {span.trace_id for span in traced.receiver.spans} - known == {following.trace_id}
    for order_id in (unsampled, untraced):
        assert set(traces_of(await traced.published(order_id)).values()) == {None}


async def test_a_record_that_is_set_aside_says_so_in_its_trace(traced: Traced) -> None:
    sender = Sender()
    topic = traced.system.topic_of(EventType.ORDER_CREATED)
    await traced.system.produce([Outgoing(topic, b"{", None, sender.headers)])
    (span,) = await traced.until_told(sender, "process order.created")
    assert (span.failed, span.error) == (True, "json_truncated")
    assert span.attributes["bridge.outcome"] == "dead_lettered"
    (letter,) = [one for one in await traced.system.dead_letters() if one.header("traceparent") == sender.traceparent]
    assert letter.value == b"{"


async def test_a_request_to_the_api_is_the_trace_of_the_order_that_it_starts(traced: Traced) -> None:
    order_id, sender = new_order(), Sender()
    async with open_api(traced.system) as api:
        sent = {"traceparent": sender.traceparent, "Prefer": "wait=30"}
        answer = await api.http.post(f"/orders/{order_id}/start", json={"payment_id": f"p-{order_id}"}, headers=sent)
        assert answer.status_code == 201, answer.text
        assert (await api.signal(order_id, "cancel", traceparent=sender.traceparent)).status_code == 200
        spans = await traced.until_told(sender, "run OrderWorkflow", "POST /orders/{order_id}/start")
    assert_whole(spans, sender)
    request = the(spans, "POST /orders/{order_id}/start")
    assert (request.kind, request.service, request.parent_id) == ("SERVER", "orders-api", sender.span_id)
    assert request.attributes["http.response.status_code"] == 201
    starts = [span for span in spans if span.name == "signal_with_start OrderWorkflow"]
    assert {parent_of(span, spans) for span in starts} >= {"POST /orders/{order_id}/start"}
    assert set(traces_of(await traced.published(order_id)).values()) == {sender.trace_id}


async def test_lines_of_the_log_name_their_order_and_their_trace(traced: Traced) -> None:
    order_id, sender = new_order(), Sender()
    gateway = traced.system.gateway
    assert gateway is not None
    await gateway.misbehave("POST", "payments", "status:503")
    await traced.send(order_id, EventType.ORDER_CREATED, *sender.headers, payment_id=f"p-{order_id}")
    await traced.send(order_id, EventType.ORDER_APPROVED, *sender.headers)
    spans = await traced.until_told(sender, "run OrderWorkflow")

    def lines() -> list[dict[str, Any]]:
        log = "\n".join(process.log for process in traced.system.processes)
        found = [json.loads(line) for line in log.splitlines() if order_id in line and line.startswith("{")]
        assert {one["event"] for one in found} >= {"activity.failed", "bridge.record.settled"}
        return found

    for line in await assert_eventually(lines, WITHIN_SECONDS, "the lines"):
        if line["event"] == "activity.failed":
            assert line["order_id"] == order_id
            assert line["trace_id"] == sender.trace_id
            assert line["span_id"] in {span.span_id for span in spans if span.name == "attempt charge_payment"}
