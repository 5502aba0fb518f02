"""Forgets a customer: erases personal data of their orders here, and says where else it may still be."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from activities.adapters.postgres.forgetting import CustomerOrder, ForgettingStore
from activities.personal_data import row_without_person, without_person
from orders.clients.opened import Clients
from orders.operations.archive.files import archive_files, read_file, require_folder, rewrite_file
from orders.settings import Settings
from schemas.outbound import OUTBOUND_EVENT
from schemas.states import OrderState

_PAGE: Final = 500

Progress = Callable[[str, int, int | None], None]
"""Is told what is being done, how much of it is done, and of how much; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Staying:
    """An order that cannot be forgotten now."""

    order_id: str
    state: OrderState
    why: str


@dataclass(slots=True)
class Forgotten:
    """What was erased, or would be."""

    orders: list[str] = field(default_factory=list)
    events: int = 0
    """Of the database: written anew without personal data."""
    archived: int = 0
    """Orders in files of the archive, erased there."""
    staying: list[Staying] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    """Where personal data may still be, and until when; a sentence each."""


async def forget(
    clients: Clients,
    customer_id: str,
    *,
    folder: Path | None,
    dry_run: bool,
    progress: Progress = lambda _what, _done, _total: None,
) -> Forgotten:
    """Erases what names the customer.

    The archive comes first: afterwards the database does not know any more whose the orders were. Orders that are not
    over stay as they are and are named. It may be repeated, and finds what came since.

    Args:
        clients: lead to the database.
        customer_id: as orders name them.
        folder: of the archive; None where its files are left alone.
        dry_run: whether to look only.
        progress: told how far it is; it may block.

    Raises:
        UsageError: there is no such folder.
        UnreachableError: Postgres does not answer.
        DamagedArchiveError: a file of the archive is not what was written.
        OrdersError: the disk does not take a file.
    """
    if folder is not None:
        require_folder(folder)
    done = Forgotten()
    files: set[str] = set()
    async with clients.database() as engine:
        store = ForgettingStore(engine)
        found = await _orders_of(store, customer_id, progress)
        files = {name for one in found for name in one.archived_in}
        if folder is not None:
            ended = {one.order_id for one in found if one.may_be_forgotten}
            done.archived = await _erase_archive(folder, customer_id, ended, progress, dry_run=dry_run)
        for number, one in enumerate(found):
            progress("orders looked at:" if dry_run else "orders erased:", number, len(found))
            changed = 0 if dry_run and one.may_be_forgotten else None
            if one.may_be_forgotten and not dry_run:
                changed = await store.erase(one.order_id)
            if changed is None:
                done.staying.append(_staying(one))
            else:
                done.orders.append(one.order_id)
                done.events += changed
    done.not_reached = list(_not_reached(clients.settings, files if folder is None else ()))
    return done


async def _orders_of(store: ForgettingStore, customer_id: str, progress: Progress) -> list[CustomerOrder]:
    found: list[CustomerOrder] = []
    while True:
        page = await store.orders_of(customer_id, found[-1] if found else None, _PAGE)
        found += page
        progress("orders found:", len(found), None)
        if len(page) < _PAGE:
            return found


def _staying(order: CustomerOrder) -> Staying:
    if not order.state.is_final:
        return Staying(order.order_id, order.state, "it is not over yet: forget the customer again once it is")
    return Staying(
        order.order_id,
        order.state,
        "Kafka is not known to have all its events: see `orders explain`, and forget the customer again",
    )


async def _erase_archive(
    folder: Path, customer_id: str, order_ids: set[str], progress: Progress, *, dry_run: bool
) -> int:
    """Erases the customer's orders in every file; one may stand in several, where an archiving was interrupted."""

    def erased(document: dict[str, Any]) -> dict[str, Any] | None:
        if document["order"]["customer_id"] != customer_id and document["order_id"] not in order_ids:
            return None
        without = _document_without_person(document)
        return without if without != document else None

    def erase_in(path: Path) -> int:
        if dry_run:
            return sum(erased(one) is not None for one in read_file(path))
        return rewrite_file(path, erased)

    count, files = 0, archive_files(folder)
    for number, path in enumerate(files):
        progress("files of the archive read:", number, len(files))
        count += await asyncio.to_thread(erase_in, path)
    return count


def _document_without_person(document: dict[str, Any]) -> dict[str, Any]:
    events = [_event_without_person(event) for event in document["events"]]
    return {**document, "order": row_without_person(document["order"]), "events": events}


def _event_without_person(event: dict[str, Any]) -> dict[str, Any]:
    payload = without_person(OUTBOUND_EVENT.validate_json(event["payload"])).model_dump_json()
    # With the salt, what was erased could be tried out (`activities.audit_chain`).
    return event if payload == event["payload"] else {**event, "payload": payload, "salt": None}


def _not_reached(settings: Settings, files: Iterable[str]) -> Iterable[str]:
    topics = ", ".join([*settings.inbound_topics.values(), settings.kafka_topic_order_events])
    yield f"Kafka: records in {topics}, until each topic's retention.ms is over"
    yield (
        f"Kafka: dead letters in {settings.kafka_topic_dead_letters} that name the orders: `orders dlq list --order "
        "ORDER_ID` shows them, `orders dlq purge` or their age ends them"
    )
    yield (
        f"Temporal: histories of the orders' runs in the namespace {settings.temporal_namespace}, until its retention "
        "is over, or `temporal workflow delete --workflow-id order:ORDER_ID`"
    )
    yield "the payment provider and the carrier, who keep their own records"
    yield "backups of the database, until they are too old to be kept"
    names = sorted(files)
    if names:
        yield f"the archive: {', '.join(names)}; give its folder with --archive to erase them there"


def forgotten_json(done: Forgotten, *, dry_run: bool) -> dict[str, Any]:
    """What was erased, for a program; of a dry run, what would be."""
    return {
        "dry_run": dry_run,
        "orders": done.orders,
        "events": done.events,
        "archived_orders": done.archived,
        "staying": [{"order_id": one.order_id, "state": one.state, "why": one.why} for one in done.staying],
        "not_reached": done.not_reached,
    }
