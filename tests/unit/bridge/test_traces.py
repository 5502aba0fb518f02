"""Which records a bridge traces, and what of them it tells."""

import asyncio
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.client import Client
from temporalio.service import RPCError

from bridge import BridgeTraces, Call, Header, Record
from bridge.calls import SINGLE_ATTEMPT, CallOutcome
from bridge.config import BridgeConfig
from bridge.engine.attempts import Attempter, Retry, Settled, ToSetAside
from bridge.engine.offsets import Partition, Ticket
from bridge.engine.work import Work
from bridge.health import Health
from bridge.refusal import Refusal, RefusalCode, Stage
from bridge.traces import flags_of
from tests.helpers.system.processes import free_port

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01".encode()
UNSAMPLED = f"00-{TRACE}-{SPAN}-00".encode()
OTHER = b"00-11111111111111111111111111111111-2222222222222222-01"
CALL = Call("Refill", "device-1", "devices")


class Told:
    """A tracer whose spans are kept."""

    def __init__(self, ratio: float = 0.0) -> None:
        self._exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.traces = BridgeTraces(provider.get_tracer("test"), ratio=ratio, group_id="devices")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def begin(self, *headers: Header, translated: object = CALL) -> ReadableSpan | None:
        """The span of a record with these headers, ended."""
        trace = self.traces.begin(record(*headers), translated)
        if trace is None:
            return None
        trace.end("delivered", None)
        return self.spans[-1]


def record(*headers: Header) -> Record:
    return Record("refilled", 3, 17, 0, None, b"{}", headers)


def ids_of(span: ReadableSpan | None) -> tuple[str, str | None]:
    assert span is not None
    assert span.context is not None
    parent = None if span.parent is None else f"{span.parent.span_id:016x}"
    return f"{span.context.trace_id:032x}", parent


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", SAMPLED)],
        [("Traceparent", b" " + SAMPLED + b" ")],
        [("ce_traceparent", SAMPLED)],
        [("ce-traceparent", SAMPLED)],
        [("x", None), ("ce_traceparent", OTHER), ("traceparent", SAMPLED), ("traceparent", OTHER)],
        [("traceparent", b"cc" + SAMPLED[2:] + b"-more")],
        [("traceparent", SAMPLED[:-2] + b"03")],
        [("traceparent", SAMPLED[:-2] + b"ff")],
        [("baggage", b"userId=alice,isProduction=false"), ("traceparent", SAMPLED), ("tracestate", b"\xff=,=")],
        [("traceparent", SAMPLED), ("tracestate", b"v=" + b"x" * 100_000)],
    ],
)
def test_a_record_goes_on_with_its_sender_s_trace(headers: list[Header]) -> None:
    assert ids_of(Told().begin(*headers)) == (TRACE, SPAN)


def test_what_the_value_says_counts_where_the_headers_say_nothing() -> None:
    call = Call("Refill", "device-1", "devices", traceparent=SAMPLED.decode())
    assert ids_of(Told().begin(translated=call)) == (TRACE, SPAN)
    told = ids_of(Told().begin(("traceparent", OTHER), translated=call))
    assert told == ("1" * 32, "2" * 16)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("flags", [b"00", b"02", b"fe"])
def test_what_its_sender_does_not_sample_is_not_traced(ratio: float, flags: bytes) -> None:
    unsampled = SAMPLED[:-2] + flags
    assert Told(ratio).begin(("traceparent", unsampled)) is None
    assert Told(ratio).begin(("ce_traceparent", unsampled)) is None
    assert Told(ratio).begin(("traceparent", unsampled), ("ce_traceparent", SAMPLED)) is None
    assert Told(ratio).begin(translated=Call("Refill", "d", "devices", traceparent=unsampled.decode())) is None


@pytest.mark.parametrize(
    "unreadable",
    [
        None,
        b"",
        b"\xff\xfe",
        b"00-xyz-1-01",
        b"ff" + SAMPLED[2:],
        SAMPLED.upper(),
        SAMPLED[:-1],
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        SAMPLED + b"-more",
        UNSAMPLED + b"-more",
        b"cc" + SAMPLED[2:] + b"more",
        b"cc" + SAMPLED[2:] + b"-" + b"x" * 500,
        SAMPLED + b"\n" + SAMPLED,
        SAMPLED.replace(b"-", b"_"),
        SAMPLED.decode().replace("0", "\u0660").encode(),
        b"0" * 1_000_000,
    ],
)
def test_a_trace_that_nobody_can_read_is_none(unreadable: bytes | None) -> None:
    assert Told(0.0).begin(("traceparent", unreadable)) is None
    trace_id, parent = ids_of(Told(1.0).begin(("traceparent", unreadable)))
    assert parent is None
    assert trace_id != TRACE


