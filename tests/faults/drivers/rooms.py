"""A system on servers that may be killed, with bridge and workers behind proxies, and providers that may fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stack import RunningStack
from tests.faults.drivers.outages import RECORDS_HELD_MAX, Outages
from tests.faults.drivers.watching import OUTAGE_SECONDS
from tests.faults.drivers.work_outages import WorkOutages
from tests.helpers.messages.generator import AMOUNT_MAX
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.servers.kafka_proxy import KafkaProxy
from tests.helpers.servers.one_order_proxy import OneOrderProxy
from tests.helpers.system.system import PLANTED_SECRET, TASK_QUEUES, order_system

WAITS_FOR_A_TIME_OUT = ("nobody approves", "orphan", "order after its orphan")
"""Scenarios that are left out: time-outs are long here, so that no outage is mistaken for one."""

NEEDS_ITS_PARTITION = ("created twice", "approved twice")
"""Scenarios that count on an order's records staying in one partition, which added partitions end."""


@asynccontextmanager
async def patient_system(servers: RunningStack, folder: Path) -> AsyncIterator[Outages]:
    """One bridge and two workers, no order of which gives up while a server is away."""
    endpoints = servers.endpoints
    books = folder / "gateway"
    books.mkdir()
    async with (
        KafkaProxy(endpoints.kafka_bootstrap_servers) as kafka,
        KafkaProxy(endpoints.kafka_bootstrap_servers) as way_out,
        running_gateway(books, api_key=PLANTED_SECRET) as gateway,
        OneOrderProxy(endpoints.temporal_host) as temporal,
        order_system(
            endpoints,
            folder,
            start=False,
            gateway=gateway,
            PAYMENT_GATEWAY_TIMEOUT_SECONDS="1",
            CARRIER_GATEWAY_TIMEOUT_SECONDS="1",
            ORDER_RETRY_MAXIMUM_INTERVAL_SECONDS="3",
            BRIDGE_SESSION_TIMEOUT_SECONDS="6",
            BRIDGE_HEARTBEAT_INTERVAL_SECONDS="1",
            BRIDGE_COMMIT_INTERVAL_SECONDS="0.2",
            BRIDGE_PROBE_INTERVAL_SECONDS="1",
            BRIDGE_RPC_TIMEOUT_SECONDS="3",
            BRIDGE_RECORDS_HELD_MAX=str(RECORDS_HELD_MAX),
            # No activity gives up while the longest outage lasts.
            ORDER_PROVIDER_TIME_ALLOWED_SECONDS=str(600 + 2 * OUTAGE_SECONDS),
            ORDER_APPROVAL_TIMEOUT_SECONDS="1800",
            ORDER_EARLY_EVENT_TTL_SECONDS="1800",
            ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
            ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
        ) as system,
    ):
        work = WorkOutages(system, gateway, way_out)
        for task_queue in TASK_QUEUES:
            work.start_worker(task_queue)
        outages = Outages(system, servers, kafka, temporal, work)
        outages.start_bridge()
        await system.wait_until_bridges_own_partitions()
        yield outages
