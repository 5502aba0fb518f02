"""The clients of all servers for one process: each opened at its first use, at most once, and closed at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from orders.settings import Settings

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient
    from opentelemetry.trace import Tracer
    from sqlalchemy.ext.asyncio import AsyncEngine
    from temporalio.client import Client
    from temporalio.runtime import Runtime

    from activities.adapters.postgres.reader import InboundKey, OrderReader
    from orders.clients.outcome_watch import OutcomeWatch
    from orders.mapping import OrderMapping
    from schemas.activity_io import EventOutcome

# A server's own module is imported when its client is opened: together the three take over half a second to import.

Opened = TypeVar("Opened")

_log = structlog.get_logger("orders.clients")


class _AtFirstUse(Generic[Opened]):
    """Opens a client when it is first asked for; after a failure, when it is asked for again.

    Whoever asks meanwhile waits for the same attempt and shares its failure: of a hundred requests that wait for a
    server that is away, none waits for more than one attempt.
    """

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, Opened]]) -> None:
        self._opening = opening
        self._attempt: asyncio.Task[Opened] | None = None

    async def get(self) -> Opened:
        """The client, open."""
        if self._attempt is not None and self._attempt.done():
            return self._attempt.result()
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._opening(), name="opening a client")
            self._attempt.add_done_callback(self._forget_failure)
        # Shielded: who stops waiting does not end the attempt for others.
        return await asyncio.shield(self._attempt)

    def _forget_failure(self, attempt: asyncio.Task[Opened]) -> None:
        if attempt.cancelled() or attempt.exception() is not None:
            self._attempt = None


class Clients:
    """What operations reach servers by. Make one with `open_clients`; any number of tasks may use it at once.

    Reading a topic needs a consumer of its own for each reading, as a consumer has a position: `topic_scan` and
    `topic_batches` open it, and take from here what they share.
    """

    def __init__(
        self,
        settings: Settings,
        resources: AsyncExitStack,
        note: Callable[[str], None],
        *,
        lasting: bool = False,
        runtime: "Runtime | None" = None,
        tracer: "Tracer | None" = None,
    ) -> None:
        self.settings = settings
        self.note = note
        """Takes a sentence that a person should read beside a result, which stands all the same."""
        self._resources = resources
        self._lasting = lasting
        self._runtime = runtime
        self._tracer = tracer
        self._temporal = _AtFirstUse(self._open_temporal)
        self._engine = _AtFirstUse(self._open_engine)
        self._reader = _AtFirstUse(self._open_reader)
        self._watch = _AtFirstUse(self._open_watch)
        self._admin = _AtFirstUse(self._open_admin)
        self._producer = _AtFirstUse(self._open_producer)

    @cached_property
    def order_mapping(self) -> "OrderMapping":
        """The calls that events become; made once, as the settings are the process's."""
        return self.settings.order_mapping()

    async def temporal(self) -> "Client":
        """Temporal's client.

        Raises:
            UnreachableError: Temporal did not answer when it was first asked for.
            WrongSettingsError: it refused the credentials, has no such namespace, or a certificate cannot be read.
        """
        return await self._temporal.get()

    @asynccontextmanager
    async def order_reader(self) -> AsyncIterator["OrderReader"]:
        """The database's read side.

        Raises:
            UnreachableError: Postgres does not answer within the block, or not with what was asked for.
        """
        from orders.clients.database import reaching_postgres  # noqa: PLC0415 - see above

        reader = await self._reader.get()
        async with reaching_postgres(self.settings, reader, explained=not self._lasting):
            yield reader

    async def outcome_watch(self) -> "OutcomeWatch":
        """Waits for what becomes of inbound events, for all tasks of the process together."""
        return await self._watch.get()

    @asynccontextmanager
    async def database(self) -> AsyncIterator["AsyncEngine"]:
        """The database, for statements of the tables that no reader has.

        Raises:
            UnreachableError: Postgres does not answer within the block, or not with what was asked for.
        """
        from orders.clients.database import reaching_postgres  # noqa: PLC0415 - see above

        reader, engine = await self._reader.get(), await self._engine.get()
        async with reaching_postgres(self.settings, reader, explained=not self._lasting):
            yield engine

    async def kafka_admin(self) -> "AIOKafkaAdminClient":
        """Kafka's admin client, whose calls raise aiokafka's errors.

        Raises:
            UnreachableError: Kafka did not answer in time when it was first asked for.
        """
        return await self._admin.get()

    async def kafka_producer(self) -> "AIOKafkaProducer":
        """A producer whose awaited sends are acknowledged by all replicas, and raise aiokafka's errors.

        Raises:
            UnreachableError: Kafka did not answer in time when it was first asked for.
        """
        return await self._producer.get()

    async def _open_temporal(self) -> "Client":
        from orders.clients.temporal import SOON, connect_temporal  # noqa: PLC0415 - see above

        retries = SOON if self._lasting else None
        client = await connect_temporal(self.settings, retry_config=retries, runtime=self._runtime)
        if self._tracer is None:
            return client
        from bridge.traces import traced_client  # noqa: PLC0415 -- brings OpenTelemetry along

        return traced_client(client, self._tracer)

    async def _open_engine(self) -> "AsyncEngine":
        from orders.clients.database import database_engine  # noqa: PLC0415 - see above

        engine = database_engine(self.settings, application_name="orders read")
        return await self._resources.enter_async_context(engine)

    async def _open_reader(self) -> "OrderReader":
        from activities.adapters.postgres.reader import OrderReader  # noqa: PLC0415 - see above

        return OrderReader(await self._engine.get())

    async def _open_watch(self) -> "OutcomeWatch":
        from orders.clients.outcome_watch import outcome_watch  # noqa: PLC0415 - see above

        async def look(keys: AbstractSet["InboundKey"]) -> Mapping["InboundKey", "EventOutcome"]:
            async with self.order_reader() as reader:
                return await reader.outcomes_of(keys)

        # The reader's engine first, so that it is closed after the watch.
        await self._reader.get()
        return await self._resources.enter_async_context(outcome_watch(look))

    async def _open_admin(self) -> "AIOKafkaAdminClient":
        from orders.clients.kafka import kafka_admin  # noqa: PLC0415 - see above

        return await self._resources.enter_async_context(kafka_admin(self.settings))

    async def _open_producer(self) -> "AIOKafkaProducer":
        from orders.clients.kafka import kafka_producer  # noqa: PLC0415 - see above

        return await self._resources.enter_async_context(kafka_producer(self.settings))


def _log_note(sentence: str) -> None:
    _log.warning("clients.note", detail=sentence)


@asynccontextmanager
async def open_clients(
    settings: Settings,
    *,
    note: Callable[[str], None] = _log_note,
    lasting: bool = False,
    runtime: "Runtime | None" = None,
    tracer: "Tracer | None" = None,
) -> AsyncIterator[Clients]:
    """Clients for as long as the block lasts; no server is spoken to before one is used.

    Args:
        settings: where the servers are.
        note: what becomes of a sentence that a person should read beside a result; it is logged unless given.
        lasting: whether they are those of a process that outlives its servers' outages and answers others, who wait:
            each call on Temporal fails soon.
        runtime: what Temporal's client runs on; None is the SDK's own, which measures nothing.
        tracer: makes spans of calls on Temporal that belong to a trace; None where nobody traces.
    """
    async with AsyncExitStack() as resources:
        yield Clients(settings, resources, note, lasting=lasting, runtime=runtime, tracer=tracer)
