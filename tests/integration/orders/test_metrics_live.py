"""The pages of processes that run: they have what the documentation and deploy/ speak of, as Prometheus reads it."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from orders.processes.metrics_reference import PROCESSES, metrics_of
from stack.endpoints import Endpoints
from tests.helpers.deployed_rules import EXPRESSIONS, RECORDED, names_in
from tests.helpers.promtool import promtool
from tests.helpers.servers.otlp_receiver import otlp_receiver
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import patient_seconds

PAGE_SECONDS = 120.0
PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Live:
    """The pages of a bridge, a worker and an API that run, and trace."""

    text: dict[str, str]

    def kinds(self, process: str) -> dict[str, str]:
        """The kind of each metric on a page, by its name."""
        lines = (line.split() for line in self.text[process].splitlines() if line.startswith("# TYPE "))
        return {name: kind for _, _, name, kind in lines}

    @property
    def samples(self) -> set[str]:
        """The names of all samples that there are, or will be once something of the kind has happened."""
        return {
            f"{name}{part}"
            for process in self.text
            for name, kind in self.kinds(process).items()
            for part in PARTS.get(kind, ("",))
        }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def live(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    ports = {process: free_port() for process in ("bridge", "worker", "api")}
    with otlp_receiver() as receiver:
        folder = tmp_path_factory.mktemp("live")
        async with order_system(endpoints, folder, start=False, TRACES_ENDPOINT=receiver.endpoint) as system:
            started = [
                system.start_bridge(BRIDGE_HEALTH_PORT=str(ports["bridge"])),
                system.start("worker", "worker", expect_end=False, WORKER_HEALTH_PORT=str(ports["worker"])),
                system.start("api", "api", expect_end=False, API_PORT="0", API_HEALTH_PORT=str(ports["api"])),
            ]
            yield Live({process: await page(system, port) for process, port in ports.items()})
            for process in started:
                await process.terminate()


async def page(system: OrderSystem, port: int) -> str:
    """A page, once the process has begun to measure."""
    read = [""]

    async def is_there() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                await client.get(f"http://127.0.0.1:{port}/readyz")  # Has the API ask Temporal for the first time.
                read[0] = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        except httpx.TransportError:
            return False  # It has only just begun.
        return "# TYPE temporal_" in read[0] and "\norders_" in read[0]

    await system.wait_until(is_there, PAGE_SECONDS, lambda: f"the page on {port}: {read[0][:500]}")
    return read[0]


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_process_that_runs_has_every_metric_of_its_table(live: Live, process: str) -> None:
    pages = ["bridge", "worker", "api"] if process in {"all", "traces"} else [process]
    for one in pages:
        kinds = live.kinds(one)
        told = {metric.name: metric.kind for metric in metrics_of(process)}
        assert told
        assert {name: kinds.get(name) for name in told} == told


async def test_every_expression_of_rules_and_boards_asks_for_what_a_process_that_runs_has(live: Live) -> None:
    there = live.samples | RECORDED
    missing = {where: names_in(expression) - there for where, expression in EXPRESSIONS}
    assert not {where: names for where, names in missing.items() if names}


@pytest.mark.parametrize("process", ["bridge", "worker", "api"])
async def test_prometheus_own_tool_finds_nothing_to_mend_in_our_metrics(live: Live, process: str) -> None:
    lines = live.text[process].splitlines(keepends=True)
    ours = "".join(line for line in lines if "orders_" in line.split("{")[0])
    command, seconds = [str(promtool()), "check", "metrics"], patient_seconds(60)
    ended = subprocess.run(  # noqa: ASYNC221 -- moments
        command, input=ours, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")
