"""The API's process: what it opens, how it starts and stops, and what it answers about itself."""

import asyncio
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from bridge.collector import spare_the_collector
from orders.clients.mistakes import Diagnosis, Mistake, Server
from orders.clients.opened import Clients, open_clients
from orders.errors import RefusedAtTheDoorError
from orders.operations.reachability import Reachability
from orders.processes.api_health import api_checks
from orders.processes.exit_status import ExitStatus
from orders.processes.health_server import health_server
from orders.processes.server_watch import ServerWatch, kafka_watched, postgres_watched, temporal_watched
from orders.settings import Settings
from orders.telemetry.metrics_page import MetricsPage
from orders.telemetry.sdk_metrics import sdk_metrics
from orders.telemetry.traces import process_spans
from orders.web.app import make_app
from orders.web.context import WebContext
from orders.web.identity import open_gate
from orders.web.replays import ReplayDesk
from orders.web.server import address_of, listening_socket, serve
from orders.web.streams import LiveFeed

_log = structlog.get_logger("orders.api")


async def run_api(settings: Settings, stop: asyncio.Event) -> ExitStatus:
    """Serves the API and the console until told to stop; then ends within 5 s.

    It starts whether or not Temporal, Postgres and Kafka answer: a request that needs one of them is answered with 503.

    Raises:
        WrongSettingsError: it cannot listen there, or nobody could use it in production.
    """
    sdk = sdk_metrics() if settings.api_health_port else None
    with listening_socket(settings) as listening:
        async with AsyncExitStack() as resources:
            spans = await resources.enter_async_context(process_spans(settings.traces_endpoint, "api"))
            tracer = None if spans is None else spans.tracer
            measured = None if sdk is None else sdk.runtime
            opening = open_clients(settings, lasting=True, runtime=measured, tracer=tracer)
            clients = await resources.enter_async_context(opening)
            gate = await resources.enter_async_context(open_gate(clients))
            await gate.check_somebody_may_enter()
            feed = LiveFeed(clients, streams_max=settings.api_streams_max)
            replays = ReplayDesk(clients)
            watch = _watch(clients)
            await resources.enter_async_context(watch.watching())
            context = WebContext(clients, Reachability(clients), feed, replays, stop)
            registry = CollectorRegistry()
            registry.register(watch)
            metrics = MetricsPage(registry, sdk=sdk)
            where = (
                settings.health_bind_address,
                settings.api_health_port,
                api_checks(context.servers, watch, metrics),
            )
            async with health_server(*where, setting="API_HEALTH_PORT"):
                following = asyncio.create_task(feed.run(), name="event feed")
                try:
                    _log.info("api.started", address=address_of(listening))
                    serving = make_app(context, gate, tracer)
                    spare_the_collector()
                    await serve(serving, settings, listening, stop)
                finally:
                    following.cancel()
                    await asyncio.gather(following, replays.close(), return_exceptions=True)
    return ExitStatus.OK


def _watch(clients: Clients) -> ServerWatch:
    """Looks at all three servers: Kafka's dead letters are read and replayed here, its events streamed."""
    settings = clients.settings
    topics = (settings.kafka_topic_order_events, settings.kafka_topic_dead_letters)

    async def temporal() -> Diagnosis | None:
        try:
            client = await clients.temporal()
        except RefusedAtTheDoorError as error:
            return Diagnosis(Server.TEMPORAL, Mistake(error.mistake), error.sentence, error.action)
        return await temporal_watched(settings, client)()

    return ServerWatch(temporal=temporal, kafka=kafka_watched(settings, topics), postgres=postgres_watched(settings))
