"""What is to be seen of a bridge while a server is away: memory, membership, and what it says."""

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil

from orders.telemetry.logs import REPEAT_SECONDS
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually

OUTAGE_SECONDS = 60 * float(os.environ.get("OUTAGE_MINUTES") or 0.1)
"""How long a killed server stays away, and whatever else lasts; ``OUTAGE_MINUTES=10`` makes it the long form."""
SAMPLES = 10
SETTLED = "bridge.record.settled"
CONTINUES_WITHIN_SECONDS = 30.0
"""I12."""
MEMORY_GROWTH_MAX_BYTES = 48 * 1024 * 1024
"""What the clients may have fetched of each partition, and what is held: nothing that grows with time."""
LINES_OF_A_KIND_MAX = 1 + OUTAGE_SECONDS // REPEAT_SECONDS
"""A change of state is said once; what Kafka's client says beside it, once in a while."""


def lines_of(bridge: OrdersProcess) -> list[dict[str, Any]]:
    """The bridge's log."""
    return [json.loads(line) for line in bridge.log.splitlines() if line.startswith("{")]


@dataclass(slots=True)
class Absence:
    """A bridge, watched while a server is away.

    Args:
        system: Its one bridge is watched.
        service: What is away, for the figures.
    """

    system: OrderSystem
    service: str
    resident_bytes: list[int] = field(default_factory=list)
    members: list[frozenset[str]] = field(default_factory=list)
    """The ids of the group's members, whenever Kafka could be asked."""
    lines: Counter[str] = field(default_factory=Counter)
    """How often each event was logged, of each dependency apart."""
    lines_before: int = 0

    async def begin(self) -> None:
        """To be called before the server goes away."""
        await self.ask_for_members()
        self.lines_before = len(lines_of(self.system.running("bridge")))

    async def watch(self) -> None:
        """Watches for `OUTAGE_SECONDS`, and fails where the bridge ended, grew, or said something again and again."""
        bridge = self.system.running("bridge")
        began, processor_seconds = time.monotonic(), _processor_seconds(bridge)
        for number in range(SAMPLES):
            await _until(began + number * OUTAGE_SECONDS / (SAMPLES - 1))
            assert bridge.exit_status is None, bridge.log_tail
            self.resident_bytes.append(psutil.Process(bridge.pid).memory_info().rss)
            if self.service != "kafka":
                await self.ask_for_members()
        lines = lines_of(bridge)[self.lines_before :]
        self.lines = Counter(" ".join((line["event"], line.get("dependency", ""))).strip() for line in lines)
        growth_bytes = max(self.resident_bytes) - self.resident_bytes[0]
        print(  # noqa: T201 -- the long form is run for its figures
            f"{self.service} away for {time.monotonic() - began:.0f} s: memory {self.resident_bytes[0] / 1e6:.1f} MB, "
            f"at most {growth_bytes / 1e6:.1f} MB more; {_processor_seconds(bridge) - processor_seconds:.1f} s of CPU; "
            f"lines {dict(self.lines)}"
        )
        assert growth_bytes <= MEMORY_GROWTH_MAX_BYTES
        often = {kind: count for kind, count in self.lines.items() if kind != SETTLED and count > LINES_OF_A_KIND_MAX}
        assert not often, f"{self.service} away: said again and again: {often}"

    async def ask_for_members(self) -> None:
        """Notes who is in the group; waits for an answer while Kafka's coordinator is starting."""

        async def told() -> bool:
            members = await self.system.group_members()
            if members:
                self.members.append(members)
            return bool(members)

        await self.system.wait_until(told, CONTINUES_WITHIN_SECONDS, lambda: "a member of the group")

    async def wait_until_it_goes_on(self) -> None:
        """For when the server is back: fails unless a record is settled soon, by the member of before (I12)."""
        bridge, returned = self.system.running("bridge"), datetime.now(UTC)
        later: list[datetime] = []

        async def settled_again() -> bool:
            times = (datetime.fromisoformat(line["timestamp"]) for line in lines_of(bridge) if line["event"] == SETTLED)
            later[:] = [at for at in times if at > returned]
            return bool(later)

        await self.system.wait_until(settled_again, CONTINUES_WITHIN_SECONDS, lambda: "a record settled again")
        print(f"{self.service} back: went on after {(later[0] - returned).total_seconds():.1f} s")  # noqa: T201
        await self.ask_for_members()
        # A broker that is new to the group counts the session from its start: a busy machine may be too slow for 6 s.
        left = len(set(self.members)) > 1 if self.service != "kafka" else any(len(ids) != 1 for ids in self.members)
        assert not left, f"the bridge left its group: {self.members}"


def _processor_seconds(bridge: OrdersProcess) -> float:
    times = psutil.Process(bridge.pid).cpu_times()
    return float(times.user + times.system)


async def _until(moment: float) -> None:
    await assert_eventually(lambda: time.monotonic() >= moment, OUTAGE_SECONDS + CONTINUES_WITHIN_SECONDS)
