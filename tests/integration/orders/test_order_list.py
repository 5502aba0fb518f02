"""``orders list`` on a database with orders of every state and age."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader
from activities.adapters.postgres.reader import PAGE_MAX
from orders.cli.times import age_text
from orders.processes.exit_status import ExitStatus
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine, temporary_database
from tests.helpers.system.command_line import run_in_process

STRANGE_CUSTOMER = "\x1b[31mred\u202e"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CROWD = PAGE_MAX + 5
"""Expired orders: more than a page of the reader."""


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    """Of each state an order that changed 1 h ago and one of 1 min ago; and a crowd that changed in one moment."""
    insert = (
        "INSERT INTO orders (id, state, address_json, items_json, amount, currency, customer_id, payment_id, "
        "last_sequence, updated_at) SELECT :prefix || number, :state, '{\"city\": \"Oslo\"}', '[]', 1250, 'EUR', "
        ":customer, 'p-' || number, 3, now() - CAST(:age AS interval) FROM generate_series(1, :count) AS number"
    )
    crowd = {"prefix": "crowd-", "state": OrderState.EXPIRED, "count": CROWD, "age": timedelta(days=2)}
    rows: list[dict[str, Any]] = [{**crowd, "customer": None}]
    for state in OrderState:
        for name, age in {"old": timedelta(hours=1), "new": timedelta(minutes=1)}.items():
            one = {"prefix": f"{name}-{state.value}-", "state": state, "count": 1, "age": age}
            rows.append({**one, "customer": STRANGE_CUSTOMER})
    async with migrated_engine(endpoints) as one_engine:
        async with one_engine.begin() as connection:
            await connection.execute(text(insert), rows)
        yield one_engine


async def listed(settings: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    return await run_in_process(["list", *arguments], settings)


async def ids(settings: dict[str, str], *arguments: str) -> list[str]:
    ended = await listed(settings, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line)["order_id"] for line in ended.stdout.splitlines()]


async def test_orders_of_a_state_are_listed_the_longest_unchanged_first(settings: dict[str, str]) -> None:
    assert await ids(settings, "--state", "validated") == ["old-VALIDATED-1", "new-VALIDATED-1"]
    assert await ids(settings, "--state", "validated", "--older-than", "10m") == ["old-VALIDATED-1"]
    assert await ids(settings, "--state", "validated", "--older-than", "2h") == []
    both = await ids(settings, "--state", "PAID", "--state", "SHIPPED", "--older-than", "10m")
    assert sorted(both) == ["old-PAID-1", "old-SHIPPED-1"]


async def test_without_a_state_all_that_are_not_over_are_listed(settings: dict[str, str]) -> None:
    open_states = {state for state in OrderState if not state.is_final}
    assert set(await ids(settings)) == {f"{age}-{state}-1" for age in ("old", "new") for state in open_states}


async def test_the_step_that_status_shows_finds_what_waits_for_approval(settings: dict[str, str]) -> None:
    expected = ["old-VALIDATED-1", "new-VALIDATED-1"]
    assert await ids(settings, "--state", "AWAITING_MANUAL_APPROVAL") == expected
    assert await ids(settings, "--state", "awaiting_manual_approval", "--state", "validated") == expected
    ended = await listed(settings, "--state", "SHIPPING")
    assert ended.returncode == ExitStatus.USAGE
    assert "--state SHIPPING is a step of the workflow" in ended.stderr


async def test_more_than_a_page_is_listed_once_and_in_order(settings: dict[str, str]) -> None:
    """All of the crowd changed in the same moment: only the id tells them apart."""
    found = await ids(settings, "--state", "expired", "--limit", "2000")
    assert len(found) == len(set(found)) == CROWD + 2
    assert found[:CROWD] == sorted(found[:CROWD])


async def test_a_table_is_for_people_and_says_that_there_are_more(settings: dict[str, str]) -> None:
    ended = await listed(settings, "--state", "refunded", "--limit", "1")
    head, row = ended.stdout.splitlines()
    assert head.split()[:3] == ["order", "state", "unchanged"]
    assert row.split()[:5] == ["old-REFUNDED-1", "REFUNDED", "1h", "00m", "1250"]
    assert r"\x1b[31mred" in row, "a terminal is never told what to do by a customer's id"
    assert not {"\x1b", "\u202e"} & set(ended.stdout)
    assert "--limit shows more than 1" in ended.stderr


async def test_no_address_is_listed(settings: dict[str, str]) -> None:
    ended = await listed(settings, "--json")
    assert "Oslo" not in ended.stdout
    assert set(json.loads(ended.stdout.splitlines()[0])) >= {"order_id", "state", "updated_at", "customer_id"}


async def test_nothing_found_is_said_and_is_no_failure(settings: dict[str, str]) -> None:
    ended = await listed(settings, "--older-than", "7d")
    assert (ended.returncode, ended.stdout) == (ExitStatus.OK, "")
    assert "no order is like that" in ended.stderr


@pytest.mark.parametrize("arguments", [["--older-than", "soon"], ["--state", "lost"], ["--limit", "0"]])
async def test_a_wrong_option_is_a_wrong_usage(settings: dict[str, str], arguments: list[str]) -> None:
    ended = await listed(settings, *arguments)
    assert ended.returncode == ExitStatus.USAGE
    assert arguments[0] in ended.stderr


async def test_a_database_that_is_away_is_named(settings: dict[str, str]) -> None:
    ended = await listed({**settings, "DB_PORT": "1"})
    assert ended.returncode == ExitStatus.UNREACHABLE
    assert "Postgres does not answer" in ended.stderr


async def test_a_table_that_somebody_has_locked_is_not_a_database_that_is_away(
    settings: dict[str, str], engine: AsyncEngine
) -> None:
    async with engine.begin() as locking:
        await locking.execute(text("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"))
        pid = await locking.scalar(text("SELECT pg_backend_pid()"))
        ended = await listed(settings)
    assert ended.returncode == ExitStatus.UNREACHABLE
    assert "answers, but another transaction holds a lock" in ended.stderr
    assert f"process {pid} has locked the table orders" in ended.stderr
    assert "start it" not in ended.stderr


async def test_who_holds_up_whoever_asks_for_the_table_is_named_too(
    settings: dict[str, str], engine: AsyncEngine
) -> None:
    """A migration of somebody's waits for a long report: both are seen, as ending either lets us go on."""
    async with engine.connect() as reporting, engine.connect() as migrating:
        await reporting.execute(text("SELECT FROM orders LIMIT 1"))
        reporter = await reporting.scalar(text("SELECT pg_backend_pid()"))
        migrator = await migrating.scalar(text("SELECT pg_backend_pid()"))
        await migrating.execute(text("SET lock_timeout = '30s'"))
        await migrating.execute(text("SET statement_timeout = '30s'"))
        asked = asyncio.create_task(migrating.execute(text("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")))
        ended = await listed(settings)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await migrating.invalidate()
    assert f"process {migrator} has locked the table orders, or asks for that, and waits for process {reporter}" in (
        ended.stderr
    )