@given(
    st.tuples(
        st.sampled_from(["00", "01", "cc", "ff", "0", "0g", "FF", ""]),
        st.sampled_from([TRACE, "0" * 32, TRACE.upper(), TRACE[1:], "g" * 32]),
        st.sampled_from([SPAN, "0" * 16, SPAN.upper(), SPAN[1:]]),
        st.sampled_from(["00", "01", "02", "ff", "0", "FF", "0x", "-1"]),
    ),
    st.sampled_from(["", "-", "-more", "more", "-" + "x" * 456, "-" + "x" * 457, "\x00", " 1"]),
    st.sampled_from(["-", "_", "--"]),
)
def test_what_is_a_trace_here_is_one_to_opentelemetry(parts: tuple[str, ...], rest: str, between: str) -> None:
    text = between.join(parts) + rest
    read = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text}, Context()))
    context = read.get_span_context()
    assert flags_of(text) == (int(context.trace_flags) if context.is_valid else None)


def test_of_records_without_a_trace_the_share_begins_one() -> None:
    told = Told(0.5)
    begun = [told.begin() for _ in range(400)]
    assert 100 < sum(span is not None for span in begun) < 300


def test_a_span_says_where_its_record_was_and_what_became_of_it() -> None:
    span = Told().begin(("traceparent", SAMPLED), ("tracestate", b"vendor=1"))
    assert span is not None
    assert span.attributes is not None
    assert (span.name, span.kind) == ("process refilled", SpanKind.CONSUMER)
    assert dict(span.attributes) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": "refilled",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 17,
        "messaging.consumer.group.name": "devices",
        "temporalWorkflowID": "device-1",
        "bridge.outcome": "delivered",
    }
    assert span.context is not None
    assert span.context.trace_state.get("vendor") == "1"


class Temporal:
    """Fails so many times first, and keeps within which span each call was made."""

    def __init__(self, failures: int = 0) -> None:
        self._failures = failures
        self.within: list[int] = []

    async def make(self, call: Call) -> CallOutcome:  # noqa: ARG002 -- the port's
        self.within.append(get_current_span().get_span_context().span_id)
        await asyncio.sleep(0)
        if self._failures:
            self._failures -= 1
            raise ConnectionError
        return CallOutcome.DELIVERED


class Letters:
    async def set_aside(self, record: Record, refusal: Refusal, *, attempts: int) -> None:
        """Takes it."""


def attempter(told: Told | None, temporal: Temporal) -> Attempter:
    config = BridgeConfig("devices", "devices.dead")
    return Attempter(temporal, Letters(), Health(), config, traces=None if told is None else told.traces)


def work(translated: Any = CALL, *headers: Header) -> Work:
    return Work.of(record(*headers), translated, Ticket(Partition("refilled", 3), 17, 0))


async def test_a_record_has_one_span_however_often_it_is_tried() -> None:
    told, temporal = Told(1.0), Temporal(failures=2)
    one, tried = work(), attempter(told, temporal)
    assert [type(await tried.attempt(one)) for _ in range(3)] == [Retry, Retry, Settled]
    (span,) = told.spans
    assert span.context is not None
    assert temporal.within == [span.context.span_id] * 3
    assert not get_current_span().get_span_context().is_valid, "what comes after it does not belong to it"


async def test_a_refused_record_s_span_ends_with_its_dead_letter() -> None:
    told = Told()
    refusal = Refusal(Stage.SCHEMA, RefusalCode.JSON_TRUNCATED, "half of it")
    one, tried = work(refusal, ("traceparent", SAMPLED)), attempter(told, Temporal())
    assert isinstance(await tried.attempt(one), ToSetAside)
    assert not told.spans
    assert isinstance(await tried.attempt(one), Settled)
    (span,) = told.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "json_truncated")
    assert (span.attributes or {})["bridge.outcome"] == "dead_lettered"


async def test_without_traces_nothing_is_asked_of_a_record() -> None:
    one, temporal = work(CALL, ("traceparent", SAMPLED)), Temporal()
    assert isinstance(await attempter(None, temporal).attempt(one), Settled)
    assert one.trace is None
    assert temporal.within == [0]


async def test_a_record_that_is_not_traced_is_delivered_without_a_span() -> None:
    told, temporal = Told(), Temporal()
    one = work(CALL, ("traceparent", UNSAMPLED))
    assert isinstance(await attempter(told, temporal).attempt(one), Settled)
    assert (one.trace, told.spans, temporal.within) == (None, (), [0])


async def test_a_call_that_fails_ends_its_span_without_what_the_error_says_and_none_begins_outside_of_a_trace() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    told, client = Told(), await Client.connect(nobody, lazy=True, retry_config=SINGLE_ATTEMPT)
    traced = told.traces.traced(client)

    async def call() -> str:
        with pytest.raises((RPCError, RuntimeError)) as failed:
            await traced.start_workflow("Refill", id="device-1", task_queue="devices")
        return failed.type.__name__

    await call()
    assert not told.spans
    trace = told.traces.begin(record(("traceparent", SAMPLED)), CALL)
    assert trace is not None
    with trace.current():
        kind = await call()
    (span,) = told.spans
    assert (span.name, span.kind) == ("start Refill", SpanKind.CLIENT)
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, kind, ())


async def test_a_bridge_without_traces_imports_nothing_of_opentelemetry() -> None:
    program = (
        "import sys, bridge.service; "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    output, _ = await process.communicate()
    assert output.decode().strip() == "[]"
