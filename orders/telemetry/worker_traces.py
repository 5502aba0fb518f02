"""Continues the trace that comes with a call through workflows and their activities.

Nothing begins here: what came without a trace has none, and costs a look at its headers. The SDK's own interceptor
tells spans without a length, and after a replay gives activities another parent; here a run is one span, told when it
ends, and its id is known from the beginning (`orders.telemetry.run_trace`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NoReturn

import structlog.contextvars
import temporalio.worker
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    StartActivityInput,
    StartChildWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from activities.tracing import Trace, traced_by
from bridge.traces import TRACE_HEADER, trace_headers
from orders.telemetry.run_trace import RunTrace, SpanPlace, trace_id_of
from orders.telemetry.spans import chosen_span_id, context_of, traceparent_of

CAUSES_HEADER: Final = "_orders-causes"
"""On an activity: the traces of the inbound events that its events were caused by. On a run that continues another:
those that it remembers."""
_TELL: Final = "__orders_tell_span"
_CONVERTER: Final = PayloadConverter.default


@dataclass(frozen=True, slots=True)
class _Told:
    """A span of a workflow, which is told once it is over."""

    name: str
    place: SpanPlace
    begun_ns: int
    ended_ns: int
    workflow_id: str
    run_id: str
    linked: str | None = None
    """``traceparent`` of another trace that it has to do with."""
    error: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


class WorkerTraces(temporalio.worker.Interceptor):
    """The interceptor of a worker.

    Args:
        tracer: makes the spans.
        main_signal: the signal whose trace a run's work belongs to.
    """

    main_signal: str | None = None

    def __init__(self, tracer: Tracer, *, main_signal: str) -> None:
        self._tracer = tracer
        self._main_signal = main_signal

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 -- the SDK's name
        """The SDK's hook for activities."""
        return _TracedActivities(next, self._tracer)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002 -- the SDK's name
        """The SDK's hook for workflows: a class, as each run has one of its own."""
        input.unsafe_extern_functions[_TELL] = self._tell
        main = self._main_signal

        class TracedWorkflow(_TracedWorkflow):
            main_signal = main

        return TracedWorkflow

    def _tell(self, told: _Told) -> None:
        """Makes a span that is over. Called out of a workflow, which may be in a sandbox."""
        links = [] if told.linked is None else [Link(_span_of(told.linked).get_span_context())]
        with chosen_span_id(told.place.span_id):
            span = self._tracer.start_span(
                told.name,
                context_of({"traceparent": told.place.parent}),
                kind=SpanKind.INTERNAL,
                attributes={
                    "temporalWorkflowID": told.workflow_id,
                    "temporalRunID": told.run_id,
                    **told.attributes,
                },
                links=links,
                start_time=told.begun_ns,
            )
        if told.error is not None:
            span.set_status(Status(StatusCode.ERROR, told.error))
        span.end(told.ended_ns)


