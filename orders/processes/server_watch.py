"""Watches over the servers that a process needs, also while it has nothing to do.

Which of them do what is asked of them, and since when one does not, is what `/metrics` says. Why one does not let us
in is an alarm in the log, once for each mistake.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bridge import DependencyState
from bridge.metrics import dependency_metrics
from orders.clients.mistakes import Diagnosis, Server
from orders.errors import UnreachableError, WrongSettingsError
from orders.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

DEPENDENCY_PREFIX: Final = "orders"
"""What the names of the dependencies' metrics begin with, in every process: one question answers for all of them."""

WATCH_SECONDS: Final = 10.0
"""Between two looks at a server, each of which is one connection and one question. So an outage is told within so long
of its beginning and of its end, where the server refuses; one that is silent takes the time-out below as well."""
_LOOK_SECONDS: Final = 15.0

_log = structlog.get_logger("orders.servers")

Look = Callable[[], Awaitable[Diagnosis | None]]
"""Asks a server: why it does not let us in, None where it answers. Raises `UnreachableError` where it does not."""


class ServerWatch(Collector):
    """Knows which servers do what is asked of them, since when one does not, and why it does not let us in.

    As a collector it tells the first two as metrics. One that is away has no line in the log: whoever needs it says so.
    """

    def __init__(self, **looks: Look) -> None:
        """Looks at nothing yet.

        Args:
            looks: for each server that the process needs, by its name in lower case, what asks it.
        """
        self._looks = {Server[name.upper()]: look for name, look in looks.items()}
        self._found: dict[Server, str] = {}
        """What is wrong with a server, as the log has it."""
        self._lost_at: dict[Server, float | None] = {}
        """Of each server that was looked at, since when it does not do what is asked of it, as Unix time."""
        self._failed: dict[Server, type[Exception]] = {}
        """Of what nobody expects of a look, the last error that the log has; until the server answers."""
        self._watching: dict[Server, asyncio.Task[None]] | None = None
        """What looks at each server; None while nothing does."""

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why servers do not let us in, a sentence each."""
        return tuple(self._found.values())

    def trouble(self, server: Server) -> str:
        """Why a server does not let us in, as the last look that it answered found it; empty where it does."""
        return self._found.get(server, "")

    @property
    def states(self) -> tuple[DependencyState, ...]:
        """Each server that was looked at, and since when it does not do what is asked of it."""
        # Of a copy: a scrape reads it in a thread of its own, while a look may note a server for the first time.
        return tuple(DependencyState(server.name.lower(), lost_at) for server, lost_at in self._lost_at.copy().items())

    def collect(self) -> Iterator[Metric]:
        """The states as metrics; called by the registry, in any thread."""
        yield from dependency_metrics(DEPENDENCY_PREFIX, self.states)

    def also(self, server: Server, look: Look) -> None:
        """Looks at this server too: at once, where the others are being looked at."""
        self._looks[server] = look
        if self._watching is not None and server not in self._watching:
            self._watching[server] = self._watch(server)

    def lost(self, server: Server) -> None:
        """Notes that somebody has asked a server in vain. The next look that it answers ends it."""
        self._note_lost(server, time.time())

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks at each server again and again while the block lasts; none waits for what another answers."""
        self._watching = {server: self._watch(server) for server in self._looks}
        try:
            yield
        finally:
            tasks, self._watching = list(self._watching.values()), None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _watch(self, server: Server) -> "asyncio.Task[None]":
        return asyncio.create_task(self._look_again_and_again(server), name=f"watching over {server.value}")

    async def _look_again_and_again(self, server: Server) -> None:
        while True:
            await self.look(server)
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self, server: Server) -> None:
        """Looks once at a server, and says what has changed."""
        began_at = time.time()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await self._looks[server]()
        except WrongSettingsError as error:
            self._note_lost(server, began_at)
            self._note(server, str(error), "files_unusable", "correct it; it is tried again by itself")
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the server does not do what is asked of it
            if not isinstance(error, TimeoutError | UnreachableError) and self._failed.get(server) is not type(error):
                self._failed[server] = type(error)
                _log.warning("server.look.failed", server=server.value, error=type(error).__name__, detail=str(error))
            self._note_lost(server, began_at)
            return
        self._failed.pop(server, None)
        if found is None:
            self._lost_at[server] = None
            if self._found.pop(server, None) is not None:
                _log.info("server.lets_us_in", server=server.value)
            return
        self._note_lost(server, began_at)
        self._note(server, found.sentence, found.mistake.value, found.action)

    def _note_lost(self, server: Server, at: float) -> None:
        if self._lost_at.get(server) is None:
            self._lost_at[server] = at

    def _note(self, server: Server, sentence: str, mistake: str, action: str) -> None:
        if self._found.get(server) != sentence:
            self._found[server] = sentence
            _log.error("server.refuses_us", server=server.value, mistake=mistake, detail=sentence, action=action)


def temporal_watched(settings: Settings, client: "Client") -> Look:
    """Looks at Temporal.

    Args:
        settings: where it is.
        client: the process's own, which makes a call.
    """
    from orders.clients.diagnoses.temporal import look_at_temporal  # noqa: PLC0415 - loads Temporal's client

    return lambda: look_at_temporal(settings, client)


def kafka_watched(settings: Settings, topics: tuple[str, ...]) -> Look:
    """Looks at Kafka, and at the topics that the process needs."""
    from orders.clients.diagnoses.kafka import look_at_kafka  # noqa: PLC0415 - loads Kafka's client

    return lambda: look_at_kafka(settings, topics=topics)


def postgres_watched(settings: Settings) -> Look:
    """Looks at Postgres."""
    from orders.clients.diagnoses.postgres import look_at_postgres  # noqa: PLC0415 - loads Postgres' client

    return lambda: look_at_postgres(settings)
