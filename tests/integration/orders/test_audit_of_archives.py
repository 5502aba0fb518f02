"""``orders audit verify --archive``: what somebody who may write the archive's files can do, and what of it is seen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresOrderStore
from activities.audit_chain import link, sealed
from orders.operations.archive.files import rewrite_file
from tests.helpers.messages.journal_entries import ended
from tests.integration.orders.test_audit import an_order, archived, verified

Document = dict[str, Any]


def without_events(document: Document) -> Document:
    return {**document, "events": []}


def under_another_id(document: Document) -> Document:
    return {**document, "order_id": "o-nobody"}


def sealed_anew(document: Document) -> Document:
    """Another has approved, and every hash fits the one before it."""
    events, before = [], None
    for event in document["events"]:
        payload = event["payload"].replace("ops-7", "eve")
        seal = sealed(payload, event.get("traceparent"))
        before = link(before, seal.entry)
        hashes = {"salt": seal.salt.hex(), "payload_digest": seal.payload_digest.hex(), "link": before.hex()}
        events.append({**event, "payload": payload, **hashes})
    return {**document, "events": events}


CASES: dict[Callable[[Document], Document], list[tuple[str | None, int | None, str, str]]] = {
    without_events: [("{id}", None, "changed", "the archive has the order without events")],
    under_another_id: [
        ("o-nobody", None, "missing", "{file} has its events, and the database does not know the order"),
        (None, None, "missing", "{file} lacks 1 of the orders whose events are said to be in it"),
    ],
    sealed_anew: [("{id}", 5, "changed", "its hash in the archive is not the one that the database has kept of it")],
}


@pytest.mark.parametrize("change", CASES)
async def test_a_file_that_was_made_anew_with_its_checksum_is_not_what_the_database_knows(
    engine: AsyncEngine,
    store: PostgresOrderStore,
    settings: dict[str, str],
    tmp_path: Path,
    change: Callable[[Document], Document],
) -> None:
    order_id = await an_order(store)
    await ended(store, "o-newest")  # The last event of all is never archived.
    path = await archived(engine, settings, tmp_path)
    await verified(settings, "--archive", str(tmp_path))

    assert rewrite_file(path, change) == 1

    said = (await verified(settings, "--archive", str(tmp_path), whole=False))["findings"]
    assert [(one["order_id"], one["sequence"], one["kind"], one["detail"]) for one in said] == [
        (None if whose is None else whose.format(id=order_id), sequence, kind, text.format(file=path.name))
        for whose, sequence, kind, text in CASES[change]
    ]