class _TracedWorkflow(WorkflowInboundInterceptor):
    """What comes in to one run: its start and its signals, each with the trace that it brings."""

    main_signal: str | None = None

    @cached_property
    def trace(self) -> RunTrace:
        """The run's traces; made at first use, as the SDK knows the run only once all interceptors are made."""
        info = workflow.info()
        carried = _read(info.headers, CAUSES_HEADER)
        return RunTrace(info.run_id, _traceparent(info.headers), self.main_signal, carried)

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Puts `_TracedOutbound` between the run and the SDK."""
        super().init(_TracedOutbound(outbound, self))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 -- the SDK's name
        """Runs it, and tells its span when it has ended."""
        if self.trace.current is not None:
            structlog.contextvars.bind_contextvars(trace_id=trace_id_of(self.trace.current))
        try:
            result = await super().execute_workflow(input)
        except FailureError as failure:  # Any other one fails the workflow task alone: the run goes on.
            self._tell_run(_kind_of(failure))
            raise
        except workflow.ContinueAsNewError:
            self._tell_run(None)
            raise
        self._tell_run(None)
        return result

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 -- the SDK's name
        """Takes a signal, and tells a span of it."""
        parent = _traceparent(input.headers)
        if parent is not None:
            event_id, before = _event_id(input.args), self.trace.current
            place = self.trace.took(input.signal, parent, event_id)
            other = before is not None and trace_id_of(before) != trace_id_of(parent)
            now = workflow.time_ns()
            self._tell(f"take {input.signal}", place, now, now, linked=before if other else None)
        await super().handle_signal(input)

    def _tell_run(self, error: str | None) -> None:
        if self.trace.run is not None:
            name, now = f"run {workflow.info().workflow_type}", workflow.time_ns()
            begun = round(workflow.info().start_time.timestamp() * 1_000_000) * 1_000
            self._tell(name, self.trace.run, begun, now, error=error)

    def _tell(
        self,
        name: str,
        place: SpanPlace,
        begun_ns: int,
        ended_ns: int,
        *,
        linked: str | None = None,
        error: str | None = None,
    ) -> None:
        if workflow.unsafe.is_replaying():
            return
        info = workflow.info()
        told = _Told(name, place, begun_ns, ended_ns, info.workflow_id, info.run_id, linked, error)
        workflow.extern_functions()[_TELL](told)


class _TracedOutbound(WorkflowOutboundInterceptor):
    """What a run asks of others: activities, children and its continuation, each with the trace to go on with."""

    def __init__(self, following: WorkflowOutboundInterceptor, inbound: _TracedWorkflow) -> None:
        super().__init__(following)
        self._inbound = inbound

    @property
    def _trace(self) -> RunTrace:
        return self._inbound.trace

    def start_activity(self, input: StartActivityInput) -> "workflow.ActivityHandle[Any]":  # noqa: A002 -- the SDK's name
        """Gives an activity its trace."""
        input.headers = self._with_trace(input.headers, input.args)
        return super().start_activity(input)

    async def start_child_workflow(
        self,
        input: StartChildWorkflowInput,  # noqa: A002 -- the SDK's name
    ) -> "workflow.ChildWorkflowHandle[Any, Any]":
        """Gives a child its trace."""
        input.headers = self._with_trace(input.headers, ())
        return await super().start_child_workflow(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:  # noqa: A002 -- the SDK's name
        """Gives the next run what this one was begun with, and what it remembers."""
        if self._trace.run is not None:
            input.headers = {**input.headers, **trace_headers({"traceparent": self._trace.run.parent})}
        if self._trace.carried:
            input.headers = {**input.headers, CAUSES_HEADER: _CONVERTER.to_payload(self._trace.carried)}
        super().continue_as_new(input)

    def _with_trace(self, headers: Mapping[str, Payload], arguments: Sequence[Any]) -> Mapping[str, Payload]:
        current = self._trace.current
        if current is None:
            return headers
        headers = {**headers, **trace_headers({"traceparent": current})}
        causes = self._trace.of_causes(_causes_in(arguments))
        return {**headers, CAUSES_HEADER: _CONVERTER.to_payload(causes)} if causes else headers


class _TracedActivities(ActivityInboundInterceptor):
    """Runs activities within their trace."""

    def __init__(self, following: ActivityInboundInterceptor, tracer: Tracer) -> None:
        super().__init__(following)
        self._tracer = tracer

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 -- the SDK's name
        """Runs one attempt."""
        traceparent = _traceparent(input.headers)
        if traceparent is None:
            return await super().execute_activity(input)
        info = activity.info()
        with self._tracer.start_as_current_span(
            f"attempt {info.activity_type}",
            context_of({"traceparent": traceparent}),
            kind=SpanKind.INTERNAL,
            attributes={
                "temporalWorkflowID": info.workflow_id or "",
                "temporalRunID": info.workflow_run_id or "",
                "temporalActivityID": info.activity_id,
                "temporal.attempt": info.attempt,
            },
            record_exception=False,  # What an error says may quote what a customer wrote.
            set_status_on_exception=False,
        ) as span:
            context = span.get_span_context()
            # Not taken back: the SDK tells of a failure when this is over, still in the activity's own task.
            structlog.contextvars.bind_contextvars(
                trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}"
            )
            try:
                with traced_by(_ActivityTrace(self._tracer, span, _read(input.headers, CAUSES_HEADER))):
                    return await super().execute_activity(input)
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, _kind_of(error)))
                raise


class _ActivityTrace(Trace):
    """The port's implementation."""

    def __init__(self, tracer: Tracer, span: Span, causes: Mapping[str, str]) -> None:
        self._tracer = tracer
        self._own = traceparent_of(span)
        self._causes = causes

    def of_event(self, cause: str | None) -> str:
        """See the port."""
        return self._own if cause is None else self._causes.get(cause, self._own)

    @contextmanager
    def requesting(self, method: str, server: str) -> Iterator[str]:
        """See the port."""
        with self._tracer.start_as_current_span(
            f"{method} {server}",
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, "peer.service": server},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield traceparent_of(span)
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    @contextmanager
    def sending(self, topic: str, traceparent: str | None) -> Iterator[None]:
        """See the port. An event that was recorded before it was traced belongs to whoever sends it."""
        with self._tracer.start_as_current_span(
            f"send {topic}",
            context_of({"traceparent": traceparent or self._own}),
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "send",
                "messaging.destination.name": topic,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


def _read(headers: Mapping[str, Payload], name: str) -> dict[str, str]:
    """The value of one of our headers; empty where it is absent or cannot be read."""
    payload = headers.get(name)
    if payload is None:
        return {}
    try:
        value = _CONVERTER.from_payload(payload)
    except Exception:  # noqa: BLE001 -- another's header under our name must not stop a run
        return {}
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def _traceparent(headers: Mapping[str, Payload]) -> str | None:
    """The sampled trace that comes with these headers; None where there is none."""
    traceparent = _read(headers, TRACE_HEADER).get("traceparent", "") if TRACE_HEADER in headers else ""
    sampled = traceparent and _span_of(traceparent).get_span_context().trace_flags.sampled
    return traceparent if sampled else None


def _span_of(traceparent: str) -> Span:
    return get_current_span(context_of({"traceparent": traceparent}))


def _event_id(arguments: Sequence[Any]) -> str | None:
    """The id of the inbound event that a signal brings; None where it says none."""
    raw = next((one for one in _flat(arguments) if isinstance(one, RawValue)), None)
    if raw is None:
        return None
    try:
        return str(json.loads(raw.payload.data)["event_id"])
    except (ValueError, LookupError, TypeError):
        return None


def _flat(arguments: Sequence[Any]) -> Iterator[Any]:
    for one in arguments:
        yield from one if isinstance(one, list | tuple) else (one,)


def _causes_in(arguments: Sequence[Any]) -> frozenset[str]:
    """The inbound events by which the events of an activity's parameter were caused."""
    causes = (getattr(event, "cause", None) for one in arguments for event in getattr(one, "events", ()))
    return frozenset(cause.event_id for cause in causes if cause is not None)


def _kind_of(error: BaseException) -> str:
    """The error's type, as its own words may quote what a customer wrote."""
    return error.type if isinstance(error, ApplicationError) and error.type else type(error).__name__
