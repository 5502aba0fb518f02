"""Spans of a process, where their receiver takes them and where it is away."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from structlog.testing import capture_logs

from orders.telemetry.log_ids import add_order_id, add_trace
from orders.telemetry.spans import (
    BATCH_SPANS_MAX,
    EXPORTED,
    QUEUE_SPANS_MAX,
    Spans,
    chosen_span_id,
    context_of,
    traceparent_of,
)
from orders.telemetry.traces import process_spans
from tests.helpers.servers.otlp_receiver import OK, otlp_receiver
from tests.helpers.system.processes import free_port
from tests.helpers.system.waiting import assert_eventually

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """Once a process has ended its spans, nothing of them goes on, whether they were taken or not."""
    yield
    for thread in threading.enumerate():
        if thread.name == "last spans" or thread.name.startswith("OtelBatch"):
            thread.join(20)
            assert not thread.is_alive(), thread.name


def tell(spans: Spans, name: str) -> None:
    spans.tracer.start_span(name, context_of({"traceparent": TRACEPARENT})).end()


async def test_spans_are_taken_before_the_process_has_ended() -> None:
    with otlp_receiver() as receiver:
        async with process_spans(receiver.endpoint, "bridge") as spans:
            assert spans is not None
            for number in range(3):
                tell(spans, f"span {number}")
        assert {span.name for span in receiver.spans} == {"span 0", "span 1", "span 2"}
        assert {(span.service, span.trace_id) for span in receiver.spans} == {("orders-bridge", "a" * 32)}


async def test_without_an_endpoint_nothing_is_traced() -> None:
    async with process_spans(None, "bridge") as spans:
        assert spans is None


async def test_a_span_may_be_given_its_id() -> None:
    async with process_spans(f"http://127.0.0.1:{free_port()}/v1/traces", "worker") as spans:
        assert spans is not None
        with chosen_span_id(0x1234):
            span = spans.tracer.start_span("chosen", context_of({"traceparent": TRACEPARENT}))
        assert traceparent_of(span) == f"00-{'a' * 32}-{0x1234:016x}-01"
        assert traceparent_of(spans.tracer.start_span("another")) != traceparent_of(span)


async def test_a_receiver_that_is_away_is_told_once_and_once_that_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("orders.telemetry.spans.EXPORT_TIMEOUT_SECONDS", 0.2)
    caplog.set_level(logging.DEBUG)
    port = free_port()
    with capture_logs() as lines:

        def events() -> list[str]:
            return [line["event"] for line in lines]

        async with process_spans(f"http://127.0.0.1:{port}/v1/traces", "worker") as spans:
            assert spans is not None
            tell(spans, "lost")
            await assert_eventually(lambda: events() == ["traces.exporter.lost"], 30, lambda: str(lines))
            tell(spans, "lost too")
            with otlp_receiver(port) as receiver:

                def recovered() -> bool:
                    tell(spans, "taken")
                    return events() == ["traces.exporter.lost", "traces.exporter.recovered"]

                await assert_eventually(recovered, 30, lambda: str(lines))
                assert any(span.name == "taken" for span in receiver.spans)
    noise = [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")]
    assert not noise


@contextmanager
def counted() -> Iterator[Callable[[], dict[str, int]]]:
    """What becomes of spans within the block, by outcome."""

    def now() -> dict[str, int]:
        samples = [sample for family in EXPORTED.collect() for sample in family.samples]
        return {one.labels["outcome"]: int(one.value) for one in samples if one.name.endswith("_total")}

    before = now()
    yield lambda: {outcome: count - before[outcome] for outcome, count in now().items()}


async def test_a_receiver_that_never_answers_keeps_nobody_waiting_and_what_is_dropped_is_counted_and_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More spans than are kept, and the end: neither waits for a receiver that takes connections and never answers."""
    monkeypatch.setattr("orders.telemetry.spans.EXPORT_TIMEOUT_SECONDS", 600)
    with otlp_receiver() as receiver, counted() as counts, capture_logs() as lines:
        receiver.answering.clear()
        async with process_spans(receiver.endpoint, "worker") as spans:
            assert spans is not None
            for number in range(QUEUE_SPANS_MAX + 100):
                tell(spans, f"span {number}")
            assert counts() == {"taken": 0, "lost": 0, "dropped": 100}
            assert [line["event"] for line in lines] == ["traces.spans.dropped"]
            ended = time.monotonic()
        # A second is what the end waits at most; the rest is for a machine that does much else.
        assert time.monotonic() - ended < 60
        assert [(line["event"], line.get("spans")) for line in lines[1:]] == [
            ("traces.spans.given_up", QUEUE_SPANS_MAX)
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"retry-after": "3600"}),
        (429, {"retry-after": "soon"}),
        (503, {}),
        (500, {}),
        (400, {}),
        (401, {}),
        (404, {}),
        (None, {}),
    ],
)
async def test_a_receiver_that_refuses_or_never_answers_costs_its_spans_and_is_told_once(
    status: int | None, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.telemetry.spans.EXPORT_TIMEOUT_SECONDS", 0.2)
    told = 3 * BATCH_SPANS_MAX
    with otlp_receiver() as receiver, counted() as counts, capture_logs() as lines:
        receiver.status, receiver.headers = status or OK, headers
        if status is None:
            receiver.answering.clear()
        async with process_spans(receiver.endpoint, "bridge") as spans:
            assert spans is not None
            for number in range(told):
                tell(spans, f"span {number}")
            await assert_eventually(
                lambda: counts() == {"taken": 0, "lost": told, "dropped": 0},
                60,
                lambda: f"{counts()} {receiver.requests}",
            )
            assert [line["event"] for line in lines] == ["traces.exporter.lost"]
            receiver.status = OK
            receiver.answering.set()

            def recovered() -> bool:
                tell(spans, "taken")
                return "traces.exporter.recovered" in [line["event"] for line in lines]

            await assert_eventually(recovered, 30, lambda: str(lines))
        # A machine that does much else may take longer than the 0.2 s later on.
        assert [line["event"] for line in lines[:2]] == ["traces.exporter.lost", "traces.exporter.recovered"]


async def test_a_receiver_that_is_slower_than_spans_end_costs_those_that_find_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orders.telemetry.spans.QUEUE_SPANS_MAX", 2 * BATCH_SPANS_MAX)
    with otlp_receiver() as receiver, counted() as counts, capture_logs() as lines:
        receiver.answering.clear()
        async with process_spans(receiver.endpoint, "bridge") as spans:
            assert spans is not None
            for number in range(5 * BATCH_SPANS_MAX):
                tell(spans, f"span {number}")
            assert counts()["dropped"] == 3 * BATCH_SPANS_MAX
            receiver.answering.set()
            room = {"taken": 2 * BATCH_SPANS_MAX, "lost": 0, "dropped": 3 * BATCH_SPANS_MAX}
            await assert_eventually(lambda: counts() == room, 30, lambda: str(counts()))
            assert [line["event"] for line in lines] == ["traces.spans.dropped"]
            # Once it has caught up, it is told anew that it does not.
            receiver.answering.clear()
            for number in range(3 * BATCH_SPANS_MAX):
                tell(spans, f"span {number}")
            assert [line["event"] for line in lines] == ["traces.spans.dropped"] * 2
            receiver.answering.set()
        assert len(receiver.spans) == 4 * BATCH_SPANS_MAX
        assert counts() == {"taken": 4 * BATCH_SPANS_MAX, "lost": 0, "dropped": 4 * BATCH_SPANS_MAX}


def test_a_line_within_a_trace_names_it_and_one_outside_of_it_does_not() -> None:
    assert add_trace(None, "", {"event": "a"}) == {"event": "a"}
    context = SpanContext(0xA, 0xB, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    with use_span(NonRecordingSpan(context)):
        assert add_trace(None, "", {"event": "a"}) == {
            "event": "a",
            "trace_id": f"{0xA:032x}",
            "span_id": f"{0xB:016x}",
        }
        assert add_trace(None, "", {"trace_id": "own"}) == {"trace_id": "own"}


@pytest.mark.parametrize(
    ("fields", "order_id"),
    [
        ({"workflow_id": "order:o-1"}, "o-1"),
        ({"temporal_workflow": {"workflow_id": "shipping:o-2:1"}}, "o-2"),
        ({"temporal_activity": {"workflow_id": "order:o-3"}}, "o-3"),
        ({"workflow_id": "another's"}, None),
        ({"order_id": "o-4", "workflow_id": "order:o-1"}, "o-4"),
        ({"temporal_workflow": "nobody's"}, None),
    ],
)
def test_a_line_that_names_an_order_s_workflow_names_the_order(fields: dict[str, object], order_id: str | None) -> None:
    assert add_order_id(None, "", dict(fields)).get("order_id") == order_id
