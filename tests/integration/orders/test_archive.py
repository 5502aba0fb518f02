"""``orders archive``: old orders' events moved into files, and what is answered of these orders afterwards."""

import asyncio
import gzip
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore
from activities.adapters.postgres.archive import ArchiveMismatchError, ArchiveStore
from orders.cli import archive as archive_command
from orders.operations.archive import archiving
from orders.operations.archive.files import write_file
from orders.processes.exit_status import ExitStatus
from schemas.event_types import EventType
from schemas.outbound import OUTBOUND_EVENT
from schemas.states import InboundOutcome, OrderState, ReasonCode
from tests.helpers.messages.journal_entries import NOON, batch, ended, late, reached
from tests.helpers.steps import recorded_steps
from tests.helpers.system.command_line import run_in_process

DAYS_AGO = "UPDATE orders SET updated_at = now() - interval '100 days' WHERE id = ANY(:ids)"


async def make_old(engine: AsyncEngine, *order_ids: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(DAYS_AGO), {"ids": list(order_ids)})


async def old_orders(engine: AsyncEngine, store: PostgresOrderStore, count: int) -> list[str]:
    """Orders that ended long ago, and a new one that is still at work."""
    ids = [f"o-{secrets.token_hex(4)}-{number}" for number in range(count)]
    for order_id in ids:
        await ended(store, order_id)
    await store.record(batch("o-open", reached("o-open", 1, OrderState.RECEIVED)))
    await store.mark_published("o-open", 1)
    await store.close()
    await make_old(engine, *ids)
    return ids


async def archived(settings: dict[str, str], folder: Path, *options: str) -> dict[str, Any]:
    run = await run_in_process(["archive", "--to", str(folder), "--json", *options], settings)
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl.gz"))
        for line in gzip.open(path, "rt", encoding="utf-8")
    ]


def checksum_of(folder: Path) -> list[str]:
    (path,) = folder.glob("*.jsonl.gz")
    return [hashlib.sha256(path.read_bytes()).hexdigest(), path.name]


def checksum_said(folder: Path) -> list[str]:
    (path,) = folder.glob("*.sha256")
    return path.read_text().split()


async def rows_of(engine: AsyncEngine, table: str, order_id: str) -> int:
    async with engine.connect() as connection:
        counted = text(f"SELECT count(*) FROM {table} WHERE order_id = :id")  # noqa: S608 -- a test's own
        return int(await connection.scalar(counted, {"id": order_id}) or 0)


