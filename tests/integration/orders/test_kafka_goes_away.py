"""Kafka goes away while everything runs: each process and command says so in a sentence, and that it is back."""

import json
import signal
from collections.abc import AsyncIterator

import pytest

from orders.clients.opened import Clients, open_clients
from orders.clients.topic_stream import topic_batches
from orders.errors import UnreachableError
from orders.settings import Settings
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.servers.kafka_proxy import KafkaProxy
from tests.helpers.system.command_line import environment_of_python, run_in_process
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import TASK_QUEUES, OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually

NOTICED_SECONDS = 90.0


@pytest.fixture
async def kafka(endpoints: Endpoints) -> AsyncIterator[KafkaProxy]:
    async with KafkaProxy(endpoints.kafka_bootstrap_servers) as proxy:
        yield proxy


@pytest.fixture
async def system(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory, kafka: KafkaProxy
) -> AsyncIterator[OrderSystem]:
    """Everything as it is, and all its processes and commands behind the proxy once they start."""
    async with order_system(endpoints, tmp_path_factory.mktemp("away"), start=False) as made:
        made.settings["KAFKA_BOOTSTRAP_SERVERS"] = kafka.address
        made.settings["KAFKA_REQUEST_TIMEOUT_SECONDS"] = "3"
        yield made


def said(process: OrdersProcess, event: str) -> int:
    """How often a process has logged an event."""
    return sum(line.get("event") == event for line in lines_of(process))


def lines_of(process: OrdersProcess) -> list[dict[str, object]]:
    return [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]


def assert_nothing_of_the_library_was_said(process: OrdersProcess) -> None:
    noise = [
        line
        for line in lines_of(process)
        if str(line.get("logger", "")).startswith("aiokafka") and line["level"] != "info"
    ]
    assert not noise, noise
    assert "Traceback" not in process.log, process.log_tail
    other = [line for line in process.log.splitlines() if not line.startswith("{")]
    assert not other, other


async def start_all(system: OrderSystem) -> tuple[OrdersProcess, OrdersProcess, OrdersProcess]:
    bridge = system.start_bridge()
    workers = [system.start_worker(queue) for queue in TASK_QUEUES]
    await system.wait_until_bridges_own_partitions()
    for queue, worker in zip(TASK_QUEUES, workers, strict=True):
        await system.wait_until_polled(queue, worker.pid)
    follow = system.start("follow", "events", "--follow")
    return bridge, workers[0], follow


async def order(system: OrderSystem, order_id: str) -> None:
    """Starts an order past Kafka, which its workers have to tell of it."""
    ended = await run_in_process(["start", order_id, "--payment-id", order_id, "--amount", "990"], system.settings)
    assert ended.returncode == 0, ended.stderr


async def test_an_outage_is_one_sentence_of_each_process_and_so_is_its_end(
    system: OrderSystem, kafka: KafkaProxy
) -> None:
    bridge, worker, follow = await start_all(system)
    await order(system, "o-1")
    await follow.wait_until_logged("VALIDATED")

    await kafka.refuse()
    await order(system, "o-2")
    await bridge.wait_until_logged("bridge.dependency.lost", NOTICED_SECONDS)
    await worker.wait_until_logged("worker.kafka.lost", NOTICED_SECONDS)
    await follow.wait_until_logged("Kafka does not answer any more", NOTICED_SECONDS)
    failed = said(worker, "activity.failed")
    await assert_eventually(lambda: said(worker, "activity.failed") >= failed + 2, NOTICED_SECONDS, "more attempts")

    await kafka.serve()
    await bridge.wait_until_logged("bridge.dependency.recovered", NOTICED_SECONDS)
    await worker.wait_until_logged("worker.kafka.recovered", NOTICED_SECONDS)
    await follow.wait_until_logged("Kafka answers again", NOTICED_SECONDS)
    await follow.wait_until_logged("o-2", NOTICED_SECONDS)
    assert said(worker, "worker.kafka.lost") == said(worker, "worker.kafka.recovered") == 1
    lost = [line["dependency"] for line in lines_of(bridge) if line.get("event") == "bridge.dependency.lost"]
    assert len(lost) == len(set(lost)), lost
    for process in (bridge, worker):
        assert_nothing_of_the_library_was_said(process)
    notes = [line for line in follow.log.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2, notes


async def test_what_is_told_to_stop_while_kafka_has_gone_away_ends_as_ever(
    system: OrderSystem, kafka: KafkaProxy
) -> None:
    bridge, worker, follow = await start_all(system)
    await order(system, "o-1")
    await follow.wait_until_logged("VALIDATED")
    kafka.stall()  # Connections stay open, and nobody answers: what is hardest to leave.
    await order(system, "o-2")
    await bridge.wait_until_logged("bridge.dependency.lost", NOTICED_SECONDS)
    await worker.wait_until_logged("worker.kafka.lost", NOTICED_SECONDS)
    await bridge.terminate()
    await worker.terminate()
    follow.send(signal.SIGINT)
    assert await follow.wait_until_ended(25) == 130, follow.log_tail
    assert "Traceback" not in follow.log
    for process in (bridge, worker):
        assert_nothing_of_the_library_was_said(process)


async def test_a_reading_that_has_an_end_says_that_kafka_has_gone_away(system: OrderSystem, kafka: KafkaProxy) -> None:
    with environment_of_python(system.settings):
        settings = Settings(_env_file=None)
    topic = system.topic_of(EventType.ORDER_CREATED)
    await run_in_process(["produce", "created", "o-1", "--payment-id", "p-1", "--amount", "990"], system.settings)
    async with open_clients(settings) as clients:
        with pytest.raises(UnreachableError, match="Kafka does not answer"):
            await read_while_kafka_goes(clients, topic, kafka)


async def read_while_kafka_goes(clients: Clients, topic: str, kafka: KafkaProxy) -> None:
    async with topic_batches(clients, topic, follow=False) as batches:
        await kafka.refuse()
        async for _ in batches:
            pass
