"""``orders forget``: nothing of a customer is left in our tables and files, and every event keeps its number."""

import gzip
import json
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import OrderReader, PostgresOrderStore
from activities.adapters.postgres.schema import metadata
from orders.cli import forget as forget_command
from orders.operations.archive.files import DamagedArchiveError, read_file, write_file
from orders.processes.exit_status import ExitStatus
from schemas.activity_io import EventOutcome, OrderProjection, PublishEvents
from schemas.event_types import EventType
from schemas.order import Address, Adjustment, OrderDetails
from schemas.outbound import OUTBOUND_EVENT, Cause, OrderAddressChanged, OrderStateChanged
from schemas.states import InboundOutcome, OrderState
from tests.helpers.messages.journal_entries import NOON
from tests.helpers.steps import recorded_steps
from tests.helpers.system.command_line import run_in_process

CUSTOMER = "Zoë O'Brien"
SECRETS = (CUSTOMER, "Zoë", "17 Hidden Lane", "Atlantis", "ring twice", "for my wife", "TRACK-77", "ab" * 32)
"""What is about her: in the row, in the events, in the messages' digests."""


async def an_order(store: PostgresOrderStore, *, state: OrderState = OrderState.COMPLETED) -> str:
    """An order of hers, with all that can be said about a person."""
    order_id = f"o-{secrets.token_hex(4)}"
    address = Address(street="17 Hidden Lane", city="Atlantis")
    gift = Adjustment(kind="discount", amount=-5, description="for my wife")
    details = OrderDetails(
        payment_id=f"p-{order_id}", customer_id=CUSTOMER, amount=1250, adjustments=(gift,), address=address
    )
    cause = Cause(event_id="e-1", type=EventType.ORDER_CANCELLED, by=CUSTOMER, note="ring twice")
    events = (
        OrderStateChanged(
            order_id=order_id, sequence=1, state=OrderState.RECEIVED, occurred_at=NOON, adjustments=(gift,), cause=cause
        ),
        OrderAddressChanged(
            order_id=order_id, sequence=2, state=OrderState.RECEIVED, occurred_at=NOON, address=address, cause=cause
        ),
        OrderStateChanged(order_id=order_id, sequence=3, state=state, occurred_at=NOON, tracking_id="TRACK-77"),
    )
    outcome = EventOutcome(
        event_id="e-1",
        type=EventType.ORDER_CANCELLED,
        outcome=InboundOutcome.APPLIED,
        at=NOON,
        body_digest="ab" * 32,
        sequence=1,
    )
    projection = OrderProjection(state=state, details=details, tracking_id="TRACK-77", decided_by="Zoë")
    await store.record(PublishEvents(order_id=order_id, events=events, outcomes=(outcome,), projection=projection))
    await store.mark_published(order_id, 3)
    await store.close()
    return order_id


async def all_text(engine: AsyncEngine) -> str:
    """Every row of every table of ours."""
    found: list[str] = []
    async with engine.connect() as connection:
        for table in metadata.sorted_tables:
            rows = await connection.execute(text(f"SELECT CAST(to_json({table.name}) AS text) FROM {table.name}"))  # noqa: S608
            found += rows.scalars()
    return "\n".join(found)


def secrets_in(words: str) -> set[str]:
    return {one for one in SECRETS if one in words}


def archive_text(folder: Path) -> str:
    return "".join(gzip.open(path, "rt", encoding="utf-8").read() for path in folder.glob("*.gz"))


async def forgotten(settings: dict[str, str], *options: str, status: ExitStatus = ExitStatus.OK) -> dict[str, Any]:
    run = await run_in_process(["forget", CUSTOMER, "--yes", "--json", *options], settings)
    assert run.returncode == status, run.stderr
    return dict(json.loads(run.stdout))


