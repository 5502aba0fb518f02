"""The whole system for one test: topics, database and namespace of its own, and the processes as a user starts them."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from bridge import EngineLimits
from schemas.event_types import EventType
from schemas.order import OrderPolicy
from stack import Endpoints, Tools
from tests.helpers.checker import postgres_rows
from tests.helpers.checker.commit_log import commits_of
from tests.helpers.checker.evidence import Evidence, Run, StuckOrder
from tests.helpers.messages.kafka_io import (
    Outgoing,
    PartitionOffsets,
    StoredRecord,
    delete_topics,
    group_is_stable,
    group_members,
    group_offsets,
    produce,
    read_topics,
)
from tests.helpers.servers.gateway_server import RunningGateway
from tests.helpers.servers.kafka_topics import wait_until_known
from tests.helpers.system.processes import START_TIMEOUT_SECONDS, OrdersProcess, run_to_end
from tests.helpers.system.waiting import assert_as_long_as_it_moves, assert_eventually
from tests.helpers.system.work_left import WorkLeft

PARTITIONS = 4
TASK_QUEUES = ("order-tq", "shipping-tq")
RECORDS_HELD_MAX = EngineLimits().records_held_max
APPROVAL_SECONDS = OrderPolicy().approval_timeout.total_seconds()
RETENTION_SECONDS = 24 * 3600
"""The least that Temporal accepts."""
CONSOLE_TIMEOUT_SECONDS = 60.0
NAMESPACE_TIMEOUT_SECONDS = 30.0
"""A namespace is usable once Temporal's services have refreshed their caches: seconds, by default every ten."""
PLANTED_SECRET = f"planted-{secrets.token_hex(12)}"
"""Given to every process as a provider's key: it must turn up in no log (I16)."""


