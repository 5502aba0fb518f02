"""What the API's process answers about itself."""

from orders.operations.reachability import Reachability
from orders.processes.health_server import HealthAnswer, HealthChecks
from orders.telemetry.metrics_page import MetricsPage


def api_checks(servers: Reachability, metrics: MetricsPage) -> HealthChecks:
    """Live: it answers at all, as its loop turns. Ready: Temporal and Postgres answer."""

    def live() -> HealthAnswer:
        return HealthAnswer(ok=True)

    async def ready() -> HealthAnswer:
        reasons = tuple(trouble for trouble in (await servers.troubles()).values() if trouble)
        return HealthAnswer(not reasons, reasons)

    return HealthChecks(live, ready, metrics)
