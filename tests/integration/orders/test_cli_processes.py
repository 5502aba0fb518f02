"""The bridge, the worker and their supervisor as processes: how they start, wait and end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orders.errors import OrdersError
from orders.local.supervision import FAST_FAILURES_MAX, Child, Supervisor
from orders.processes.exit_status import ExitStatus, exit_status_of
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, delete_topics, group_members, group_offsets
from tests.helpers.servers.kafka_topics import make_topics
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import clean_environment, free_port
from tests.helpers.system.system import PARTITIONS, OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """Topics, tables and a namespace, and no process yet."""
    async with order_system(endpoints, tmp_path_factory.mktemp("processes"), start=False) as made:
        yield made


async def test_a_worker_waits_for_temporal_says_so_once_and_goes_on(system: OrderSystem, endpoints: Endpoints) -> None:
    # The second one takes every attempt, and counts it; the first one is not there.
    async with Proxy(endpoints.temporal_host) as temporal, Proxy(temporal.address) as attempts:
        await temporal.refuse()
        worker = system.start("waiting", "worker", TEMPORAL_HOST=attempts.address)
        await worker.wait_until_logged("worker.temporal.lost")
        before = attempts.accepted
        await assert_eventually(lambda: attempts.accepted >= before + 4, 60, "more attempts")
        assert worker.log.count("worker.temporal.lost") == 1
        await temporal.serve()
        await worker.wait_until_logged("worker.started")
        await worker.terminate()


@pytest.mark.parametrize("command", ["worker", "bridge"])
async def test_a_process_that_waits_for_its_servers_stops_when_told_to(
    command: str, system: OrderSystem, endpoints: Endpoints
) -> None:
    async with Proxy(endpoints.temporal_host) as proxy:
        await proxy.refuse()
        process = system.start(f"stopped-{command}", command, TEMPORAL_HOST=proxy.address)
        await process.wait_until_logged(".lost")
        await process.terminate(within_seconds=10)


async def test_ctrl_c_and_a_closed_terminal_stop_a_worker_as_sigterm_does(system: OrderSystem) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        worker = system.start(f"worker-{number.name}", "worker", "--queue", "shipping-tq")
        await worker.wait_until_logged("worker.started")
        worker.send(number)
        assert await worker.wait_until_ended(25) == 0, worker.log_tail


async def test_a_second_sigterm_ends_a_bridge_at_once_in_mid_stop(system: OrderSystem) -> None:
    # A group's first bridge commits where it begins: that is not the commit in which this one is to be stuck.
    first = system.start("first", "bridge")
    await first.wait_until_logged("bridge.partitions.assigned")
    await first.terminate()
    bridge = system.start("stuck", "bridge", FAILPOINTS="before_commit:block=60")
    await bridge.wait_until_logged("bridge.partitions.assigned")
    topic = next(iter(system.input_topics))
    await system.produce([Outgoing(topic, b"{}")])
    await bridge.wait_until_logged("bridge.record.settled")
    bridge.send(signal.SIGTERM)

    def ended_by_another() -> bool:
        # Signals of one kind that wait together are delivered as one, so it is sent until the second arrives.
        if bridge.exit_status is None:
            bridge.send(signal.SIGTERM)
        return bridge.exit_status is not None

    await assert_eventually(ended_by_another, 10, lambda: bridge.log_tail)
    assert bridge.exit_status == 128 + signal.SIGTERM


async def test_a_bridge_whose_topic_is_made_anew_under_it_ends_with_a_status_and_a_sentence(
    system: OrderSystem,
) -> None:
    servers, topic = system.endpoints.kafka_bootstrap_servers, system.topic_of(EventType.ORDER_ADDRESS_UPDATED)
    await system.produce([Outgoing(topic, b"not json", partition=0)] * 3)
    group_id = f"{system.group_id}-anew"
    bridge = system.start("anew", "bridge", expect_end=True, BRIDGE_GROUP_ID=group_id)

    async def drained() -> bool:
        return all(one.drained for one in await group_offsets(servers, group_id, [topic]))

    await assert_eventually(drained, 60, lambda: bridge.log_tail)
    # Else it may see the topic missing, let go of it, and begin with it anew by itself.
    bridge.send(signal.SIGSTOP)
    await delete_topics(servers, [topic])
    await make_topics(servers, {topic: PARTITIONS})
    await system.produce([Outgoing(topic, b"not json", partition=0)])
    bridge.send(signal.SIGCONT)
    assert await bridge.wait_until_ended(60) == ExitStatus.BEGINS_ANEW, bridge.log_tail
    (said,) = [line for line in bridge.log.splitlines() if line.startswith("error: ")]
    assert f"{topic}:0" in said
    assert "was the topic deleted and made anew" in said
    assert "Started again it goes on from what it has committed" in said
    assert "Traceback" not in bridge.log


# The limit of dead letters -------------------------------------------------------------------------------------------

LIMIT = {"BRIDGE_DEAD_LETTERS_IN_A_ROW_MAX": "3"}


async def produce_bad_records(system: OrderSystem, count: int) -> None:
    topic = next(iter(system.input_topics))
    await system.produce([Outgoing(topic, b"not json", partition=0)] * count)


async def test_a_bridge_at_the_limit_of_dead_letters_is_not_started_again(system: OrderSystem, tmp_path: Path) -> None:
    """Each start would set aside as many again: so it ends with a status of its own, and once only."""
    await produce_bad_records(system, 10)
    before = len(await system.dead_letters())
    said: list[str] = []
    settings = {**system.settings, **LIMIT, "BRIDGE_GROUP_ID": f"{system.group_id}-limited"}
    with pytest.raises(OrdersError, match="not started again") as given_up:
        await supervisor([Child("bridge", ("bridge",))], tmp_path, said, **settings).run(asyncio.Event())
    assert exit_status_of(given_up.value) is ExitStatus.NEEDS_A_PERSON
    assert said == []
    log = (tmp_path / "bridge.log").read_text()
    assert log.count("process.started") == 1
    (line,) = [line for line in log.splitlines() if "bridge.failed" in line]
    assert "DeadLetterLimitError" in line
    assert "orders dlq list" in line
    assert len(await system.dead_letters()) - before <= 3


async def test_a_bridge_that_is_kept_at_the_limit_waits_without_being_ready(system: OrderSystem) -> None:
    await produce_bad_records(system, 10)
    before = len(await system.dead_letters())
    port = {"BRIDGE_HEALTH_PORT": str(free_port())}
    group_id = f"{system.group_id}-kept"
    settings = {**LIMIT, **port, "BRIDGE_DEAD_LETTERS_LIMIT_ACTION": "wait", "BRIDGE_GROUP_ID": group_id}
    bridge = system.start("kept", "bridge", expect_end=False, **settings)
    await bridge.wait_until_logged("bridge.waiting")

    async def without_partitions() -> bool:
        return await group_members(system.endpoints.kafka_bootstrap_servers, group_id) == frozenset()

    async def alive_and_not_ready() -> bool:
        live, ready = [
            await run_in_process(["health", "bridge", *options], {**system.settings, **port})
            for options in (["--live"], [])
        ]
        assert (live.returncode, ready.returncode) == (0, 1)
        return "3 records in a row could not be read" in ready.stdout + ready.stderr

    await assert_eventually(without_partitions, 30, "others may have its partitions")
    await assert_eventually(alive_and_not_ready, 30, lambda: bridge.log_tail)
    await bridge.terminate(expected_status=ExitStatus.NEEDS_A_PERSON)
    assert len(await system.dead_letters()) <= before + 3


# The supervisor ------------------------------------------------------------------------------------------------------


def supervisor(children: list[Child], folder: Path, said: list[str], **settings: str) -> Supervisor:
    return Supervisor(children, clean_environment(settings), folder, lambda _name, _line: None, said.append)


async def test_a_child_that_keeps_dying_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    children = [Child("dying", ("settings",))]
    with pytest.raises(OrdersError, match=f"dying ended with status 0 {FAST_FAILURES_MAX} times in a row") as given_up:
        await supervisor(children, tmp_path, said).run(asyncio.Event())
    assert exit_status_of(given_up.value) is ExitStatus.FAILURE
    assert len(said) == FAST_FAILURES_MAX - 1
    assert "TEMPORAL_HOST=" in (tmp_path / "dying.log").read_text()


async def test_a_child_with_wrong_settings_is_not_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    children = [Child("wrong", ("bridge",))]
    with pytest.raises(OrdersError, match="wrong refuses its settings") as given_up:
        await supervisor(children, tmp_path, said, DB_PORT="x").run(asyncio.Event())
    assert exit_status_of(given_up.value) is ExitStatus.USAGE
    assert said == []
    assert "DB_PORT is wrong" in (tmp_path / "wrong.log").read_text()


async def test_a_killed_child_is_started_again_and_all_are_ended_in_order(system: OrderSystem, tmp_path: Path) -> None:
    said: list[str] = []
    lines: list[tuple[str, str]] = []
    children = [Child("bridge", ("bridge",)), Child("worker", ("worker", "--queue", "shipping-tq"))]
    supervising = supervisor(children, tmp_path, said, **system.settings, LOG_FORMAT="json")
    supervising.on_line = lambda name, line: lines.append((name, line))
    stop = asyncio.Event()
    running = asyncio.create_task(supervising.run(stop))

    def started(name: str) -> int:
        return sum(one == name and "process.started" in line for one, line in lines)

    await assert_eventually(lambda: started("bridge") == 1 and started("worker") == 1, 60)
    process = children[1].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await assert_eventually(lambda: started("worker") == 2, 60)
    assert len(said) == 1
    assert "worker was ended by SIGKILL" in said[0]
    stop.set()
    await asyncio.wait_for(running, 60)
    ended = [name for name, line in lines if "process.stopped" in line]
    assert ended == ["bridge", "worker"]
    assert all(child.process is not None and child.process.returncode == 0 for child in children)
