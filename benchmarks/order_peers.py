"""peers: the same job on DBOS and on Restate, written as their users would write it, beside ours on the same machine.

Each has a Kafka and a Postgres of its own, with our tables and topics; `benchmarks/peers` holds the two applications.
"""

import asyncio
import json
import statistics
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from benchmarks.order_driver import order_driver
from benchmarks.order_figures import OPEN, Measured, measured
from benchmarks.order_rig import HERE, OrderRig, free_port, order_servers
from benchmarks.peers.environment import PEERS, peers_python, restate_server
from benchmarks.report import Figure
from orders.operations.bench.report import percentile
from stack.ports import HOST

ORDERS, ALONE, TURNS = 240, 40, 3
WARM_UP: Final = 40
_UNUSED: Final = "temporal"
"""Of the servers that the rig starts, the one that the peers have no use for; it stands idle and is not counted."""
_CLUSTER: Final = "orders"
_ROOM: Final = {"PYTHONPATH": str(HERE)}
"""Both applications import `benchmarks.peers.books`."""
_TELLS_MAX: Final = 120


async def run(*, quick: bool) -> list[Figure]:
    """Rates with 40 open, waits alone and costs of the three, in turns."""
    orders, alone, turns = (ORDERS // 4, ALONE // 4, 1) if quick else (ORDERS, ALONE, TURNS)
    systems: dict[str, AbstractAsyncContextManager[Measured]] = {
        "ours": measured(HERE),
        "dbos": dbos(),
        "restate": restate(),
    }
    said = {name: await _figures_of(system, orders, alone, turns) for name, system in systems.items()}
    ours = said["ours"]

    def ratio(peer: str, figure: str) -> float:
        return float(ours[figure]) / float(said[peer][figure])

    return [
        Figure("peers_dbos_rate", ratio("dbos", "orders_per_second"), "of DBOS's rate", at_least=0.75, details=said),
        Figure("peers_dbos_latency", ratio("dbos", "alone_p50_ms"), "of DBOS's time alone", at_most=0.3),
        Figure("peers_restate_rate", ratio("restate", "orders_per_second"), "of Restate's rate", at_least=0.3),
    ]


async def _figures_of(
    system: AbstractAsyncContextManager[Measured], orders: int, alone: int, turns: int
) -> dict[str, Any]:
    """Measures one system while the others do not run: three at once would share the machine."""
    async with system as one:
        driven = [await one.turn(orders, open_max=OPEN) for _ in range(turns)]
        cpu = one.cpu_by_process
        single = (await one.turn(alone, open_max=1)).waits
    return {
        "orders_per_second": round(statistics.median(turn.rate for turn in driven), 2),
        "turns": [round(turn.rate, 2) for turn in driven],
        "alone_p50_ms": round(percentile(single, 0.5) * 1e3, 1),
        "alone_p99_ms": round(percentile(single, 0.99) * 1e3, 1),
        "cpu_ms_per_order": {"all": round(sum(cpu.values()), 1), **cpu},
    }


@asynccontextmanager
async def dbos() -> AsyncIterator[Measured]:
    """The order on DBOS, with its own defaults."""
    python = await asyncio.to_thread(peers_python)
    async with order_servers(HERE) as rig:
        rig.unused = frozenset({_UNUSED})
        script = [str(python), str(PEERS / "dbos_orders.py")]
        rig.processes["dbos"] = rig.launch("dbos", script, {**rig.settings, **_ROOM})
        async with _warm(rig) as one:
            yield one


@asynccontextmanager
async def restate() -> AsyncIterator[Measured]:
    """The order on Restate: its server, and the process that has the handlers."""
    python = await asyncio.to_thread(peers_python)
    program = await asyncio.to_thread(restate_server)
    ingress, admin, node, handlers = (free_port() for _ in range(4))
    async with order_servers(HERE) as rig:
        rig.unused = frozenset({_UNUSED})
        settings = rig.folder / "restate.toml"
        settings.write_text(_RESTATE.format(ingress=ingress, admin=admin, node=node, kafka=rig.kafka, name=_CLUSTER))
        server = [str(program), "--config-file", str(settings), "--base-dir", str(rig.folder / "restate")]
        rig.processes["restate server"] = rig.launch("restate server", server, {})
        script = [str(python), str(PEERS / "restate_orders.py"), str(handlers)]
        rig.processes["restate handlers"] = rig.launch("restate handlers", script, {**rig.settings, **_ROOM})
        await _tell(admin, "/deployments", {"uri": f"http://{HOST}:{handlers}"})
        for topic, handler in (("order.created", "run"), ("order.approved", "approve")):
            subscription = {"source": f"kafka://{_CLUSTER}/{topic}", "sink": f"service://orders/{handler}"}
            await _tell(admin, "/subscriptions", {**subscription, "options": {"auto.offset.reset": "earliest"}})
        async with _warm(rig) as one:
            yield one


_RESTATE: Final = """
roles = ["http-ingress", "admin", "worker", "log-server", "metadata-server"]
bind-address = "127.0.0.1:{node}"
advertised-address = "http://127.0.0.1:{node}/"
disable-telemetry = true
log-filter = "warn"

[ingress]
bind-address = "127.0.0.1:{ingress}"

[[ingress.kafka-clusters]]
name = "{name}"
brokers = ["PLAINTEXT://{kafka}"]

[admin]
bind-address = "127.0.0.1:{admin}"
"""


@asynccontextmanager
async def _warm(rig: OrderRig) -> AsyncIterator[Measured]:
    async with order_driver(rig.kafka) as driver:
        await driver.drive(WARM_UP, open_max=OPEN)
        yield Measured(rig, driver)


async def _tell(port: int, path: str, body: dict[str, Any]) -> None:
    """Posts to the server's administration, which may still be starting."""
    request = urllib.request.Request(
        f"http://{HOST}:{port}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    for _ in range(_TELLS_MAX):
        try:
            await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read())  # noqa: S310
        except urllib.error.HTTPError as error:
            refused: Exception = RuntimeError(f"{path} is refused: {error.read().decode(errors='replace')}")
        except OSError as error:
            refused = error
        else:
            return
        await asyncio.sleep(0.5)
    raise refused
