"""A bridge whose records are all traced, and whose receiver of traces does not take the spans."""

import secrets

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.servers.otlp_receiver import otlp_receiver
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import order_system

ORDERS, EVENTS_EACH = 90, 50
SPANS_A_RECORD = 2
"""The record's own, and that of its call."""
SAID_AT_MOST = 3


async def counts(port: int) -> dict[str, float]:
    """What the bridge has settled, and what became of its spans, by outcome."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    wanted = {"orders_bridge_records_settled_total", "orders_spans_exported_total"}
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in wanted:
                found[sample.labels["outcome"]] = found.get(sample.labels["outcome"], 0) + sample.value
    return found


async def test_under_load_a_receiver_that_never_answers_costs_spans_and_no_record(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """More spans than may wait: all records are handed over once, and what became of every span is counted."""
    port, records = free_port(), ORDERS * EVENTS_EACH
    orders = [f"o-{secrets.token_hex(6)}" for _ in range(ORDERS)]
    with otlp_receiver() as receiver:
        receiver.answering.clear()
        async with order_system(endpoints, tmp_path_factory.mktemp("away"), start=False) as system:
            topic = system.topic_of(EventType.ORDER_APPROVED)
            messages = [message_of(EventType.ORDER_APPROVED, {"order_id": one}) for one in orders]
            sent = [Outgoing(topic, one.value, one.key, one.headers) for one in messages]
            await system.produce(sent * EVENTS_EACH)
            bridge = system.start_bridge(
                TRACES_ENDPOINT=receiver.endpoint, TRACES_SAMPLE_RATIO="1", BRIDGE_HEALTH_PORT=str(port)
            )
            await system.wait_until_drained()
            there: dict[str, float] = {}

            async def all_is_counted() -> bool:
                there.update(await counts(port))
                return there["delivered"] == records and there["dropped"] + there["lost"] > 0

            await system.wait_until(all_is_counted, 60, lambda: str(there))
            # A busy machine may hand records over so slowly that batches are lost before the queue is full.
            without = {outcome: there[outcome] for outcome in ("dropped", "lost") if there[outcome]}
            assert {outcome: count for outcome, count in there.items() if count} == {"delivered": records, **without}
            assert there["dropped"] + there["lost"] <= SPANS_A_RECORD * records
            receiver.answering.set()
            await bridge.terminate()
            for order_id in orders[:3]:
                run = system.client.get_workflow_handle(f"order:{order_id}")
                kinds = [event.WhichOneof("attributes") async for event in run.fetch_history_events()]
                assert kinds.count("workflow_execution_signaled_event_attributes") == EVENTS_EACH
            for outcome, event in (("dropped", '"traces.spans.dropped"'), ("lost", '"traces.exporter.lost"')):
                # Not for each span; of dropped ones again once the queue was half empty, as where batches are lost.
                assert bool(there[outcome]) <= bridge.log.count(event) <= SAID_AT_MOST, (
                    outcome,
                    there,
                    bridge.log_tail,
                )
