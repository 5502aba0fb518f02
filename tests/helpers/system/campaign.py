"""Puts a plan through a system, and compares what was planned with what happened."""

import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.checker.evidence import Coordinates, Evidence
from tests.helpers.messages.generator import make_plan
from tests.helpers.messages.kafka_io import Outgoing, StoredRecord
from tests.helpers.messages.plan import EARLY, LATE, MAIN, Plan, PlannedRecord
from tests.helpers.system.system import OrderSystem

SHOWN_DIFFERENCES_MAX = 40
ORDERS_PER_SECOND = 5
"""What one worker of each task queue does in any case, on two cores that are not idle."""


Fault = Callable[[], Awaitable[object]]
"""Does something bad to the system, and returns once the system is to go on."""


async def _no_fault() -> None:
    """Leaves the system alone."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A plan that was put through a system, and what it left behind."""

    plan: Plan
    produced: dict[Coordinates, PlannedRecord]
    evidence: Evidence

    def assert_as_planned(self) -> None:
        """Fails, with the seed, where an invariant is broken or an order or a record did not end as planned."""
        try:
            assert_no_violations(self.evidence)
            differences = differences_from_plan(self.plan, self.produced, self.evidence)
            shown = "\n".join(differences[:SHOWN_DIFFERENCES_MAX])
            assert not differences, f"{len(differences)} differences from the plan:\n{shown}"
        except AssertionError as failure:
            raise AssertionError(f"SEED={self.plan.seed} reproduces this input\n{failure}") from failure


def seed_from_environment() -> int:
    """``SEED`` where it is set, to run something again; else a new one each time."""
    return int(os.environ.get("SEED") or secrets.randbelow(2**24))


def orders_from_environment(default: int) -> int:
    """``ORDERS`` where it is set: how many orders a campaign has."""
    return int(os.environ.get("ORDERS") or default)


def patience_seconds(seconds: float, orders: int) -> str:
    """A time-out of an order as a setting, longer where many orders share the machine.

    A worker takes 110 to 150 ms of CPU for a whole order (measured 2026-11-23 on two shared cores): at best 8 a second.
    """
    return f"{seconds + orders / ORDERS_PER_SECOND:g}"


def work_seconds(orders: int) -> float:
    """How long nothing of a campaign may move, or one thing of it take: far more than on an idle machine."""
    return 120.0 + 2 * orders / ORDERS_PER_SECOND


def rounds_from_environment(default: int) -> int:
    """``ROUNDS`` where it is set: how often each fault is injected."""
    return int(os.environ.get("ROUNDS") or default)


async def run_campaign(
    system: OrderSystem,
    orders: int,
    *,
    faults: Sequence[Fault] = (_no_fault,),
    without: Sequence[str] = (),
    still_seconds: float = 120.0,
    seed: int | None = None,
) -> Campaign:
    """Produces a plan, phase by phase, and waits until nothing is left to do.

    Args:
        system: A running one.
        orders: How many.
        faults: What is done to the system in the main phase; before each, its share of the records is produced, so that
            there is work going on.
        without: Scenarios that are left out, such as those that would wait for a long time-out.
        still_seconds: How long nothing may move while a phase is worked off.
        seed: What the plan is made from, where the faults are made from it as well; None for `seed_from_environment`.
    """
    plan = make_plan(seed_from_environment() if seed is None else seed, orders, without=without)
    print(f"SEED={plan.seed} ORDERS={orders}")  # noqa: T201 -- pytest shows it with a failure
    system.confidential = (*system.confidential, *plan.confidential)
    produced: dict[Coordinates, PlannedRecord] = {}
    phases = {phase: [one for one in plan.records if one.phase == phase] for phase in (EARLY, MAIN, LATE)}
    await produce_planned(system, phases[EARLY], produced)
    await system.wait_until_drained(still_seconds)
    share = -(-len(phases[MAIN]) // (len(faults) + 1))
    for number, fault in enumerate(faults):
        await produce_planned(system, phases[MAIN][number * share : (number + 1) * share], produced)
        await fault()
    await produce_planned(system, phases[MAIN][len(faults) * share :], produced)
    await system.wait_until_idle(still_seconds)
    await produce_planned(system, phases[LATE], produced)
    await system.wait_until_idle(still_seconds)
    return Campaign(plan, produced, await system.evidence())


async def produce_planned(
    system: OrderSystem, records: Sequence[PlannedRecord], produced: dict[Coordinates, PlannedRecord]
) -> None:
    """Produces records of a plan, and notes where they are."""
    coordinates = await system.produce(
        Outgoing(
            topic=system.topic_of(planned.event_type),
            value=planned.message.value,
            key=planned.message.key,
            headers=planned.message.headers,
        )
        for planned in records
    )
    produced.update(zip(coordinates, records, strict=True))


def differences_from_plan(plan: Plan, produced: dict[Coordinates, PlannedRecord], evidence: Evidence) -> list[str]:
    """Where orders or records did not end as planned; a sentence each."""
    return [
        *_missing_records(produced, evidence),
        *_other_ends(plan, evidence),
        *_other_fates(produced, evidence),
    ]


def _missing_records(produced: dict[Coordinates, PlannedRecord], evidence: Evidence) -> list[str]:
    missing = produced.keys() - {record.coordinates for record in evidence.inputs}
    return [f"{coordinates} was produced, but is not in Kafka" for coordinates in sorted(missing)]


def _other_ends(plan: Plan, evidence: Evidence) -> list[str]:
    rows = {row.order_id: row for row in evidence.orders}
    found: list[str] = []
    for planned in plan.orders:
        row = rows.get(planned.order_id)
        state = row.state if row is not None else None
        name = f"{planned.order_id} ({planned.scenario})"
        if state not in planned.states:
            found.append(f"{name} is {state}, planned was {sorted(map(str, planned.states))}")
        if planned.address is not None and row is not None and row.address != planned.address:
            found.append(f"{name} goes to {row.address}, planned was {planned.address}")
    for first, second in plan.rivals:
        states = sorted(str(rows[one].state) if one in rows else "None" for one in (first, second))
        if states != ["COMPLETED", "PAYMENT_DECLINED"]:
            found.append(f"{first} and {second} share a payment, and are {states}")
    return found


def _other_fates(produced: dict[Coordinates, PlannedRecord], evidence: Evidence) -> list[str]:
    inbound = {(row.order_id, row.event_id, row.type): row for row in evidence.inbound}
    codes = {}
    for letter in evidence.dead_letters:
        source = (letter.header("dlq_source_topic"), letter.header("dlq_source_partition"))
        codes[*source, letter.header("dlq_source_offset")] = letter.header("dlq_error_code")

    def fate_of(record: StoredRecord) -> str:
        topic, partition, offset = record.coordinates
        code = codes.get((topic, str(partition), str(offset)))
        if code is not None:
            return f"dead {code}"
        identity = evidence.identity_of(record)
        row = inbound.get(identity) if identity is not None else None
        if row is None:
            return "lost"
        return " ".join(filter(None, (row.outcome, row.reason)))

    found: list[str] = []
    for record in evidence.inputs:
        planned = produced.get(record.coordinates)
        fate = fate_of(record)
        if planned is not None and fate not in planned.fates:
            name = "{}:{}:{}".format(*record.coordinates)
            found.append(f"{name} of {planned.order_id} is {fate!r}, planned was {sorted(planned.fates)}")
    return found
