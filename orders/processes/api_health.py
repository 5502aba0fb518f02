"""What the API's process answers about itself."""

from orders.clients.mistakes import Server
from orders.operations.reachability import Reachability
from orders.processes.health_server import HealthAnswer, HealthChecks
from orders.processes.server_watch import ServerWatch
from orders.telemetry.metrics_page import MetricsPage


def api_checks(servers: Reachability, watch: ServerWatch, metrics: MetricsPage) -> HealthChecks:
    """Live: it answers at all, as its loop turns. Ready: Temporal and Postgres answer.

    Args:
        servers: whether they answer.
        watch: why they do not let us in, where they do not.
        metrics: what the process measures.
    """

    def live() -> HealthAnswer:
        return HealthAnswer(ok=True)

    async def ready() -> HealthAnswer:
        troubles = {Server[name.upper()]: trouble for name, trouble in (await servers.troubles()).items() if trouble}
        reasons = tuple(watch.trouble(server) or trouble for server, trouble in troubles.items())
        return HealthAnswer(not reasons, reasons)

    return HealthChecks(live, ready, metrics)
