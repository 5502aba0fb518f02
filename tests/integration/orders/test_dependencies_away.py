"""Which dependency is away and since when, by the metrics of every process: a server goes away, and comes back.

Prometheus is asked in the words of docs/metrics.md, and by the alarm's own expression.
"""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from stack.endpoints import Endpoints
from tests.helpers.deployed_rules import ALERTS, QUESTIONS
from tests.helpers.servers.prometheus import Answer, Prometheus, running_prometheus
from tests.helpers.servers.proxies import Proxies, proxies_before
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.pages import Page, Samples, value
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem, order_system

AWAY, AWAY_SINCE = QUESTIONS["Which dependency is away, and since when?"]
UP, LOST = "orders_dependency_up", "orders_dependency_lost_timestamp_seconds"
SERVERS = ("kafka", "postgres", "temporal")
(ALARM,) = [rule["expr"] for rule in ALERTS if rule["alert"] == "OrdersDependencyAway"]
AT_ONCE = ALARM.replace("> 120", "> 0")
"""What the alarm looks for, without its two minutes."""
LOOK_SECONDS = 15.0
"""The longest that a look takes; an outage counts from the beginning of the look that finds it."""
PARTS_OF_KAFKA = frozenset({"kafka_group", "kafka_offsets", "kafka_rereads", "dead_letters"})
"""What a bridge says of Kafka besides."""


@dataclass(frozen=True, slots=True)
class Behind:
    """Processes of ours, each server of which may go away."""

    proxies: Proxies
    prometheus: Prometheus
    pages: dict[str, Page]
    """By process."""

    def proxy(self, server: str) -> Proxy:
        found: Proxy = getattr(self.proxies, server)
        return found

    async def until(self, what: str, holds: Callable[[Samples], bool]) -> dict[str, Samples]:
        """The pages of all processes, once it holds for each."""
        return {name: await page.until(f"{what}, for the {name}", holds) for name, page in self.pages.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Behind]:
    """A bridge, a worker and an API, whose servers are all there."""
    folder, ports = tmp_path_factory.mktemp("away"), {name: free_port() for name in ("bridge", "worker", "api")}
    async with (
        proxies_before(endpoints) as proxies,
        running_prometheus(tmp_path_factory.mktemp("prometheus")) as prometheus,
        order_system(endpoints, folder, start=False) as system,
    ):
        start_all(system, proxies, ports)
        for port in ports.values():
            prometheus.read(port)
        made = Behind(proxies, prometheus, {name: Page(port, system) for name, port in ports.items()})
        await made.until("all there", all_are_there)
        yield made
        for process in system.processes:
            await process.terminate()


def start_all(system: OrderSystem, proxies: Proxies, ports: dict[str, int]) -> None:
    health = {f"{name.upper()}_HEALTH_PORT": str(port) for name, port in ports.items()}
    there: dict[str, Any] = {**proxies.settings, **health, "BRIDGE_PROBE_INTERVAL_SECONDS": "1", "API_PORT": "0"}
    system.start_bridge(**there)
    system.start("worker", "worker", **there)
    system.start("api", "api", **there)


def all_are_there(now: Samples) -> bool:
    return all(value(now, UP, dependency=server) == 1 for server in SERVERS)


def is_away_alone(server: str) -> Callable[[Samples], bool]:
    """Whether this one is away and the others are there; what is a part of Kafka is away with it, or is not asked."""

    def holds(now: Samples) -> bool:
        known = {dict(labels)["dependency"]: up for (name, labels), up in now.items() if name == UP}
        expected = {one: float(one != server) for one in SERVERS}
        return {one: up for one, up in known.items() if one not in PARTS_OF_KAFKA} == expected

    return holds


async def says_since_when(behind: Behind, server: str, lost_at: float) -> None:
    """Awaits that all pages and Prometheus say it of a server that went away at this moment."""
    away = await behind.until(f"{server} away", is_away_alone(server))
    since = {name: value(page, LOST, dependency=server) for name, page in away.items()}
    assert all(one is not None and lost_at - LOOK_SECONDS <= one <= time.time() for one in since.values()), since
    if server == "postgres":
        # The figures are read by a look of their own, which may not have failed yet.
        await behind.pages["worker"].until(
            "what is not known is not said", lambda now: value(now, "orders_awaiting_approval") is None
        )

    def by_all(found: list[Answer]) -> bool:
        told = {one.labels["instance"] for one in found if one.labels["dependency"] == server}
        return told == {f"127.0.0.1:{page.port}" for page in behind.pages.values()}

    await behind.prometheus.until(AWAY, by_all)
    await behind.prometheus.until(AWAY_SINCE, by_all)
    await behind.prometheus.until(AT_ONCE, lambda found: server in {one.labels["dependency"] for one in found})


@pytest.mark.parametrize("server", SERVERS)
async def test_every_process_says_that_a_server_is_away_since_when_and_that_it_is_back(
    behind: Behind, server: str
) -> None:
    before = await behind.until("all there", all_are_there)
    assert all(value(page, LOST, dependency=server) is None for page in before.values())
    lost_at = time.time()
    await behind.proxy(server).refuse()
    try:
        await says_since_when(behind, server, lost_at)
    finally:
        await behind.proxy(server).serve()
    back = await behind.until("all there again", all_are_there)
    assert all(value(page, LOST, dependency=server) is None for page in back.values())
    await behind.prometheus.until(AWAY, lambda found: not found)
    await behind.prometheus.until(AT_ONCE, lambda found: not found)


async def test_a_server_that_takes_connections_and_never_answers_is_away(behind: Behind) -> None:
    """As its machine stands still: nobody is refused, and nobody hears anything."""
    await behind.until("all there", all_are_there)
    behind.proxies.kafka.stall()
    try:
        await behind.until("kafka away", is_away_alone("kafka"))
    finally:
        behind.proxies.kafka.flow()
    await behind.until("all there again", all_are_there)


async def test_a_worker_says_that_temporal_is_away_before_it_has_ever_met_it(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    async with (
        proxies_before(endpoints) as proxies,
        order_system(endpoints, tmp_path_factory.mktemp("never"), start=False) as system,
    ):
        await proxies.temporal.refuse()
        started_at = time.time()
        worker = system.start_worker("shipping-tq", WORKER_HEALTH_PORT=str(port), **proxies.settings)
        page = Page(port, system)
        now = await page.until("temporal away", lambda now: value(now, UP, dependency="temporal") == 0)
        since = value(now, LOST, dependency="temporal")
        assert since is not None
        assert started_at <= since <= time.time()
        assert value(now, UP, dependency="kafka") is None, "it does nothing with Kafka"
        await proxies.temporal.serve()
        await page.until("temporal there", lambda now: value(now, UP, dependency="temporal") == 1)
        await worker.terminate()
