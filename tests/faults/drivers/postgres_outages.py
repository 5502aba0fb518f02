"""Outages of the application's Postgres: what a worker does meanwhile is tried again, and nothing is done twice."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg

from stack import RunningStack
from tests.faults.drivers.watching import OUTAGE_SECONDS
from tests.faults.drivers.work_outages import WorkOutages
from tests.helpers.checker import postgres_rows
from tests.helpers.system.campaign import Fault

CONNECTIONS_TAKEN_AT_ONCE = 20
OUT_OF_CONNECTIONS = "out of connections"
"""What a worker says of it (`activities.adapters.postgres.errors`)."""
TAKES_NO_WRITES = "the database takes no writes now"
"""The same of a server that was demoted."""
LOCKED = "another transaction holds a lock"
RELOAD = "SELECT pg_reload_conf()"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'orders%'"


class PostgresOutages:
    """Does things to Postgres, under a system whose workers go on; what it is away for lasts `OUTAGE_SECONDS` longer.

    Args:
        work: The system; an outage is over once an order comes through it again.
        servers: They can be killed.
    """

    def __init__(self, work: WorkOutages, servers: RunningStack) -> None:
        self._work = work
        self._servers = servers

    def faults(self) -> dict[str, Fault]:
        """All of them, by name."""
        return {
            "postgres connections terminated": self.connections_terminated,
            "postgres restarted": self.postgres_restarted,
            "postgres stopped": self.postgres_stopped,
            "postgres out of connections": self.connections_exhausted,
            "postgres demoted": self.failed_over,
            "postgres table locked": self.table_locked,
            "postgres killed": self.postgres_killed,
        }

    async def postgres_restarted(self) -> None:
        """An ordinary restart."""
        await self._work.send_orders()
        await asyncio.to_thread(self._servers.restart, "postgres")
        await self._over("postgres restarted")

    async def postgres_killed(self) -> None:
        """All its processes end at once, and are missed; what was committed is still there."""
        before = self._work.failures("DatabaseUnavailable")
        await asyncio.to_thread(self._servers.kill, "postgres")
        await self._missed(before)
        await asyncio.sleep(OUTAGE_SECONDS)
        await asyncio.to_thread(self._servers.restart, "postgres")
        await self._over("postgres killed")

    async def connections_terminated(self) -> None:
        """An operator ends every connection of the workers, in the middle of whatever they do."""
        await self._work.send_orders(4)
        await postgres_rows.execute(self._work.system.settings, TERMINATE)
        await self._over("postgres connections terminated")

    async def postgres_stopped(self) -> None:
        """The server and all its backends freeze: connections stay open, and nothing answers."""
        before = self._work.failures("DatabaseUnavailable")
        self._servers.pause("postgres")
        try:
            await self._missed(before)
            await asyncio.sleep(OUTAGE_SECONDS)
        finally:
            self._servers.resume("postgres")
        await self._over("postgres stopped")

    async def connections_exhausted(self) -> None:
        """Somebody else has taken every connection that the server has."""
        ours: list[asyncpg.Connection] = []
        async with AsyncExitStack() as taken:
            while await self._take_connections(taken, ours):
                pass
            before = self._work.failures(OUT_OF_CONNECTIONS)
            await self._work.send_orders()

            async def worker_gets_none() -> bool:
                # A worker whose connection was ended may have been the first to take its place.
                await self._take_connections(taken, ours)
                return self._work.failures(OUT_OF_CONNECTIONS) > before

            await self._work.until(worker_gets_none, "a worker gets none")
        await self._over("postgres out of connections")

    async def failed_over(self) -> None:
        """Another server takes over, and the old one keeps its sessions: they take no writes, for as long as they last.

        One server plays both. What is set for all servers takes effect in sessions that there are; what is set for a
        database, only in new ones.
        """
        settings = self._work.system.settings
        before = self._work.failures(TAKES_NO_WRITES)
        await postgres_rows.execute(settings, "ALTER SYSTEM SET default_transaction_read_only = on")
        await postgres_rows.execute(settings, RELOAD)
        try:
            await self._work.send_orders(4)
            await self._work.until(lambda: self._work.failures(TAKES_NO_WRITES) > before, "a worker may not write")
            await asyncio.sleep(OUTAGE_SECONDS)
            await postgres_rows.execute(
                settings, f'ALTER DATABASE "{settings["DB_NAME"]}" SET default_transaction_read_only = off', writes=True
            )
            await self._work.work_goes_on()
        finally:
            await postgres_rows.execute(settings, "ALTER SYSTEM RESET default_transaction_read_only")
            await postgres_rows.execute(settings, RELOAD)
        await postgres_rows.execute(
            settings, f'ALTER DATABASE "{settings["DB_NAME"]}" RESET default_transaction_read_only', writes=True
        )
        await self._over("postgres demoted")

    async def table_locked(self) -> None:
        """Somebody locks a table that all orders are recorded in, as in a migration by hand that is left open."""
        before = self._work.failures(LOCKED)
        async with postgres_rows.connection(self._work.system.settings) as somebody, somebody.transaction():
            await somebody.execute("LOCK TABLE journals")
            await self._work.send_orders()
            await self._work.until(lambda: self._work.failures(LOCKED) > before, "a worker waits for a lock in vain")
            await asyncio.sleep(OUTAGE_SECONDS)
        await self._over("postgres table locked")

    async def _take_connections(self, taken: AsyncExitStack, ours: list[asyncpg.Connection]) -> bool:
        """Ends the workers' connections, and takes as many as it gets; False where there were none."""
        settings = self._work.system.settings
        if ours:
            await ours[0].execute(TERMINATE)
        attempts = [
            asyncpg.connect(
                host=settings["DB_HOST"],
                port=int(settings["DB_PORT"]),
                user=settings["DB_USER"],
                password=settings["DB_PASSWORD"],
                database=settings["DB_NAME"],
                timeout=postgres_rows.CONNECT_TIMEOUT_SECONDS,
            )
            for _ in range(CONNECTIONS_TAKEN_AT_ONCE)
        ]
        made = await asyncio.gather(*attempts, return_exceptions=True)
        connections = [one for one in made if isinstance(one, asyncpg.Connection)]
        for connection in connections:
            taken.push_async_callback(connection.close)
        ours += connections
        return bool(connections)

    async def _missed(self, before: int) -> None:
        await self._work.send_orders()
        await self._work.until(
            lambda: self._work.failures("DatabaseUnavailable") > before, "a worker misses the database"
        )

    async def _over(self, kind: str) -> None:
        await self._work.work_goes_on()
        self._work.injected[kind] += 1
