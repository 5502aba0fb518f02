"""Watches whether servers let a process in, also while it has nothing to do: an alarm, once for each mistake."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from bridge.supervision.probe import ask_temporal
from orders.clients.mistakes import Diagnosis, Server
from orders.errors import WrongSettingsError
from orders.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

WATCH_SECONDS: Final = 30.0
"""Between two looks. Each is a connection or two for each server."""
_LOOK_SECONDS: Final = 15.0

_log = structlog.get_logger("orders.servers")

Diagnose = Callable[[], Awaitable[Diagnosis | None]]


class ServerWatch:
    """Knows which servers do not let us in, and why.

    A server that is away is none of its business: whoever needs it says so.
    """

    def __init__(self, **diagnoses: Diagnose) -> None:
        """Looks at nothing yet.

        Args:
            diagnoses: for each server that the process needs, by its name in lower case, what finds out why it does not
                let us in.
        """
        self._diagnoses = {Server[name.upper()]: diagnose for name, diagnose in diagnoses.items()}
        self._found: dict[Server, str] = {}
        """What is wrong with a server, as the log has it."""

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why servers do not let us in, a sentence each."""
        return tuple(self._found.values())

    def trouble(self, server: Server) -> str:
        """Why a server does not let us in, as the last look found it; empty where it does, or is away."""
        return self._found.get(server, "")

    def also(self, server: Server, diagnose: Diagnose) -> None:
        """From the next look on, looks at this server too."""
        self._diagnoses[server] = diagnose

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks again and again while the block lasts."""
        task = asyncio.create_task(self._run(), name="watching over servers")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.gather(*(self.look(server) for server in tuple(self._diagnoses)))
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self, server: Server) -> None:
        """Looks once at a server, and says what has changed."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await self._diagnoses[server]()
        except TimeoutError:
            return  # It is away.
        except WrongSettingsError as error:
            self._note(server, str(error), "files_unusable", "correct it; it is tried again by itself")
            return
        if found is None:
            if self._found.pop(server, None) is not None:
                _log.info("server.lets_us_in", server=server.value)
            return
        self._note(server, found.sentence, found.mistake.value, found.action)

    def _note(self, server: Server, sentence: str, mistake: str, action: str) -> None:
        if self._found.get(server) != sentence:
            self._found[server] = sentence
            _log.error("server.refuses_us", server=server.value, mistake=mistake, detail=sentence, action=action)


def temporal_watched(settings: Settings, client: "Client") -> Diagnose:
    """Looks at Temporal.

    Args:
        settings: where it is.
        client: the process's own, which makes a call.
    """
    from orders.clients.diagnoses.temporal import temporal_diagnosis  # noqa: PLC0415 - loads Temporal's client

    async def diagnose() -> Diagnosis | None:
        try:
            await ask_temporal(client)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked into
            return await temporal_diagnosis(settings, error)
        return None

    return diagnose


def kafka_watched(settings: Settings, topics: tuple[str, ...]) -> Diagnose:
    """Looks at Kafka, and at the topics that the process needs."""
    from orders.clients.diagnoses.kafka import kafka_diagnosis  # noqa: PLC0415 - loads Kafka's client

    return lambda: kafka_diagnosis(settings, topics=topics)


def postgres_watched(settings: Settings) -> Diagnose:
    """Looks at Postgres."""
    from orders.clients.diagnoses.postgres import postgres_diagnosis  # noqa: PLC0415 - loads Postgres' client

    return lambda: postgres_diagnosis(settings)
