"""encryption_cost and tls_cost: what an order costs more of the processor with either, against the same without.

Both sides run on the same servers, in turns, and our processes are started anew for each turn. What counts is the
processor that a bridge, an order worker and a shipping worker use. The servers' share is left out: the local Temporal
speaks no TLS by itself, so a proxy of ours stands before it on both sides, whose cost says nothing of a real server's.
"""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.order_driver import OrderDriver, order_driver
from benchmarks.order_figures import OPEN, ORDERS, TURNS, WARM_UP, Measured
from benchmarks.order_rig import OrderRig, order_servers
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from stack import Endpoints
from tests.helpers.servers.proxy import Proxy
from tests.helpers.servers.secure.certificates import Certificates, tls_settings
from tests.helpers.servers.secure.kafka import Listener, secure_kafka
from tests.helpers.servers.secure.postgres import MUTUAL, PLAIN, secure_postgres
from tests.helpers.servers.secure.temporal import tls_door
from tests.helpers.system.encrypted import new_keys
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.system import make_namespace

ENCRYPTION_AT_MOST: Final = 1.10
"""Our own goal, as no promise says one: docs/performance.md, "What encryption and TLS cost", has what it rests on."""
TLS_AT_MOST: Final = 1.10
"""Our own goal as well; see there."""
_SERVERS: Final = frozenset({"kafka", "temporal", "postgres"})

Settings = Mapping[str, str]


async def run_encryption(*, quick: bool) -> list[Figure]:
    """Orders whose payloads in Temporal are encrypted.

    Either kind has a namespace of its own: what a turn leaves for a worker to do after its last order, such as the
    run's last workflow task, would fail again and again at a worker that lacks the keys, and be counted.
    """
    plain = {"TEMPORAL_NAMESPACE": "plain"}
    encrypted = {"TEMPORAL_NAMESPACE": "encrypted", "TEMPORAL_CODEC_KEYS": new_keys()}
    async with order_servers() as rig, order_driver(rig.kafka) as driver:
        rig.unused = _SERVERS
        for settings in (plain, encrypted):
            await make_namespace(_servers_of(rig), settings["TEMPORAL_NAMESPACE"])
            await _migrate(rig, settings)
        kinds = (plain, encrypted)
        return [await _figure("encryption_cost", rig, driver, kinds, at_most=ENCRYPTION_AT_MOST, quick=quick)]


async def run_tls(*, quick: bool) -> list[Figure]:
    """Orders of processes that reach Kafka, Temporal and Postgres by TLS, with certificates of both sides."""
    async with order_servers() as rig, _doors(rig) as (kafka, plain, secured):
        rig.unused = _SERVERS
        for settings in (plain, secured):
            await _migrate(rig, settings)
        async with order_driver(kafka) as driver:
            return [await _figure("tls_cost", rig, driver, (plain, secured), at_most=TLS_AT_MOST, quick=quick)]


async def _migrate(rig: OrderRig, settings: Settings) -> None:
    ended = await run_to_end(["migrate"], {**rig.settings, **settings}, rig.folder)
    if ended.returncode != 0:
        raise RuntimeError(f"`orders migrate` left with {ended.returncode}: {ended.stderr[-2000:]}")


def _servers_of(rig: OrderRig) -> Endpoints:
    servers = Endpoints.from_environment(rig.settings)
    if servers is None:
        raise RuntimeError("the rig does not say where its servers are")
    return servers


@asynccontextmanager
async def _doors(rig: OrderRig) -> AsyncIterator[tuple[str, Settings, Settings]]:
    """A Kafka, a Postgres and ways to the rig's Temporal that can be had with TLS and without.

    Gives Kafka's open door, and the settings of either kind.
    """
    servers = _servers_of(rig)
    async with AsyncExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="orders-bench-tls-")))
        certificates = Certificates(folder / "certificates")
        certificates.make()
        enter = resources.enter_async_context
        kafka = await enter(secure_kafka(folder / "kafka", certificates, servers))
        postgres = await enter(secure_postgres(folder / "postgres", certificates))
        front = await enter(Proxy(servers.temporal_host))
        door = await enter(tls_door(servers.temporal_host, certificates, clients=True))
        opened = kafka.endpoints.kafka_bootstrap_servers
        plain = {
            **postgres.settings,
            "DB_NAME": PLAIN,
            "KAFKA_BOOTSTRAP_SERVERS": opened,
            "TEMPORAL_HOST": front.address,
        }
        secured = {
            **postgres.settings,
            "DB_NAME": MUTUAL,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address(Listener.MUTUAL),
            "TEMPORAL_HOST": door.address.replace("127.0.0.1", "localhost"),
            **tls_settings(certificates),
        }
        yield opened, plain, secured


async def _figure(
    name: str, rig: OrderRig, driver: OrderDriver, kinds: tuple[Settings, Settings], *, at_most: float, quick: bool
) -> Figure:
    """What our processes use of the processor for an order with the second kind of settings, against the first."""
    orders, turns = (ORDERS // 4, 1) if quick else (ORDERS, TURNS)
    rates: dict[str, list[float]] = {"with": [], "without": []}
    parts: dict[str, list[dict[str, float]]] = {"with": [], "without": []}

    def cost(kind: str, settings: Settings) -> Callable[[], Awaitable[float]]:
        async def turn() -> float:
            async with AsyncExitStack() as resources:
                resources.callback(rig.stop)
                await rig.start_all(metrics=True, **settings)
                await driver.drive(WARM_UP, open_max=OPEN)
                one = Measured(rig, driver)
                rates[kind].append((await one.turn(orders, open_max=OPEN)).rate)
                parts[kind].append(one.cpu_by_process)
                return sum(one.cpu_ms[-1].values())

        return turn

    ratio = await in_turns(cost("with", kinds[1]), cost("without", kinds[0]), turns=turns)
    details = {
        "cpu_ms_per_order": round(ratio.measured, 1),
        "baseline_cpu_ms_per_order": round(ratio.baseline, 1),
        "more_ms_per_order": round(ratio.measured - ratio.baseline, 1),
        "noise": round(ratio.noise, 3),
        "turns": [round(turn, 1) for turn in ratio.measured_turns],
        "baseline_turns": [round(turn, 1) for turn in ratio.baseline_turns],
        "orders_per_second": {kind: [round(rate, 2) for rate in of_kind] for kind, of_kind in rates.items()},
        "cpu_ms_per_order_by_process": parts,
    }
    unit = "of the processor's time without"
    return Figure(name, ratio.value, unit, at_most=at_most, trustworthy=ratio.is_trustworthy, details=details)