async def test_a_statement_that_takes_too_long_is_not_a_database_that_is_away(
    settings: dict[str, str], engine: AsyncEngine
) -> None:
    limits = {"DB_STATEMENT_TIMEOUT_SECONDS": "0.5", "DB_LOCK_TIMEOUT_SECONDS": "30"}
    async with engine.begin() as locking:
        await locking.execute(text("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"))
        ended = await listed({**settings, **limits})
    assert "answers, but the statement took too long" in ended.stderr
    assert "start it" not in ended.stderr


async def test_tables_that_are_missing_are_not_a_database_that_is_away(
    settings: dict[str, str], endpoints: Endpoints
) -> None:
    async with temporary_database(endpoints) as url:
        ended = await listed({**settings, "DB_NAME": url.database or ""})
    assert "answers, but the tables are missing or old (42P01)" in ended.stderr
    assert "start it" not in ended.stderr


async def test_the_list_is_read_from_the_index(engine: AsyncEngine) -> None:
    """As the open orders are few among all that ever were: no search may read them all."""
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE orders"))
        plan = await connection.execute(
            text("EXPLAIN SELECT * FROM orders WHERE state IN ('VALIDATED', 'PAID') ORDER BY updated_at, id LIMIT 100")
        )
        assert "orders_by_state" in "\n".join(row[0] for row in plan)
    assert len(await OrderReader(engine).orders_in([OrderState.EXPIRED], limit=10)) == 10


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=-3), "0s"),
        (timedelta(seconds=12.9), "12s"),
        (timedelta(minutes=3, seconds=5), "3m 05s"),
        (timedelta(hours=2, minutes=10), "2h 10m"),
        (timedelta(days=4, hours=2, minutes=59), "4d 02h"),
    ],
)
def test_an_age_is_told_in_two_units(age: timedelta, words: str) -> None:
    assert age_text(NOW - age, NOW) == words
