"""The native servers: started, found, used, killed, restarted, ended. They are this module's own, whatever is set."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import UnknownTopicOrPartitionError
from temporalio.client import Client

import stack
from stack.endpoints import REQUIRED_VARIABLES
from stack.readiness import unready_services
from tests.helpers.servers.databases import connected
from tests.helpers.system.waiting import patient_timeout

TOOL_TIMEOUT_SECONDS = 30
START_TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def own_servers_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in REQUIRED_VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("STACK_SOURCE", "native")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[stack.RunningStack]:
    # Not synced to disk, which is half the time; a killed process loses nothing by it, only a crashed machine would.
    servers = stack.up(state_dir=folder, durable=False, progress=lambda _: None)
    yield servers
    servers.down()


def run_tool(tool: Path, *arguments: str, text: str = "") -> str:
    outcome = subprocess.run(
        [tool, *arguments], input=text, capture_output=True, text=True, timeout=TOOL_TIMEOUT_SECONDS, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "SLF4J" not in outcome.stderr
    assert "WARNING" not in outcome.stderr
    return outcome.stdout


async def query(endpoints: stack.Endpoints, statement: str) -> object:
    async with connected(endpoints) as connection:
        return await connection.fetchval(statement)


async def test_data_of_an_earlier_version_get_a_password_that_not_everybody_knows(running: stack.RunningStack) -> None:
    own = running.endpoints
    former = replace(own, db_password="orders")  # noqa: S106 -- that of earlier versions
    await query(own, "ALTER ROLE orders PASSWORD 'orders'")
    assert await query(former, "SELECT 1") == 1
    await asyncio.to_thread(running.restart, "postgres")
    assert await query(own, "SELECT 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(former, "SELECT 1")


def test_a_second_up_finds_the_first_and_starts_nothing(running: stack.RunningStack, folder: Path) -> None:
    again = stack.up(state_dir=folder, progress=lambda _: None)
    assert running.started_here
    assert not again.started_here
    assert again.endpoints == running.endpoints
    assert again.pids == running.pids
    assert set(running.pids) == set(stack.SERVICES)


def test_a_message_typed_into_the_console_producer_comes_out_of_the_console_consumer(
    running: stack.RunningStack,
) -> None:
    topic, bootstrap = f"t-{uuid.uuid4()}", f"--bootstrap-server={running.endpoints.kafka_bootstrap_servers}"
    run_tool(running.tools.kafka_topics, bootstrap, "--create", "--topic", topic)
    run_tool(running.tools.kafka_console_producer, bootstrap, "--topic", topic, text='{"order_id": "o-1"}\n')
    reading = (bootstrap, "--topic", topic, "--from-beginning", "--max-messages", "1", "--timeout-ms", "20000")
    assert run_tool(running.tools.kafka_console_consumer, *reading) == '{"order_id": "o-1"}\n'


async def test_a_topic_that_nobody_made_is_not_made_by_reading_it(running: stack.RunningStack) -> None:
    topic, bootstrap = f"t-{uuid.uuid4()}", running.endpoints.kafka_bootstrap_servers
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, request_timeout_ms=500)
    try:
        with pytest.raises(UnknownTopicOrPartitionError):
            await consumer.start()
    finally:
        await consumer.stop()
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as other:
        assert topic not in await other.topics()


def test_psql_is_logged_in_and_another_password_is_refused(running: stack.RunningStack) -> None:
    assert run_tool(running.tools.psql, "--tuples-only", "--no-align", "--command", "SELECT current_user") == "orders\n"
    stranger = replace(running.endpoints, db_password="another")  # noqa: S106 -- of nobody
    assert set(unready_services(stranger)) == {"postgres"}


async def test_a_workflow_can_be_started(running: stack.RunningStack) -> None:
    client = await Client.connect(running.endpoints.temporal_host)
    handle = await client.start_workflow("Nothing", id=str(uuid.uuid4()), task_queue=str(uuid.uuid4()))
    description = await handle.describe()
    assert description.status is not None
    assert description.status.name == "RUNNING"


async def test_postgres_killed_comes_back_on_its_port_with_its_data(running: stack.RunningStack) -> None:
    table = f"t_{uuid.uuid4().hex}"
    await query(running.endpoints, f"CREATE TABLE {table} AS SELECT 42 AS answer")
    before = running.pids["postgres"]
    await asyncio.to_thread(running.kill, "postgres")
    assert "postgres" not in running.pids
    with pytest.raises(OSError, match=r"refused|reset|Connect"):
        await query(running.endpoints, "SELECT 1")
    await asyncio.to_thread(running.restart, "postgres")
    assert running.pids["postgres"] != before
    assert await query(running.endpoints, f"SELECT answer FROM {table}") == 42  # noqa: S608 -- our own name


async def test_a_paused_server_holds_its_connections_and_answers_after_it_is_resumed(
    running: stack.RunningStack,
) -> None:
    running.pause("postgres")
    try:
        answer = asyncio.ensure_future(query(running.endpoints, "SELECT 7"))
        done, _ = await asyncio.wait([answer], timeout=0.5)
        assert not done
    finally:
        running.resume("postgres")
    async with patient_timeout(10):
        assert await answer == 7


def test_servers_outlive_a_killed_starter_and_are_found_replaced_and_ended_by_others(
    running: stack.RunningStack, tmp_path: Path
) -> None:
    starter = (
        "import os, signal, stack\n"
        "from pathlib import Path\n"
        f"stack.up(state_dir=Path({str(tmp_path)!r}), durable=False)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    try:
        outcome = subprocess.run(
            [sys.executable, "-c", starter], capture_output=True, timeout=START_TIMEOUT_SECONDS, check=False
        )
        assert outcome.returncode == -9, outcome.stderr
        first = stack.find(state_dir=tmp_path)
        assert first is not None

        first.kill("kafka")
        assert stack.find(state_dir=tmp_path) is None
        second = stack.up(state_dir=tmp_path, durable=False, progress=lambda _: None)
        assert second.started_here
        assert second.endpoints == first.endpoints, "the ports are kept"
        assert not {*first.pids.values()} & {*second.pids.values()}
        ours = [process for pid in second.pids.values() for process in family_of(pid)]
        assert len(ours) > len(stack.SERVICES), "PostgreSQL's own children are among them"
    finally:
        ended = stack.down(state_dir=tmp_path)
        bystander_lives = bystander.poll() is None
        bystander.kill()
        bystander.wait()
    assert ended
    assert not [process for process in ours if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert bystander_lives
    assert unready_services(running.endpoints) == {}, "another stack is left alone"
    assert not stack.down(state_dir=tmp_path)
    assert stack.find(state_dir=tmp_path) is None


def family_of(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def test_a_pid_that_is_now_a_strangers_is_never_ended(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        ports = dict.fromkeys(("kafka", "kafka_controller", "temporal", "temporal_ui", "postgres"), 1)
        (tmp_path / "ports.json").write_text(json.dumps(ports))
        endpoints = stack.Endpoints("127.0.0.1:1", "127.0.0.1:1", None, "127.0.0.1", 1, "orders", "orders", "orders")
        # As a state file reads after the machine was started anew: the pid is in use again, by something else.
        pids = {service: {"pid": stranger.pid, "started": "boot of yesterday, tick 4711"} for service in stack.SERVICES}
        content = {"version": 1, "source": "native", "durable": True, "endpoints": endpoints_as_json(endpoints)}
        (tmp_path / "state.json").write_text(
            json.dumps({**content, "ready": True, "processes": pids, "containers": {}})
        )
        assert stack.find(state_dir=tmp_path) is None
        assert stack.down(state_dir=tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def endpoints_as_json(endpoints: stack.Endpoints) -> dict[str, object]:
    return {name: getattr(endpoints, name) for name in endpoints.__slots__}


def test_a_start_that_fails_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.temporal.ensure_temporal", lambda _: Path("/bin/false"))
    with pytest.raises(stack.StackError, match=r"temporal ended while it started.*temporal\.log"):
        stack.up(state_dir=tmp_path, durable=False, progress=lambda _: None)
    mine = [process for process in psutil.process_iter() if str(tmp_path) in " ".join(command_line(process))]
    assert mine == []
    assert not (tmp_path / "state.json").exists()


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def test_two_ups_at_the_same_time_start_one_set_of_servers(tmp_path: Path) -> None:
    both = await asyncio.gather(
        *(asyncio.to_thread(stack.up, state_dir=tmp_path, durable=False, progress=lambda _: None) for _ in range(2))
    )
    try:
        assert sorted(each.started_here for each in both) == [False, True]
        assert both[0].pids == both[1].pids
    finally:
        await asyncio.to_thread(both[0].down)
