"""``orders audit``: what somebody who may change every table can do to a journal, and what of it is seen."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresOrderStore
from activities.adapters.postgres.audit import AuditedJournal, AuditStore
from activities.audit_chain import entry, link, sealed
from orders.operations.archive.files import rewrite_file
from orders.processes.exit_status import ExitStatus
from schemas.event_types import EventType
from schemas.outbound import Cause, OrderStateChanged
from schemas.states import OrderState
from tests.helpers.messages.journal_entries import NOON, batch, ended, late, reached, received_and_validated
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import run_to_end

BY_EVE = """payload_json = CAST(replace(CAST(payload_json AS text), '"by":"ops-7"', '"by":"eve"') AS json)"""
NO_HASHES = "UPDATE events SET salt = NULL, payload_digest = NULL, link = NULL WHERE order_id = :id"
MAY_CHANGE = "SELECT set_config('orders.events_may_change', '{}', true)"


def approval(order_id: str, sequence: int) -> OrderStateChanged:
    return OrderStateChanged(
        order_id=order_id,
        sequence=sequence,
        previous_state=OrderState.VALIDATED,
        state=OrderState.APPROVED,
        occurred_at=NOON,
        cause=Cause(event_id="e-2", type=EventType.ORDER_APPROVED, by="ops-7", note="fine"),
    )


async def an_order(store: PostgresOrderStore) -> str:
    """Five events: two at once, one by one, and a late answer by the longer way."""
    order_id = f"o-{secrets.token_hex(4)}"
    await received_and_validated(store, order_id)
    await store.record(batch(order_id, approval(order_id, 3)))
    await store.record(batch(order_id, reached(order_id, 4, OrderState.COMPLETED, OrderState.APPROVED)))
    await store.answer_late(order_id, (late("e-late"),), NOON)
    await store.mark_published(order_id, 5)
    await store.close()
    return order_id


async def tamper(engine: AsyncEngine, *statements: str, **values: object) -> None:
    """Changes tables as their owner may."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(MAY_CHANGE.format(statement.split()[0].lower())))
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            await connection.execute(text(statement), used)


async def verified(settings: dict[str, str], *options: str, whole: bool = True) -> dict[str, Any]:
    run = await run_in_process(["audit", "verify", "--json", *options], settings)
    assert run.returncode == (ExitStatus.OK if whole else ExitStatus.NOT_WHOLE), run.stdout + run.stderr
    found = dict(json.loads(run.stdout))
    assert found["whole"] is whole
    return found


def places(found: dict[str, Any]) -> set[tuple[str | None, int | None, str]]:
    return {(one["order_id"], one["sequence"], one["kind"]) for one in found["findings"]}


