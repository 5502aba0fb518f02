"""Bridges that come and go in this process: members of a real consumer group, without a process's slow start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bridge import Bridge
from orders.processes.bridge import make_bridge
from orders.settings import Settings
from tests.helpers.messages.kafka_io import group_is_stable, partitions_of
from tests.helpers.system.processes import STOP_TIMEOUT_SECONDS
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import patient_timeout

REBALANCED_WITHIN_SECONDS = 60.0


@dataclass(slots=True)
class Member:
    """One bridge and its task."""

    bridge: Bridge
    running: asyncio.Task[None]


@dataclass(slots=True)
class Group:
    """The bridges of one system, of which there may be none."""

    system: OrderSystem
    members: list[Member] = field(default_factory=list)
    rebalances: int = 0
    """Changes of the membership that all members have seen."""

    async def join(self, **settings: str) -> Member:
        """Starts a bridge with the system's settings and these, and waits until the partitions are shared anew."""
        given = {name.lower(): value for name, value in (self.system.settings | settings).items()}
        told = Settings(_env_file=None, **given)  # type: ignore[arg-type]  # Texts, as from the environment.
        bridge = await make_bridge(told)
        member = Member(bridge, asyncio.create_task(bridge.run(), name="a bridge of the group"))
        self.members.append(member)
        await self.wait_until_shared()
        return member

    async def leave(self, member: Member) -> None:
        """Stops a bridge as SIGTERM does, and waits until the others have its partitions."""
        self.members.remove(member)
        await _end(member)
        await self.wait_until_shared()

    async def wait_until_shared(self) -> None:
        """Waits until each partition has a member, and nobody is joining or leaving."""
        servers, count = self.system.endpoints.kafka_bootstrap_servers, len(self.members)
        partitions = len(await partitions_of(servers, list(self.system.input_topics))) if count else 0

        async def shared() -> bool:
            for member in self.members:
                if member.running.done():
                    await member.running
            held = sum(member.bridge.status().partitions for member in self.members)
            return held == partitions and await group_is_stable(servers, self.system.group_id, members=count)

        def seen() -> str:
            return f"{partitions} partitions among {[member.bridge.status() for member in self.members]}"

        if count:
            await self.system.wait_until(shared, REBALANCED_WITHIN_SECONDS, seen)
        self.rebalances += 1


async def _end(member: Member) -> None:
    member.bridge.stop()
    async with patient_timeout(STOP_TIMEOUT_SECONDS):
        await member.running


@asynccontextmanager
async def group_of(system: OrderSystem) -> AsyncIterator[Group]:
    """A group without members; those that it has in the end are stopped."""
    group = Group(system)
    try:
        yield group
    finally:
        for member in group.members:
            await _end(member)
