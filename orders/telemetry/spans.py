"""Spans of a process of ours, sent to where its settings say; imported only where they are to be sent."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Span, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter

QUEUE_SPANS_MAX: Final = 8_192
"""Most spans that wait to be sent or taken; what ends beside them is dropped. Some 2 KiB each."""
BATCH_SPANS_MAX: Final = 512
BATCH_AFTER_MS: Final = 1_000
EXPORT_TIMEOUT_SECONDS: Final = 5.0
"""For one batch, repeats included."""
LAST_SPANS_WITHIN_SECONDS: Final = 1.0
"""How long a process that stops waits for its last spans to be taken."""
_NAME: Final = "temporal-order-orchestrator"

EXPORTED: Final = Counter(
    "orders_spans_exported",
    "Spans that ended, by what became of them: taken by the receiver, lost on the way, or dropped as too many waited.",
    ("outcome",),
)
_COUNTS: Final = {outcome: EXPORTED.labels(outcome) for outcome in ("taken", "lost", "dropped")}
"""At 0 from the start: Prometheus sees no increase in a series whose first value is 1."""
_W3C: Final = TraceContextTextMapPropagator()
_log = structlog.get_logger("orders.traces")
_chosen: ContextVar[int | None] = ContextVar("span id", default=None)


class _Ids(RandomIdGenerator):
    """Gives a span the id that was chosen for it, else one at random."""

    def generate_span_id(self) -> int:
        """The next span's id."""
        return _chosen.get() or super().generate_span_id()


@contextmanager
def chosen_span_id(span_id: int) -> Iterator[None]:
    """Gives this id to the span that is begun within the block."""
    token = _chosen.set(span_id)
    try:
        yield
    finally:
        _chosen.reset(token)


class _Told(SpanExporter):
    """Counts what becomes of spans, and says once that some are not taken, whatever the exporter itself would say."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._counting = threading.Lock()
        self._drops = False
        """Whether it was said that spans are dropped; said again only once the queue had been half empty."""
        self.waiting = 0
        """Spans that wait to be sent, and those that are being sent."""
        self.is_lost = False

    def admits(self) -> bool:
        """Whether there is room for one more span; called by whoever ends one, in any thread, and never waits."""
        with self._counting:
            if self.waiting < QUEUE_SPANS_MAX:
                self.waiting += 1
                return True
            said, self._drops = self._drops, True
        _COUNTS["dropped"].inc()
        if not said:
            _log.warning(
                "traces.spans.dropped",
                endpoint=self._endpoint,
                spans_waiting=QUEUE_SPANS_MAX,
                action="none: nothing waits for spans; where they are wanted, see why the receiver takes them slowly, "
                "or have fewer sampled (TRACES_SAMPLE_RATIO, or the senders)",
            )
        return False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch; called by the processor's own thread."""
        result = self._exporter.export(spans)
        lost = result is not SpanExportResult.SUCCESS
        _COUNTS["lost" if lost else "taken"].inc(len(spans))
        with self._counting:
            self.waiting -= len(spans)
            self._drops = self._drops and self.waiting > QUEUE_SPANS_MAX // 2
        if lost and not self.is_lost:
            _log.warning(
                "traces.exporter.lost",
                endpoint=self._endpoint,
                action="none: spans are dropped and nothing waits for them; see that it answers OTLP over HTTP",
            )
        elif self.is_lost and not lost:
            _log.info("traces.exporter.recovered", endpoint=self._endpoint)
        self.is_lost = lost
        return result

    def shutdown(self) -> None:
        """Ends it; a batch that is under way is given up."""
        self._exporter.shutdown()


class _Bounded(BatchSpanProcessor):
    """Takes no span that there is no room for: the SDK's own lets go of the oldest, and tells nobody how many."""

    def __init__(self, exporter: _Told) -> None:
        super().__init__(
            exporter,
            max_queue_size=QUEUE_SPANS_MAX,
            max_export_batch_size=BATCH_SPANS_MAX,
            schedule_delay_millis=BATCH_AFTER_MS,
        )
        self._admits = exporter.admits

    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span that has ended."""
        if self._admits():
            super().on_end(span)


class Spans:
    """Makes the spans of one process, and sends them. Make one at most.

    Args:
        endpoint: where spans are sent by OTLP over HTTP: the whole address, ``/v1/traces`` included.
        process: which of our processes this is.
    """

    def __init__(self, endpoint: str, process: str) -> None:
        # The exporter logs each failed attempt; `_Told` says once that spans are not taken.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = _Told(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_SECONDS), endpoint)
        self._provider = TracerProvider(
            # Whether a trace begins is decided where a record or a request comes in.
            sampler=ParentBased(ALWAYS_ON),
            id_generator=_Ids(),
            resource=Resource.create(
                {
                    "service.namespace": "orders",
                    "service.name": f"orders-{process}",
                    "service.version": version(_NAME),
                }
            ),
            shutdown_on_exit=False,
        )
        self._processor = _Bounded(self._exporter)
        self._provider.add_span_processor(self._processor)
        self.tracer: Tracer = self._provider.get_tracer(_NAME)

    def close(self) -> None:
        """Sends what is left, and blocks for `LAST_SPANS_WITHIN_SECONDS` at most; not at all where none is taken.

        What is not taken by then is given up: nothing goes on trying behind the process's back.
        """
        lost = self._exporter.is_lost
        ending = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        ending.start()
        if not lost:
            ending.join(LAST_SPANS_WITHIN_SECONDS)
        self._exporter.shutdown()
        if self._exporter.waiting:
            _log.info("traces.spans.given_up", spans=self._exporter.waiting)


def context_of(carrier: Mapping[str, str]) -> Context:
    """The trace context in a carrier; an empty context where the carrier holds none that can be read."""
    return _W3C.extract(carrier, Context())


def traceparent_of(span: Span | None = None) -> str:
    """A span's ``traceparent``; None is the one that is current."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span or get_current_span()))
    return carrier.get("traceparent", "")