async def test_old_orders_events_go_to_the_byte_and_their_rows_and_messages_stay(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    ids = await old_orders(engine, store, 3)
    reader = OrderReader(engine)
    before = {one: [event.payload_json for event in await reader.events(one)] for one in ids}

    done = await archived(settings, tmp_path)

    assert (done["orders"], done["events"], len(done["files"])) == (3, 9, 1)
    kept = {line["order_id"]: [event["payload"] for event in line["events"]] for line in lines_of(tmp_path)}
    assert kept == before
    assert checksum_of(tmp_path) == checksum_said(tmp_path)
    for one in ids:
        assert await rows_of(engine, "events", one) == 0
        assert await rows_of(engine, "inbound_events", one) == 1
        order = await reader.order(one)
        assert order is not None
        assert (order.state, order.last_sequence) == (OrderState.CANCELLED, 3)
        assert await reader.has_been(one, OrderState.VALIDATED)
        assert not await reader.has_been(one, OrderState.PAID)
    assert await rows_of(engine, "events", "o-open") == 1
    assert (await archived(settings, tmp_path))["orders"] == 0


async def test_a_late_event_of_an_archived_order_is_refused_with_the_next_number_and_archived_later(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    (order_id,) = await old_orders(engine, store, 1)
    await archived(settings, tmp_path)

    snapshot = await store.look_up(order_id)
    again, _ = await store.answer_late(order_id, (late("e-1", EventType.ORDER_APPROVED),), NOON)
    (refused,), (stored,) = await store.answer_late(order_id, (late("e-9"),), NOON)
    await store.mark_published(order_id, 4)

    assert (snapshot.state, snapshot.last_sequence, snapshot.decided_events) == (OrderState.CANCELLED, 3, ())
    assert [one.outcome for one in again] == [InboundOutcome.DUPLICATE]
    assert (refused.reason, refused.sequence) == (ReasonCode.ORDER_CLOSED, 4)
    assert OUTBOUND_EVENT.validate_json(stored.payload_json).state is OrderState.CANCELLED
    assert (await archived(settings, tmp_path))["orders"] == 0

    # Another one, as the table's last event stays.
    await ended(store, "o-newest")
    await make_old(engine, order_id)
    assert (await archived(settings, tmp_path))["events"] == 1
    sequences = [event["sequence"] for line in lines_of(tmp_path) for event in line["events"]]
    assert sorted(sequences) == [1, 2, 3, 4]
    assert (await store.look_up(order_id)).state is OrderState.CANCELLED


async def test_what_kafka_may_not_have_stays_and_is_named(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    unpublished, *_ = await old_orders(engine, store, 2)
    async with engine.begin() as connection:
        statement = "UPDATE journals SET last_published_sequence = 2 WHERE order_id = :id"
        await connection.execute(text(statement), {"id": unpublished})

    run = await run_in_process(["archive", "--to", str(tmp_path), "--json"], settings)

    assert run.returncode == ExitStatus.FAILURE
    done = json.loads(run.stdout)
    assert (done["orders"], done["unpublished"]) == (1, [unpublished])
    assert await rows_of(engine, "events", unpublished) == 3


async def test_an_archive_that_is_damaged_before_it_is_read_back_removes_nothing(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (order_id,) = await old_orders(engine, store, 1)

    def damaged(*arguments: Any) -> Path:
        path = write_file(*arguments)
        path.write_bytes(path.read_bytes()[:-9])
        return path

    monkeypatch.setattr(archiving, "write_file", damaged)
    run = await run_in_process(["archive", "--to", str(tmp_path)], settings)

    assert run.returncode == ExitStatus.FAILURE
    assert "is damaged" in run.stderr
    assert await rows_of(engine, "events", order_id) == 3


async def test_an_archive_that_lacks_an_event_or_has_another_removes_nothing(
    engine: AsyncEngine, store: PostgresOrderStore
) -> None:
    (order_id,) = await old_orders(engine, store, 1)
    archive = ArchiveStore(engine)
    chosen = await archive.candidates(NOON.replace(year=9999), None, 10)
    payloads = {event.sequence: event.payload_json for event in await OrderReader(engine).events(order_id)}

    for wrong in ({1: payloads[1], 2: payloads[2]}, {**payloads, 3: payloads[2]}, {}):
        with pytest.raises(ArchiveMismatchError):
            await archive.remove(chosen, {order_id: wrong}, "file")
        assert await rows_of(engine, "events", order_id) == 3

    assert await archive.remove(chosen, {order_id: payloads}, "file") == {order_id: 3}


async def test_an_order_that_somebody_writes_to_stays_and_keeps_no_other(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    held, other = await old_orders(engine, store, 2)
    async with engine.connect() as writing:
        await writing.execute(text("SELECT FROM journals WHERE order_id = :id FOR UPDATE"), {"id": held})
        done = await archived(settings, tmp_path)
        await writing.rollback()

    assert (done["orders"], done["changed_meanwhile"]) == (1, 1)
    assert await rows_of(engine, "events", held) == 3
    assert await rows_of(engine, "events", other) == 0
    # It is in that file and in the next, and the same in both.
    assert (await archived(settings, tmp_path))["orders"] == 1
    copies = [line["events"] for line in lines_of(tmp_path) if line["order_id"] == held]
    assert len(copies) == 2
    assert copies[0] == copies[1]


async def test_it_goes_on_where_it_was_stopped_in_files_of_bounded_size(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ids = await old_orders(engine, store, 7)
    monkeypatch.setattr(archiving, "EVENTS_MAX", 6)
    shown = recorded_steps(monkeypatch, archive_command)

    dry = await archived(settings, tmp_path, "--dry-run")
    first = await archived(settings, tmp_path, "--limit", "3")
    second = await archived(settings, tmp_path)

    assert (dry["orders"], dry["events"], dry["files"]) == (7, 21, [])
    assert (first["orders"], len(first["files"]), first["more"]) == (3, 2, True)
    assert (second["orders"], len(second["files"]), second["more"]) == (4, 2, False)
    assert sorted(line["order_id"] for line in lines_of(tmp_path)) == sorted(ids)
    assert shown == [
        *(("old orders counted:", done, 7) for done in (2, 4, 6, 7)),
        *(("old orders archived:", done, 3) for done in (2, 3)),
        *(("old orders archived:", done, 4) for done in (2, 4)),
    ]


async def test_two_that_archive_at_once_remove_each_event_once(engine: AsyncEngine, store: PostgresOrderStore) -> None:
    ids = await old_orders(engine, store, 5)
    archive, reader = ArchiveStore(engine), OrderReader(engine)
    chosen = await archive.candidates(NOON.replace(year=9999), None, 10)
    payloads = {one: {event.sequence: event.payload_json for event in await reader.events(one)} for one in ids}

    removed = await asyncio.gather(*(archive.remove(chosen, payloads, f"file-{number}") for number in range(4)))

    assert sorted(order_id for one in removed for order_id in one) == sorted(ids)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "/nowhere/at/all"], "there is no folder /nowhere/at/all"),
        (["--older-than", "10m", "--to", "."], "an hour at least"),
        ([], "say where the archive is"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_done(
    settings: dict[str, str], options: list[str], said: str
) -> None:
    run = await run_in_process(["archive", *options], settings)

    assert run.returncode == ExitStatus.USAGE
    assert said in run.stderr
