"""Which requests are traced, and what of them a span tells."""

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from orders.web.tracing import TracedRequests

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


async def fine(_request: Request) -> Response:
    return PlainTextResponse("fine")


async def unavailable(_request: Request) -> Response:
    return PlainTextResponse("not now", 503)


async def broken(_request: Request) -> Response:
    raise RuntimeError("a secret of 7d21")


async def spans_of(path: str, *, ratio: float = 0.0, traceparent: str | None = None) -> tuple[ReadableSpan, ...]:
    """The spans of one request."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    routes = [Route("/fine", fine), Route("/unavailable", unavailable), Route("/broken", broken)]
    app = TracedRequests(Starlette(routes=routes), tracer=provider.get_tracer("test"), ratio=ratio)
    headers = {} if traceparent is None else {"traceparent": traceparent}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as http:
        await http.get(path)
    return exporter.get_finished_spans()


async def test_a_request_goes_on_with_its_sender_s_trace() -> None:
    (span,) = await spans_of("/fine", traceparent=SAMPLED)
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert (span.attributes or {})["http.response.status_code"] == 200
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("ratio", [0.0, 1.0])
async def test_what_its_sender_does_not_sample_is_not_traced(ratio: float) -> None:
    assert await spans_of("/fine", ratio=ratio, traceparent=UNSAMPLED) == ()


async def test_of_requests_without_a_trace_the_share_begins_one() -> None:
    assert await spans_of("/fine", ratio=0.0) == ()
    (span,) = await spans_of("/fine", ratio=1.0)
    assert span.parent is None


@pytest.mark.parametrize("path", ["/unavailable", "/broken"])
async def test_a_request_that_the_server_fails_at_is_an_error_of_which_the_span_repeats_nothing(path: str) -> None:
    (span,) = await spans_of(path, traceparent=SAMPLED)
    assert span.status.status_code is StatusCode.ERROR
    assert "7d21" not in span.to_json()
