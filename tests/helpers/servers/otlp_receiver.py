"""A receiver of traces by OTLP over HTTP, as a collector is one: it reads what our processes send, and keeps it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATH = "/v1/traces"
OK = 200


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it was received."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of a trace."""
    began_ns: int
    ended_ns: int
    failed: bool
    error: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    """Ids of the traces that it links to."""


@dataclass(slots=True)
class OtlpReceiver:
    """What has been received so far."""

    port: int = 0
    spans: list[ReceivedSpan] = field(default_factory=list)
    requests: int = 0
    status: int = 200
    """What it answers with; with any other than 200 it keeps nothing of a request."""
    headers: dict[str, str] = field(default_factory=dict)
    """Further headers of its answers."""
    answering: Event = field(default_factory=Event)
    """It answers once this is set."""
    patience_seconds: float | None = None
    """It answers after so long though `answering` is not set; None: it waits for ever."""

    @property
    def endpoint(self) -> str:
        """Where traces are sent."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def of_trace(self, trace_id: str) -> list[ReceivedSpan]:
        """The spans of a trace, by when they began."""
        return sorted((one for one in self.spans if one.trace_id == trace_id), key=lambda one: one.began_ns)

    def take(self, body: bytes) -> None:
        """Reads a request."""
        request = ExportTraceServiceRequest.FromString(body)
        self.requests += 1
        for resource in request.resource_spans:
            about = {one.key: _value(one.value) for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans.extend(_received(span, about["service.name"]) for span in scope.spans)


@contextmanager
def otlp_receiver(port: int = 0) -> Iterator[OtlpReceiver]:
    """A receiver that listens for as long as the block lasts."""
    receiver = OtlpReceiver()
    receiver.answering.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == PATH
            assert self.headers["content-type"] == "application/x-protobuf"
            receiver.answering.wait(receiver.patience_seconds)
            if receiver.status == OK:
                receiver.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            else:
                receiver.requests += 1
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            with suppress(ConnectionError):  # Whoever asked may have given up.
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 -- the library's name
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        serving.start()
        try:
            yield receiver
        finally:
            receiver.answering.set()
            server.shutdown()
            serving.join()


def _received(span: Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        error=span.status.message,
        attributes={one.key: _value(one.value) for one in span.attributes},
        links=tuple(link.trace_id.hex() for link in span.links),
    )


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
