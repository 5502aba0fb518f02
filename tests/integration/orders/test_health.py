"""Liveness and readiness of the real processes, as ``orders health`` and an orchestrator see them."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from orders.processes.exit_status import ExitStatus
from stack.endpoints import Endpoints
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import OrdersProcess, free_port
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually


@pytest_asyncio.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: Any) -> AsyncIterator[OrderSystem]:
    folder: Path = tmp_path_factory.mktemp("health")
    async with order_system(endpoints, folder, start=False) as opened:
        yield opened


async def health(system: OrderSystem, process: str, *options: str, **settings: str) -> tuple[int, str]:
    # No `orders up` of the person whose machine this is.
    state = {"XDG_STATE_HOME": str(system.folder)}
    ended = await run_in_process(["health", process, *options], {**system.settings, **state, **settings})
    return ended.returncode, (ended.stdout + ended.stderr).strip()


async def wait_for(
    system: OrderSystem, expected: tuple[int, str], process: OrdersProcess, what: str, *options: str, **port: str
) -> None:
    seen: list[Any] = []

    async def answered() -> bool:
        seen[:] = [await health(system, what, *options, **port)]
        return bool(seen[0][0] == expected[0] and expected[1] in seen[0][1])

    await assert_eventually(answered, 60, lambda: f"{expected}, not {seen}\n{process.log_tail}")


async def test_a_bridge_is_ready_with_its_partitions_and_not_without_temporal(system: OrderSystem) -> None:
    port = {"BRIDGE_HEALTH_PORT": str(free_port())}
    async with Proxy(system.endpoints.temporal_host) as temporal:
        bridge = system.start_bridge(TEMPORAL_HOST=temporal.address, BRIDGE_HEALTH_PORT=port["BRIDGE_HEALTH_PORT"])
        await wait_for(system, (0, "ready"), bridge, "bridge", **port)
        await temporal.refuse()
        await wait_for(system, (1, "temporal does not answer"), bridge, "bridge", **port)
        # Waiting for Temporal is no reason to die.
        await wait_for(system, (0, "alive"), bridge, "bridge", "--live", **port)
        await temporal.serve()
        await wait_for(system, (0, "ready"), bridge, "bridge", **port)
        await bridge.terminate()


async def test_a_bridge_without_partitions_stands_by_and_is_ready(system: OrderSystem) -> None:
    """More members than partitions: an orchestrator that waited for partitions would wait for ever."""
    ports = [{"BRIDGE_HEALTH_PORT": str(free_port())} for _ in range(5)]
    bridges = [system.start_bridge(BRIDGE_HEALTH_PORT=port["BRIDGE_HEALTH_PORT"]) for port in ports]
    for bridge, port in zip(bridges, ports, strict=True):
        await wait_for(system, (0, "ready"), bridge, "bridge", **port)
    await system.wait_until_bridges_own_partitions(members=5)

    async def partitions() -> list[int]:
        answers = [await health(system, "bridge", "--json", **port) for port in ports]
        return sorted(json.loads(text)["partitions"] for _, text in answers)

    async def one_stands_by() -> bool:
        return await partitions() == [0, 4, 4, 4, 4]

    await assert_eventually(one_stands_by, 30)
    for bridge in bridges:
        await bridge.terminate()


async def test_a_bridge_that_stands_still_is_neither_alive_nor_ready(system: OrderSystem) -> None:
    port = {"BRIDGE_HEALTH_PORT": str(free_port())}
    bridge = system.start_bridge(BRIDGE_HEALTH_PORT=port["BRIDGE_HEALTH_PORT"])
    await wait_for(system, (0, "ready"), bridge, "bridge", **port)
    bridge.send(signal.SIGSTOP)
    status, text = await health(system, "bridge", "--live", "--timeout", "1", **port)
    assert (status, "no bridge answers" in text) == (ExitStatus.FAILURE, True)
    bridge.send(signal.SIGCONT)
    await wait_for(system, (0, "ready"), bridge, "bridge", **port)
    await bridge.terminate()


async def test_a_worker_is_alive_while_it_waits_for_temporal_and_ready_once_it_polls(system: OrderSystem) -> None:
    number = free_port()
    port = {"WORKER_HEALTH_PORT": str(number)}
    async with Proxy(system.endpoints.temporal_host) as temporal:
        await temporal.refuse()
        worker = system.start_worker("order-tq", TEMPORAL_HOST=temporal.address, **port)
        await wait_for(system, (1, "Temporal was not reached yet"), worker, "worker", **port)
        await wait_for(system, (0, "alive"), worker, "worker", "--live", **port)
        await temporal.serve()
        await wait_for(system, (0, "ready"), worker, "worker", **port)
        await assert_eventually(lambda: json.loads(fetch(number, "/readyz")[1])["task_queues"] == ["order-tq"], 30)
        await temporal.refuse()
        await wait_for(system, (1, "temporal does not answer"), worker, "worker", **port)
        await assert_eventually(lambda: fetch(number, "/readyz")[0] == 503, 30)
        await temporal.serve()
        await wait_for(system, (0, "ready"), worker, "worker", **port)
        await worker.terminate()


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """As an orchestrator asks."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def test_asking_a_process_that_does_not_listen_says_so(system: OrderSystem) -> None:
    status, text = await health(system, "bridge")
    assert (status, "BRIDGE_HEALTH_PORT is 0" in text) == (ExitStatus.USAGE, True)
    status, text = await health(system, "worker", WORKER_HEALTH_PORT=str(free_port()))
    assert (status, "no worker answers" in text) == (ExitStatus.FAILURE, True)
