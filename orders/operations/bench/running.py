"""Runs a measurement: a few orders alone, then the rest together, between two looks at what the stores hold."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from orders.clients.opened import Clients
from orders.errors import NotInTimeError, UsageError, WrongSettingsError
from orders.operations.bench.driving import Course, driver
from orders.operations.bench.report import BenchReport, ends_of, stage_times
from orders.operations.bench.sampling import Highest, sampled
from orders.operations.bench.sizes import histories, stored_bytes
from orders.settings import Settings

OPEN_MAX: Final = 40
"""Orders that are open at any time, unless another number is wanted."""
_ALONE_MAX: Final = 10
_HISTORIES_MAX: Final = 20
"""Histories that are read: they hardly differ."""

Note = Callable[[str, int, int], None]
"""Is told what is under way, how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    orders: int
    open_max: int
    within_seconds: float
    """For all of it."""
    alone: int
    """How many run one after the other, before the others."""
    prefix: str
    """Of the orders' ids."""

    @classmethod
    def of(cls, orders: int, open_max: int | None, within_seconds: float) -> Self:
        """A plan for so many orders, with ids that no other has.

        Raises:
            UsageError: more are to be open than run together.
        """
        alone = min(_ALONE_MAX, max(1, orders // 10))
        together = orders - alone
        if open_max is not None and open_max > together:
            raise UsageError(f"--open {open_max} is more than the {together} orders that run together")
        chosen = min(OPEN_MAX, together) if open_max is None else open_max
        return cls(orders, chosen, within_seconds, alone, f"bench-{secrets.token_hex(4)}")


def refuse_production(settings: Settings) -> None:
    """Refuses where real orders would be charged and shipped, or seem to be.

    Raises:
        WrongSettingsError: with what speaks for it.
    """
    signs = [
        sign
        for sign, found in {
            "ORDERS_ENVIRONMENT is production": settings.is_production,
            "PAYMENT_GATEWAY_URL names a provider, which would charge them": settings.payment_gateway_url is not None,
            "CARRIER_GATEWAY_URL names a carrier, which would ship them": settings.carrier_gateway_url is not None,
        }.items()
        if found
    ]
    if signs:
        raise WrongSettingsError(
            f"`orders bench` sends orders like anybody's, and here they may be real: {'; '.join(signs)}. "
            "Where you mean it, say --yes"
        )


async def bench(clients: Clients, plan: Plan, note: Note) -> BenchReport:
    """Sends the orders, waits for them, and looks at what they took and left. Nothing is cleaned up.

    Raises:
        NotInTimeError: they were not all over in time; says how many, and names some.
        UnreachableError: a server does not answer.
        NotFoundError: a topic is missing.
    """
    before = await stored_bytes(clients)
    alone, together, seconds, highest = await _run(clients, plan, note)
    after = await stored_bytes(clients)
    completed = [one.order_id for one in (*alone, *together) if one.is_completed]
    good_alone, good = ([one for one in some if one.is_completed] for some in (alone, together))
    return BenchReport(
        prefix=plan.prefix,
        ends=ends_of([*alone, *together]),
        open_max=plan.open_max,
        seconds=seconds,
        together=tuple(one.wait for one in good),
        alone=tuple(one.wait for one in good_alone),
        stages=stage_times(good_alone, good),
        highest=highest,
        cores=os.cpu_count() or 1,
        postgres_bytes=_each(before.postgres, after.postgres, plan.orders),
        kafka_bytes=None
        if before.kafka is None or after.kafka is None
        else _each(before.kafka, after.kafka, plan.orders),
        histories=await histories(clients, completed[-_HISTORIES_MAX:]) if completed else None,
    )


async def _run(clients: Clients, plan: Plan, note: Note) -> tuple[list[Course], list[Course], float, Highest]:
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        note("orders", done, plan.orders)

    async with driver(clients, plan.prefix) as driving:
        try:
            async with asyncio.timeout(plan.within_seconds):
                alone = await driving.drive(range(plan.alone), open_max=1, done=one_more)
                started_at = time.perf_counter()
                async with sampled(clients) as highest:
                    rest = range(plan.alone, plan.orders)
                    together = await driving.drive(rest, open_max=plan.open_max, done=one_more)
                return alone, together, time.perf_counter() - started_at, highest
        except TimeoutError:
            raise NotInTimeError(_too_late(driving.open_orders, done, plan)) from None


def _too_late(still_open: list[str], done: int, plan: Plan) -> str:
    some = ", ".join(still_open[:3])
    return (
        f"{done} of {plan.orders} orders were over within {plan.within_seconds:g} s. Open among others: {some}: "
        f"`orders explain {still_open[0] if still_open else 'ORDER_ID'}` says what it waits for"
    )


def _each(before: Mapping[str, int], after: Mapping[str, int], orders: int) -> dict[str, float]:
    return {name: max(0, after[name] - before[name]) / orders for name in after}
