"""One trace from a record's sender through the bridge's call into the workflow, by OpenTelemetry.

What is sampled is the sender's choice: a record whose sender traces is traced, and one whose sender has decided against
it is not, and costs no more than a look at its headers. Of records that come without a trace a share begins one here.

The call carries the trace under the header that the SDK's own interceptors read (`temporalio.contrib.opentelemetry`),
so that workers which use those join in. Only this module imports OpenTelemetry: a bridge without traces never does.
"""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import temporalio.client
from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.converter import PayloadConverter

from bridge.calls import Call
from bridge.record import Record

TRACE_HEADER: Final = "_tracer-data"
"""The header of calls, workflows and activities with the trace's context, as temporalio 1.35 names it."""

_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
"""W3C Trace Context, section 3.2: versions after 00 may add fields behind the flags."""
_TRACEPARENT_CHARS_MAX: Final = 512
"""Of a longer one OpenTelemetry 1.45 reads nothing, so that its trace would begin anew whatever the share."""
_SAMPLED: Final = 1
_HEADERS: Final = {
    "traceparent": "traceparent",
    "tracestate": "tracestate",
    # CloudEvents' extension for distributed tracing, in both spellings of its binary mode.
    "ce_traceparent": "ce_traceparent",
    "ce-traceparent": "ce_traceparent",
    "ce_tracestate": "ce_tracestate",
    "ce-tracestate": "ce_tracestate",
}
_W3C: Final = TraceContextTextMapPropagator()


class RecordTrace:
    """The span of one record, from its first attempt until it is settled."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._context = set_span_in_context(span)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes what happens within the block a part of it."""
        token = context.attach(self._context)
        try:
            yield
        finally:
            context.detach(token)

    def end(self, outcome: str, error_code: str | None) -> None:
        """Ends it with what became of the record, and the code of its refusal where it was refused."""
        self._span.set_attribute("bridge.outcome", outcome)
        if error_code is not None:
            self._span.set_attribute("bridge.refusal", error_code)
            self._span.set_status(Status(StatusCode.ERROR, error_code))
        self._span.end()


class BridgeTraces:
    """Traces what one bridge does.

    Args:
        tracer: Makes the spans. Its sampler has to follow a span's parent; whether a trace begins is decided here.
        ratio: Which share of the records that come without a trace begins one, from 0 to 1.
        group_id: The bridge's consumer group, for its spans.
    """

    def __init__(self, tracer: Tracer, *, ratio: float = 0.0, group_id: str = "") -> None:
        self._tracer = tracer
        self._ratio = ratio
        self._group_id = group_id

    def begin(self, record: Record, translated: object) -> RecordTrace | None:
        """Begins the span of a record; None where it is not traced.

        Args:
            record: The record.
            translated: What the mapping made of it: a call may say where its body has the sender's trace.
        """
        fields = _sent_with(record)
        if not fields and isinstance(translated, Call) and translated.traceparent is not None:
            fields = {"traceparent": translated.traceparent.strip()}
        flags = flags_of(fields["traceparent"]) if fields else None
        if flags is None:
            # A context that nobody can read is none: the trace begins anew (Trace Context, section 3.2.2.5).
            if random.random() >= self._ratio:  # noqa: S311 -- a share, not a secret
                return None
            parent = Context()
        elif not flags & _SAMPLED:
            return None
        else:
            parent = _W3C.extract(fields, Context())
        return RecordTrace(self._span(record, translated, parent))

    def _span(self, record: Record, translated: object, parent: Context) -> Span:
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.consumer.group.name": self._group_id,
        }
        if isinstance(translated, Call):
            attributes["temporalWorkflowID"] = translated.workflow_id
        return self._tracer.start_span(
            f"process {record.topic}", parent, kind=SpanKind.CONSUMER, attributes=attributes
        )  # fmt: skip

    def traced(self, client: Client) -> Client:
        """The client, with calls that belong to the trace of whoever makes them."""
        return traced_client(client, self._tracer)


def traced_client(client: Client, tracer: Tracer) -> Client:
    """A client on the same connection whose starts of workflows carry the trace that they are made in, if there is one.

    Args:
        client: Connected or lazy.
        tracer: Makes a span for each call that is made within one.
    """
    config = client.config()
    config["interceptors"] = [*config["interceptors"], _TracedCalls(tracer)]
    return Client(**config)


def flags_of(traceparent: str) -> int | None:
    """The flags of a ``traceparent``, without all that reading it whole would take; None where nobody can read it."""
    found = _TRACEPARENT.fullmatch(traceparent) if len(traceparent) <= _TRACEPARENT_CHARS_MAX else None
    if found is None or (found[1] == "00" and found[3]):
        return None
    return int(found[2], 16)


def trace_headers(fields: Mapping[str, str]) -> dict[str, Payload]:
    """The headers of a call, workflow or activity that carry a trace."""
    return {TRACE_HEADER: PayloadConverter.default.to_payload(dict(fields))}


class _TracedCalls(temporalio.client.Interceptor):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 -- the SDK's name
        return _TracedOutbound(next, self._tracer)


class _TracedOutbound(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, tracer: Tracer) -> None:
        super().__init__(following)
        self._tracer = tracer

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002 -- as above
        if not get_current_span().is_recording():
            return await super().start_workflow(input)
        operation = "start" if input.start_signal is None else "signal_with_start"
        with self._tracer.start_as_current_span(
            f"{operation} {input.workflow}",
            kind=SpanKind.CLIENT,
            attributes={"temporalWorkflowID": input.id, "temporal.signal": input.start_signal or ""},
            record_exception=False,  # What an error says may quote the payload.
            set_status_on_exception=False,
        ) as span:
            fields: dict[str, str] = {}
            _W3C.inject(fields)
            input.headers = {**input.headers, **trace_headers(fields)}
            try:
                return await super().start_workflow(input)
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


def _sent_with(record: Record) -> dict[str, str]:
    """The sender's context as the headers have it; empty where they have none.

    The header `traceparent` is of whoever produced the record, CloudEvents' extension of where the event began: the
    former is nearer.
    """
    found: dict[str, str] = {}
    for header, value in record.headers:
        name = _HEADERS.get(header.lower())
        if name is not None and value is not None:
            found.setdefault(name, value.decode("ascii", "replace").strip())
    for prefix in ("", "ce_"):
        if f"{prefix}traceparent" in found:
            fields = {"traceparent": found[f"{prefix}traceparent"]}
            if f"{prefix}tracestate" in found:
                fields["tracestate"] = found[f"{prefix}tracestate"]
            return fields
    return {}