@dataclass(slots=True)
class OrderSystem:
    """Everything of one test: where it is, and what runs."""

    endpoints: Endpoints
    folder: Path
    tag: str
    """Part of every name, so that tests on the same servers do not meet."""
    settings: dict[str, str]
    client: Client
    """Temporal's, in the namespace of this test."""
    confidential: tuple[str, ...] = ()
    """Texts that this test sends and that must appear in no log."""
    processes: list[OrdersProcess] = field(default_factory=list)
    """All that were ever started, in order."""
    stuck_orders: list[StuckOrder] = field(default_factory=list)
    gateway: RunningGateway | None = None
    """The providers over HTTP, whose books then judge what was charged and shipped; None for the embedded sandbox."""

    @property
    def group_id(self) -> str:
        """The bridges' consumer group."""
        return self.settings["BRIDGE_GROUP_ID"]

    @property
    def input_topics(self) -> dict[str, EventType]:
        """The four topics that upstream writes to."""
        return {self.topic_of(event_type): event_type for event_type in EventType}

    @property
    def events_topic(self) -> str:
        """``order.events``, under this test's name."""
        return self.settings["KAFKA_TOPIC_ORDER_EVENTS"]

    @property
    def dead_letters_topic(self) -> str:
        """``order.dead_letters``, under this test's name."""
        return self.settings["KAFKA_TOPIC_DEAD_LETTERS"]

    def topic_of(self, event_type: EventType) -> str:
        """The topic of an event type, under this test's name."""
        return self.settings[_topic_setting(event_type)]

    # Processes ------------------------------------------------------------------------------------------------------

    def start(self, name: str, *arguments: str, expect_end: bool = False, **settings: str) -> OrdersProcess:
        """Starts an ``orders`` command with this system's settings and these.

        Args:
            name: What the test calls it.
            arguments: Of the command.
            expect_end: Whether it may end by itself.
            settings: Environment variables.
        """
        process = OrdersProcess(
            f"{len(self.processes)}-{name}",
            arguments,
            {**self.settings, **settings},
            self.folder,
            expect_end=expect_end,
        )
        self.processes.append(process)
        return process

    def start_bridge(self, *, expect_end: bool = False, **settings: str) -> OrdersProcess:
        """Starts a bridge; see `start`."""
        return self.start("bridge", "bridge", expect_end=expect_end, **settings)

    def start_worker(self, task_queue: str, **settings: str) -> OrdersProcess:
        """Starts a worker of one task queue."""
        return self.start(f"worker-{task_queue}", "worker", "--queue", task_queue, expect_end=False, **settings)

    def running(self, name: str) -> OrdersProcess:
        """The one running process whose name holds this text."""
        (found,) = [process for process in self.processes if name in process.name and process.exit_status is None]
        return found

    async def wait_until_bridges_own_partitions(self, members: int = 1) -> None:
        """Waits until so many bridges are in the group, and none is joining or leaving."""
        await self.wait_until(
            lambda: group_is_stable(self.endpoints.kafka_bootstrap_servers, self.group_id, members=members),
            START_TIMEOUT_SECONDS,
            lambda: f"a stable group of {members}",
        )

    async def wait_until_polled(self, task_queue: str, pid: int) -> None:
        """Waits until this worker process asks the task queue for work."""
        await self.wait_until(
            lambda: self._polls(task_queue, pid), START_TIMEOUT_SECONDS, lambda: f"pid {pid} polling {task_queue}"
        )

    async def _polls(self, task_queue: str, pid: int) -> bool:
        response = await self.client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self.client.namespace,
                task_queue=TaskQueue(name=task_queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        return any(poller.identity.startswith(f"{pid}@") for poller in response.pollers)

    @property
    def log_tails(self) -> str:
        """The end of every process's log."""
        return "\n".join(process.log_tail for process in self.processes)

    # Reading and writing --------------------------------------------------------------------------------------------

    async def produce(self, records: Iterable[Outgoing]) -> list[tuple[str, int, int]]:
        """Produces records; returns their coordinates."""
        return await produce(self.endpoints.kafka_bootstrap_servers, records)

    async def type_into_console_producer(self, tools: Tools, topic: str, *lines: str, with_keys: bool = False) -> None:
        """Hands lines to Kafka's own console producer, as a person would type them.

        Args:
            tools: The servers' own tools.
            topic: Where to.
            lines: A record each; with keys, ``key:value``.
            with_keys: Whether a line begins with its key.
        """
        properties = ["--property", "parse.key=true", "--property", "key.separator=:"] if with_keys else []
        command = [tools.kafka_console_producer, "--bootstrap-server", self.endpoints.kafka_bootstrap_servers]
        ended = await asyncio.to_thread(
            _type_into, [*map(str, command), "--topic", topic, *properties], "".join(f"{line}\n" for line in lines)
        )
        assert ended.returncode == 0, f"the console producer left with {ended.returncode}\n{ended.stderr}"

    async def offsets(self) -> list[PartitionOffsets]:
        """Begin, end and committed offset of every input partition."""
        return await group_offsets(self.endpoints.kafka_bootstrap_servers, self.group_id, list(self.input_topics))

    async def group_members(self) -> frozenset[str]:
        """The ids of the members of the bridges' group."""
        return await group_members(self.endpoints.kafka_bootstrap_servers, self.group_id)

    async def published(self) -> list[StoredRecord]:
        """Everything on ``order.events``."""
        return (await read_topics(self.endpoints.kafka_bootstrap_servers, [self.events_topic]))[self.events_topic]

    async def dead_letters(self) -> list[StoredRecord]:
        """Everything on ``order.dead_letters``."""
        return (await read_topics(self.endpoints.kafka_bootstrap_servers, [topic := self.dead_letters_topic]))[topic]

    async def runs(self, query: str = "") -> list[Run]:
        """Temporal's own list of workflow executions in this test's namespace."""
        return [
            Run(
                workflow_id=execution.id,
                run_id=execution.run_id,
                type=execution.workflow_type,
                status=execution.status.name if execution.status is not None else "UNKNOWN",
            )
            async for execution in self.client.list_workflows(query, page_size=1_000)
        ]

    async def evidence(self) -> Evidence:
        """All that this system has left behind so far, for the checker."""
        topics = [*self.input_topics, self.events_topic, self.dead_letters_topic]
        # Offsets first and inputs after: what is committed is then always among what was read.
        offsets = await self.offsets()
        records = await read_topics(self.endpoints.kafka_bootstrap_servers, topics)
        rows = await postgres_rows.read(self.settings)
        return Evidence(
            input_topics=self.input_topics,
            inputs=tuple(record for topic in self.input_topics for record in records[topic]),
            dead_letters=tuple(records[self.dead_letters_topic]),
            published=tuple(records[self.events_topic]),
            offsets=tuple(offsets),
            commits=tuple(await commits_of(self.endpoints.kafka_bootstrap_servers, self.group_id)),
            orders=rows.orders,
            payments=rows.payments,
            # Both where both are: a charge in the sandbox would count twice.
            ledger=rows.ledger + (self.gateway.ledger() if self.gateway is not None else ()),
            shipments=rows.shipments + (self.gateway.shipments() if self.gateway is not None else ()),
            audit=rows.audit,
            inbound=rows.inbound,
            runs=tuple(await self.runs()),
            logs={process.name: process.log for process in self.processes},
            ends=tuple(process.end for process in self.processes if process.end is not None),
            records_held_max=int(self.settings.get("BRIDGE_RECORDS_HELD_MAX", RECORDS_HELD_MAX)),
            stuck_orders=tuple(self.stuck_orders),
            approval_timeout_seconds=float(self.settings.get("ORDER_APPROVAL_TIMEOUT_SECONDS", APPROVAL_SECONDS)),
            confidential=(PLANTED_SECRET, *self.confidential),
        )

    # Waiting --------------------------------------------------------------------------------------------------------

    async def wait_until(
        self, condition: Callable[[], Awaitable[bool]], within_seconds: float, message: Callable[[], str]
    ) -> None:
        """Waits for a condition; fails at once, with the log, where a process ended by itself."""

        async def alive_and_true() -> bool:
            self._raise_where_one_ended()
            return await condition()

        await assert_eventually(alive_and_true, within_seconds, lambda: f"{message()}\n{self.log_tails}")

    async def wait_until_drained(self, still_seconds: float = 60.0) -> None:
        """Waits until every record is committed; fails where no commit moves for so long."""
        await self._wait_until_done(still_seconds, runs=False)

    async def wait_until_idle(self, still_seconds: float = 60.0) -> None:
        """Waits until all is committed and no run is left; fails where nothing of either moves for so long."""
        await self._wait_until_done(still_seconds, runs=True)

    async def _wait_until_done(self, still_seconds: float, *, runs: bool) -> None:
        servers, published_to = self.endpoints.kafka_bootstrap_servers, self.events_topic if runs else None
        left = WorkLeft(self.client, servers, self.group_id, self.input_topics, published_to)

        async def is_done() -> bool:
            self._raise_where_one_ended()
            return await left.is_none()

        await assert_as_long_as_it_moves(
            is_done,
            lambda: dict(left.done),
            still_seconds,
            lambda: f"all records committed{' and no workflow running' if runs else ''}\n{self.log_tails}",
        )

    def _raise_where_one_ended(self) -> None:
        for process in self.processes:
            process.raise_if_it_ended_by_itself()

    async def wait_until_states(self, order_id: str, *states: str, within_seconds: float = 60.0) -> None:
        """Waits until the order's published states are these."""
        seen: list[str] = []

        async def reached() -> bool:
            seen[:] = Evidence(input_topics={}, published=tuple(await self.published())).states_of(order_id)
            return seen == list(states)

        await self.wait_until(reached, within_seconds, lambda: f"{order_id} through {states}, not {seen}")


@asynccontextmanager
async def order_system(
    endpoints: Endpoints,
    folder: Path,
    *,
    start: bool = True,
    confidential: Sequence[str] = (),
    gateway: RunningGateway | None = None,
    **settings: str,
) -> AsyncIterator[OrderSystem]:
    """A system of one's own on the given servers; everything in it is ended and removed afterwards.

    Args:
        endpoints: The servers.
        folder: For logs; it must have no ``.env``.
        start: Whether one bridge and one worker for each task queue are started and awaited.
        confidential: Texts that the test sends and that must appear in no log.
        gateway: The providers over HTTP, with `PLANTED_SECRET` as their key; None for the embedded sandbox.
        settings: Settings beside the defaults, such as ``ORDER_APPROVAL_TIMEOUT_SECONDS="3"``.
    """
    tag = secrets.token_hex(4)
    names = {
        "PAYMENT_GATEWAY_API_KEY": PLANTED_SECRET,
        "TEMPORAL_NAMESPACE": f"e2e-{tag}",
        "DB_NAME": f"e2e_{tag}",
        "BRIDGE_GROUP_ID": f"bridge-{tag}",
        "BRIDGE_LOG_SETTLED": "true",  # The checker reads when each record was settled first.
        "KAFKA_TOPIC_ORDER_EVENTS": f"order.events-{tag}",
        "KAFKA_TOPIC_DEAD_LETTERS": f"order.dead_letters-{tag}",
        "KAFKA_TOPIC_PARTITIONS": str(PARTITIONS),
        **{_topic_setting(event_type): f"{event_type}-{tag}" for event_type in EventType},
    }
    everything = {**endpoints.as_environment(), **names, **(_providers(gateway) if gateway else {}), **settings}
    client, _ = await asyncio.gather(
        make_namespace(endpoints, names["TEMPORAL_NAMESPACE"]),
        postgres_rows.create_database(everything, names["DB_NAME"], beside=endpoints.db_name),
    )
    system = OrderSystem(endpoints, folder, tag, everything, client, tuple(confidential), gateway=gateway)
    try:
        await _migrate(system)
        if start:
            await _start_all(system)
        yield system
    except BaseException:
        print(system.log_tails)  # noqa: T201 -- pytest shows it with the failure
        raise
    finally:
        for process in system.processes:
            process.close()
        with suppress(LookupError):
            await delete_topics(
                endpoints.kafka_bootstrap_servers,
                [*system.input_topics, system.events_topic, system.dead_letters_topic],
            )
        await postgres_rows.drop_database(everything, names["DB_NAME"], beside=endpoints.db_name)


def _type_into(command: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=CONSOLE_TIMEOUT_SECONDS, check=False
    )


def _providers(gateway: RunningGateway) -> dict[str, str]:
    return {
        "PAYMENT_GATEWAY_URL": gateway.url,
        "CARRIER_GATEWAY_URL": gateway.url,
        "CARRIER_GATEWAY_API_KEY": PLANTED_SECRET,
    }


def _topic_setting(event_type: EventType) -> str:
    return f"KAFKA_TOPIC_{event_type.name}"


async def _migrate(system: OrderSystem) -> None:
    ended = await run_to_end(["migrate"], system.settings, system.folder)
    assert ended.returncode == 0, f"orders migrate left with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    made = [*system.input_topics, system.events_topic, system.dead_letters_topic]
    await wait_until_known(system.endpoints.kafka_bootstrap_servers, made)


async def _start_all(system: OrderSystem) -> None:
    workers = {task_queue: system.start_worker(task_queue) for task_queue in TASK_QUEUES}
    system.start_bridge()
    await system.wait_until_bridges_own_partitions()
    for task_queue, worker in workers.items():
        await system.wait_until_polled(task_queue, worker.pid)


async def make_namespace(endpoints: Endpoints, namespace: str) -> Client:
    """Registers a namespace of a test's own; returns a client of it once it is usable."""
    client = await Client.connect(endpoints.temporal_host, namespace=namespace)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=namespace,
            workflow_execution_retention_period=Duration(seconds=RETENTION_SECONDS),
        )
    )

    async def usable() -> bool:
        try:
            await client.count_workflows()
        except RPCError:
            return False
        return True

    await assert_eventually(usable, NAMESPACE_TIMEOUT_SECONDS, f"the namespace {namespace}")
    return client
