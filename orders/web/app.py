"""The application over HTTP, put together: routes, problems, what goes around every request."""

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from orders.web import documentation
from orders.web.api import ROUTERS
from orders.web.api.openapi import describe_itself
from orders.web.codec import answer_guests, install_codec
from orders.web.console.pages.refusals import respond
from orders.web.console.router import install_console
from orders.web.console.static_files import static_url
from orders.web.context import WebContext
from orders.web.handlers import answer_errors_as_problems
from orders.web.head import HeadAnswered
from orders.web.identity import Gate, install
from orders.web.middleware import Guarded
from orders.web.routes import serve
from schemas.contract.messages import CONTRACT_VERSION

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

TITLE: Final = "Temporal Order Orchestrator"


def make_app(context: WebContext, gate: Gate, tracer: "Tracer | None" = None) -> FastAPI:
    """The application of one process.

    Args:
        context: clients, feed and settings, which routes find as ``app.state.context``.
        gate: tells who sends a request.
        tracer: makes a span of each request that is traced; None where none is.
    """
    app = FastAPI(
        title=TITLE,
        version=CONTRACT_VERSION,
        # Off: `orders.web.documentation` serves both, with the page's scripts from the package.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # We measure and trace ourselves, without paths, which hold what customers typed.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.context = context
    answer_errors_as_problems(app, respond)
    describe_itself(app)
    serve(app, *ROUTERS, documentation.router)
    app.routes.append(documentation.assets())
    guests = install_codec(app, context.settings)
    looks = {"stylesheet": static_url("console.css"), "icon": static_url("icon.svg")}
    install(app, gate, guests=guests, respond=respond, **looks)
    answer_guests(app, guests)
    install_console(app)
    app.add_middleware(HeadAnswered)
    app.add_middleware(Guarded, requests_max=context.settings.api_requests_max, respond=respond)
    if tracer is not None:
        from orders.web.tracing import TracedRequests  # noqa: PLC0415 -- brings OpenTelemetry along

        app.add_middleware(TracedRequests, tracer=tracer, ratio=context.settings.traces_sample_ratio)
    return app