async def test_nothing_of_the_customer_is_left_and_every_event_is(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    first, second = await an_order(store), await an_order(store)
    reader = OrderReader(engine)
    before = await reader.events(first)
    assert secrets_in(await all_text(engine)) == set(SECRETS)

    done = await forgotten(settings)

    assert sorted(done["orders"]) == sorted([first, second])
    assert done["events"] == 6
    assert secrets_in(await all_text(engine)) == set()
    kept = [OUTBOUND_EVENT.validate_json(event.payload_json) for event in await reader.events(first)]
    facts = [(one.sequence, one.type, one.state, one.occurred_at, one.reason) for one in kept]
    was = [OUTBOUND_EVENT.validate_json(event.payload_json) for event in before]
    assert facts == [(one.sequence, one.type, one.state, one.occurred_at, one.reason) for one in was]
    assert kept[0].cause == Cause(event_id="e-1", type=EventType.ORDER_CANCELLED)
    order = await reader.order(first)
    assert order is not None
    assert (order.details.amount, order.details.payment_id, order.state) == (1250, f"p-{first}", OrderState.COMPLETED)
    # A repeat of the message is still known by its id, and there is nothing left to find.
    assert await reader.inbound_event(first, EventType.ORDER_CANCELLED, "e-1") is not None
    assert (await forgotten(settings))["orders"] == []


async def test_what_cannot_be_reached_is_named_with_its_end(
    store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    await an_order(store)

    done = await forgotten(settings, "--dry-run")

    told = "\n".join(done["not_reached"])
    for word in ("order.created", "order.events", "order.dead_letters", "retention", "Temporal", "provider", "backups"):
        assert word in told
    assert "archive" not in told


@pytest.mark.parametrize("answer", ["n\n", None])
async def test_nothing_is_erased_without_a_yes(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], answer: str | None
) -> None:
    await an_order(store)
    options = ["--dry-run"] if answer is None else []

    run = await run_in_process(["forget", CUSTOMER, *options], settings, stdin=answer or "")

    assert run.returncode == (ExitStatus.OK if answer is None else ExitStatus.FAILURE)
    assert ("nothing was done" if answer is None else "nothing was erased") in run.stdout + run.stderr
    assert secrets_in(await all_text(engine)) == set(SECRETS)


async def test_orders_that_are_at_work_stay_and_are_named(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    over, open_, unpublished = (
        await an_order(store),
        await an_order(store, state=OrderState.PAID),
        await an_order(store),
    )
    async with engine.begin() as connection:
        behind = text("UPDATE journals SET last_published_sequence = 2 WHERE order_id = :id")
        await connection.execute(behind, {"id": unpublished})

    done = await forgotten(settings, status=ExitStatus.FAILURE)

    assert done["orders"] == [over]
    staying = {one["order_id"]: one["why"] for one in done["staying"]}
    assert set(staying) == {open_, unpublished}
    assert "not over yet" in staying[open_]
    assert "Kafka" in staying[unpublished]
    for one in (open_, unpublished):
        order = await OrderReader(engine).order(one)
        assert order is not None
        assert order.details.customer_id == CUSTOMER


async def test_an_archive_is_erased_too_and_named_where_its_folder_is_not_given(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    order_id, another = await an_order(store), "o-another"
    await store.record(
        PublishEvents(
            order_id=another,
            events=(OrderStateChanged(order_id=another, sequence=1, state=OrderState.REJECTED, occurred_at=NOON),),
            projection=OrderProjection(
                state=OrderState.REJECTED, details=OrderDetails(payment_id="p-2", customer_id="somebody else")
            ),
        )
    )
    await store.mark_published(another, 1)
    await an_order(store, state=OrderState.PAID)  # Has the table's last event, which stays.
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE orders SET updated_at = now() - interval '100 days'"))
    run = await run_in_process(["archive", "--to", str(tmp_path), "--json"], settings)
    (file,) = json.loads(run.stdout)["files"]
    assert secrets_in(archive_text(tmp_path)) == set(SECRETS) - {"ab" * 32}

    left = await forgotten(settings, "--dry-run", status=ExitStatus.FAILURE)
    assert file in "\n".join(left["not_reached"])
    done = await forgotten(settings, "--archive", str(tmp_path), status=ExitStatus.FAILURE)

    assert (done["orders"], done["archived_orders"]) == ([order_id], 1)
    assert secrets_in(archive_text(tmp_path)) == set()
    assert "somebody else" in archive_text(tmp_path)
    documents = list(read_file(tmp_path / file))
    assert {one["order_id"] for one in documents} == {order_id, another}
    assert [event["sequence"] for one in documents if one["order_id"] == order_id for event in one["events"]] == [
        1,
        2,
        3,
    ]
    again = await forgotten(settings, "--archive", str(tmp_path), status=ExitStatus.FAILURE)
    assert again["archived_orders"] == 0


async def test_files_of_the_archive_are_found_by_the_customer_after_the_database_has_forgotten(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await an_order(store)
    await an_order(store, state=OrderState.PAID)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE orders SET updated_at = now() - interval '100 days'"))
    await run_in_process(["archive", "--to", str(tmp_path)], settings)
    shown = recorded_steps(monkeypatch, forget_command)
    await forgotten(settings, status=ExitStatus.FAILURE)
    assert shown[-3:] == [("orders found:", 2, None), ("orders erased:", 0, 2), ("orders erased:", 1, 2)]

    done = await forgotten(settings, "--archive", str(tmp_path), status=ExitStatus.FAILURE)

    assert (done["orders"], done["archived_orders"]) == ([], 1)
    assert ("files of the archive read:", 0, 1) in shown
    assert secrets_in(archive_text(tmp_path)) == set()


def test_a_file_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, ['{"order_id": "o-1"}'], NOON + timedelta(seconds=1))
    assert list(read_file(path)) == [{"order_id": "o-1"}]

    whole = path.read_bytes()
    for damaged in (whole[:-1], whole.replace(whole[20:21], bytes([whole[20] ^ 1]), 1), b""):
        path.write_bytes(damaged)
        with pytest.raises(DamagedArchiveError):
            list(read_file(path))
    path.write_bytes(whole)
    path.with_name(path.name + ".sha256").unlink()
    with pytest.raises(DamagedArchiveError):
        list(read_file(path))