async def test_what_was_recorded_is_whole_in_whatever_way_it_was(
    store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    order_id = await an_order(store)
    await ended(store, "o-second")

    found = await verified(settings)
    one = await verified(settings, order_id)

    assert (found["orders"], found["events"], found["events_without_hash"]) == (2, 8, 0)
    assert (one["orders"], one["events"]) == (1, 5)
    assert (await verified(settings, "--since", "1h"))["orders"] == 2
    told = await run_in_process(["audit", "verify"], settings)
    assert "8 events of 2 orders" in told.stdout
    unknown = await run_in_process(["audit", "verify", "o-unknown"], settings)
    assert unknown.returncode == ExitStatus.FAILURE


TAMPERED: dict[str, tuple[str, set[tuple[int | None, str]]]] = {
    "another approver": (f"UPDATE events SET {BY_EVE} WHERE order_id = :id AND sequence = 3", {(3, "changed")}),  # noqa: S608 -- a test's own
    "another approver under the pretence that somebody was forgotten": (
        f"UPDATE events SET {BY_EVE}, salt = NULL WHERE order_id = :id AND sequence = 3",  # noqa: S608 -- a test's own
        {(3, "changed")},
    ),
    "the bytes alone": (
        "UPDATE events SET payload_json = CAST(' ' || CAST(payload_json AS text) AS json) "
        "WHERE order_id = :id AND sequence = 3",
        {(3, "changed")},
    ),
    "another time in the row": (
        "UPDATE events SET ts = ts + interval '1 second' WHERE order_id = :id AND sequence = 2",
        {(2, "changed")},
    ),
    "another trace": ("UPDATE events SET traceparent = 'x' WHERE order_id = :id AND sequence = 2", {(2, "changed")}),
    "no hash any more": (
        "UPDATE events SET salt = NULL, payload_digest = NULL, link = NULL WHERE order_id = :id AND sequence = 3",
        {(3, "changed"), (4, "changed")},
    ),
    "no event any more": ("DELETE FROM events WHERE order_id = :id AND sequence = 3", {(3, "missing")}),
    "no first event any more": ("DELETE FROM events WHERE order_id = :id AND sequence = 1", {(1, "missing")}),
    "no last event any more": ("DELETE FROM events WHERE order_id = :id AND sequence = 5", {(5, "missing")}),
    "an event more": (
        "INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts) "
        "SELECT order_id, 6, 'made-up', type, payload_json, ts FROM events WHERE order_id = :id AND sequence = 5",
        {(6, "unexpected")},
    ),
    "no journal any more": ("DELETE FROM journals WHERE order_id = :id", {(None, "missing")}),
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_was_changed_is_found_where_it_was(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], how: str
) -> None:
    order_id, untouched = await an_order(store), await an_order(store)
    statement, expected = TAMPERED[how]

    await tamper(engine, statement, id=order_id)

    found = await verified(settings, whole=False)
    assert places(found) == {(order_id, sequence, kind) for sequence, kind in expected}
    await verified(settings, untouched)
    told = await run_in_process(["audit", "verify", order_id], settings)
    assert told.returncode == ExitStatus.NOT_WHOLE
    assert order_id in told.stdout


async def test_an_event_that_was_sealed_anew_does_not_fit_those_beside_it(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    order_id = await an_order(store)
    async with engine.connect() as connection:
        row = (
            await connection.execute(
                text(
                    "SELECT CAST(payload_json AS text) AS payload, (SELECT link FROM events WHERE order_id = :id "
                    "AND sequence = 2) AS before FROM events WHERE order_id = :id AND sequence = 3"
                ),
                {"id": order_id},
            )
        ).one()
    payload = row.payload.replace("ops-7", "eve")
    seal = sealed(payload, None)
    put = (
        "UPDATE events SET payload_json = CAST(:payload AS json), salt = :salt, payload_digest = :digest, link = :link "
        "WHERE order_id = :id AND sequence = 3"
    )
    made = link(row.before, entry(seal.payload_digest, payload, None))

    await tamper(engine, put, payload=payload, salt=seal.salt, digest=seal.payload_digest, link=made, id=order_id)

    assert places(await verified(settings, whole=False)) == {(order_id, 4, "changed")}


async def test_a_forgotten_customers_events_are_whole_without_them(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    order_id = await an_order(store)
    run = await run_in_process(["forget", "Zoë O'Brien", "--yes", "--json"], settings)
    assert run.returncode == 0, run.stderr

    assert (await verified(settings))["events_erased"] == 1
    # What is left is held as before, and what was erased stays erased.
    reason = "payload_json = CAST(replace(CAST(payload_json AS text), 'APPROVED', 'CANCELLED') AS json)"
    await tamper(engine, f"UPDATE events SET {reason} WHERE order_id = :id AND sequence = 3", id=order_id)  # noqa: S608 -- a test's own
    assert places(await verified(settings, whole=False)) == {(order_id, 3, "changed")}


async def test_personal_data_that_was_erased_otherwise_is_found(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    order_id = await an_order(store)
    erased = """replace(CAST(payload_json AS text), '"by":"ops-7","note":"fine"', '"by":"","note":""')"""
    put = f"UPDATE events SET payload_json = CAST({erased} AS json), salt = NULL WHERE order_id = :id AND sequence = 3"  # noqa: S608 -- a test's own

    await tamper(engine, put, id=order_id)

    assert places(await verified(settings, whole=False)) == {(order_id, 3, "changed")}


async def archived(engine: AsyncEngine, settings: dict[str, str], folder: Path) -> Path:
    await tamper(engine, "UPDATE orders SET updated_at = now() - interval '100 days' WHERE state = 'COMPLETED'")
    run = await run_in_process(["archive", "--to", str(folder), "--json"], settings)
    assert run.returncode == 0, run.stderr
    return folder / str(json.loads(run.stdout)["files"][0])


async def test_archived_events_are_held_by_the_last_one_s_hash_and_go_on_behind_it(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    order_id = await an_order(store)
    await ended(store, "o-newest")
    path = await archived(engine, settings, tmp_path)
    await store.answer_late(order_id, (late("e-later"),), NOON)

    unseen = await verified(settings)
    seen = await verified(settings, "--archive", str(tmp_path))
    one = await verified(settings, order_id, "--archive", str(tmp_path))

    assert (unseen["events"], unseen["orders_with_unseen_archive"]) == (4, 1)
    assert (seen["events"], seen["orders_with_unseen_archive"]) == (9, 0)
    assert one["events"] == 6
    # A whole file that was made anew, checksum and all, does not have the hashes that the database kept.
    rewrite_file(path, lambda document: {**document, "events": document["events"][:-1]})
    assert places(await verified(settings, "--archive", str(tmp_path), whole=False)) == {(order_id, 5, "missing")}
    path.write_bytes(b"damaged")
    assert {one[2] for one in places(await verified(settings, "--archive", str(tmp_path), whole=False))} == {"changed"}
    path.unlink()
    assert {one[2] for one in places(await verified(settings, "--archive", str(tmp_path), whole=False))} == {"missing"}


async def test_what_is_archived_while_it_is_verified_is_not_taken_for_missing(
    engine: AsyncEngine,
    store: PostgresOrderStore,
    settings: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order_id = await an_order(store)
    await ended(store, "o-newest")
    await archived(engine, settings, tmp_path)
    await store.answer_late(order_id, (late("e-later"),), NOON)
    await store.mark_published(order_id, 6)
    await store.close()
    await ended(store, "o-newest-now")
    await tamper(engine, "UPDATE orders SET updated_at = now() - interval '100 days' WHERE id = :id", id=order_id)
    ask, runs = AuditStore.archived, list[str]()

    async def ask_once_more_was_archived(of: AuditStore, order_ids: Sequence[str]) -> Mapping[str, AuditedJournal]:
        if not runs:
            runs.append(await archive_by_another_process(settings, tmp_path))
        return await ask(of, order_ids)

    monkeypatch.setattr(AuditStore, "archived", ask_once_more_was_archived)
    await verified(settings, "--archive", str(tmp_path))
    assert (tmp_path / runs[0]).is_file()


async def archive_by_another_process(settings: dict[str, str], folder: Path) -> str:
    """Moves what may be moved; returns the file's name."""
    run = await run_to_end(["archive", "--to", str(folder), "--json"], settings, folder)
    assert run.returncode == 0, run.stderr
    (name,) = json.loads(run.stdout)["files"]
    return str(name)


async def test_a_forgotten_customers_archived_events_are_whole_without_them(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    await an_order(store)
    await ended(store, "o-newest")
    await archived(engine, settings, tmp_path)
    run = await run_in_process(["forget", "Zoë O'Brien", "--archive", str(tmp_path), "--yes", "--json"], settings)
    assert run.returncode == 0, run.stderr

    assert (await verified(settings, "--archive", str(tmp_path)))["events_erased"] == 1


async def test_with_a_checkpoint_it_is_seen_that_whole_orders_are_gone_or_hashes_were_made_anew(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    gone, cut, anew, grown = [await an_order(store) for _ in range(4)]
    kept = tmp_path / "checkpoint.jsonl"
    made = await run_in_process(["audit", "checkpoint", "--to", str(kept), "--json"], settings)
    assert made.returncode == 0, made.stderr
    again = await run_in_process(["audit", "checkpoint", "--to", str(kept)], settings)
    assert again.returncode == ExitStatus.USAGE
    await store.answer_late(grown, (late("e-more"),), NOON)
    same = await verified(settings, "--checkpoint", str(kept))
    assert same["checkpoint"] == {
        "orders": 4,
        "sha256": json.loads(made.stdout)["sha256"],
        "orders_with_unseen_archive": 0,
    }

    await tamper(
        engine,
        "DELETE FROM events WHERE order_id = :gone",
        "DELETE FROM orders WHERE id = :gone",
        "DELETE FROM journals WHERE order_id = :gone",
        "DELETE FROM events WHERE order_id = :cut AND sequence = 5",
        "UPDATE journals SET last_sequence = 4, last_published_sequence = 4 WHERE order_id = :cut",
        NO_HASHES.replace(":id", ":anew"),
        gone=gone,
        cut=cut,
        anew=anew,
    )

    # Nothing in the database tells of it.
    await verified(settings)
    found = await verified(settings, "--checkpoint", str(kept), whole=False)
    assert places(found) == {(gone, None, "missing"), (cut, 5, "missing"), (anew, 5, "changed")}
    only = await verified(settings, gone, "--checkpoint", str(kept), whole=False)
    assert places(only) == {(gone, None, "missing")}


async def test_a_checkpoint_holds_what_has_gone_into_the_archive_since(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path
) -> None:
    order_id = await an_order(store)
    kept, folder = tmp_path / "checkpoint.jsonl", tmp_path / "archive"
    folder.mkdir()
    await run_in_process(["audit", "checkpoint", "--to", str(kept)], settings)
    await store.answer_late(order_id, (late("e-later"),), NOON)
    await store.mark_published(order_id, 6)
    await store.close()
    await ended(store, "o-newest")
    path = await archived(engine, settings, folder)

    options = ["--checkpoint", str(kept)]
    assert (await verified(settings, *options))["checkpoint"]["orders_with_unseen_archive"] == 1
    await verified(settings, *options, "--archive", str(folder))
    rewrite_file(path, lambda document: {**document, "events": document["events"][5:]})
    found = await verified(settings, *options, "--archive", str(folder), whole=False)
    assert (order_id, 5, "missing") in places(found)


async def test_what_was_recorded_before_has_no_hash_and_what_follows_it_has_one(
    engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str]
) -> None:
    order_id = f"o-{secrets.token_hex(4)}"
    await received_and_validated(store, order_id)
    await tamper(
        engine, "UPDATE events SET salt = NULL, payload_digest = NULL, link = NULL WHERE order_id = :id", id=order_id
    )
    await store.record(batch(order_id, approval(order_id, 3)))

    assert (await verified(settings))["events_without_hash"] == 2


async def test_what_is_no_checkpoint_is_told_so(settings: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("{}\n")

    for path in (other, tmp_path / "none"):
        run = await run_in_process(["audit", "verify", "--checkpoint", str(path)], settings)
        assert run.returncode == ExitStatus.USAGE
        assert str(path) in run.stderr
