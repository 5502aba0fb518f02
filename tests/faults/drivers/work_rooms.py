"""Systems whose providers are a server of its own, with books that judge, and whose workers may be struck."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stack import Endpoints
from tests.faults.drivers.work_outages import WorkOutages
from tests.helpers.messages.generator import AMOUNT_MAX
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.servers.kafka_proxy import KafkaProxy
from tests.helpers.system.system import PLANTED_SECRET, TASK_QUEUES, order_system


@asynccontextmanager
async def work_system(
    endpoints: Endpoints, folder: Path, *, workers: bool = True, **settings: str
) -> AsyncIterator[WorkOutages]:
    """One bridge and two workers, no order of which gives up while something is away.

    Args:
        endpoints: The servers.
        folder: For logs and the providers' books.
        workers: Whether workers are started; else a fault does so.
        settings: Settings beside the defaults.
    """
    books = folder / "gateway"
    books.mkdir()
    async with (
        KafkaProxy(endpoints.kafka_bootstrap_servers) as kafka,
        running_gateway(books, api_key=PLANTED_SECRET) as gateway,
        order_system(
            endpoints,
            folder,
            start=False,
            gateway=gateway,
            BRIDGE_SESSION_TIMEOUT_SECONDS="9",
            PAYMENT_GATEWAY_TIMEOUT_SECONDS="1",
            CARRIER_GATEWAY_TIMEOUT_SECONDS="1",
            ORDER_APPROVAL_TIMEOUT_SECONDS="1800",
            ORDER_EARLY_EVENT_TTL_SECONDS="1800",
            ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
            ORDER_RETRY_MAXIMUM_INTERVAL_SECONDS="3",
            ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
            **settings,
        ) as system,
    ):
        outages = WorkOutages(system, gateway, kafka)
        for task_queue in TASK_QUEUES if workers else ():
            outages.start_worker(task_queue)
        system.start_bridge()
        await system.wait_until_bridges_own_partitions()
        yield outages
