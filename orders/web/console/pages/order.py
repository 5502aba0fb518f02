"""One order: what Postgres knows at once, what Kafka and Temporal know when it is asked for, and what changes."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Path
from starlette.responses import Response

from orders.errors import NotFoundError, UnreachableError
from orders.operations.dead_letters.documents import time_text
from orders.operations.explain.database_side import DatabaseSide, look_in_postgres
from orders.operations.explain.gathering import Explanation, explain
from orders.operations.explain.kafka_side import HeldRecord, NamingRecord
from orders.operations.explain.temporal_side import RunView
from orders.settings import Settings
from orders.web.console.deciding import event_type_of
from orders.web.console.live import LOST, RETRY_SECONDS, PageStream, Pieces, news, trouble
from orders.web.console.pages.answers import ConsoleRoute, Viewer, page, part
from orders.web.console.rendering.templates import render
from orders.web.console.views.decisions import Choice
from orders.web.console.views.order import OrderPage, order_page
from orders.web.console.views.waiting import Shown
from orders.web.context import Web, WebContext
from orders.web.identity import Identity, Role
from schemas.event_types import EventType
from workflows.names import LATE_EVENT_WORKFLOW, ORDER_WORKFLOW, SHIPPING_WORKFLOW

router = APIRouter(route_class=ConsoleRoute)

READ_RECORDS_MAX: Final = 100_000
"""Records of Kafka that a page reads at most, the newest: some seconds of work. The command line reads more."""

LOOKS_MAX: Final = 5
LOOK_AGAIN_SECONDS: Final = 0.1

OrderId = Annotated[str, Path(min_length=1, max_length=1_000)]
"""Any text: what a malformed record calls an order may be looked for as well."""

_KINDS: Final = {
    ORDER_WORKFLOW: "the order",
    SHIPPING_WORKFLOW: "attempt to ship",
    LATE_EVENT_WORKFLOW: "answer to a late event",
}


@dataclass(frozen=True, slots=True)
class Run:
    """A run in Temporal, with where its history is shown."""

    workflow_id: str
    what: str
    status: str
    started_at: datetime
    closed_at: datetime | None
    link: str | None


@router.get("/console/orders/{order_id}")
async def order(web: Web, who: Viewer, order_id: OrderId, *, everything: bool = False) -> Response:
    """The page; with all that Kafka and Temporal know where everything is asked for."""
    known = await look_in_postgres(web.clients, order_id)
    # Where nothing is recorded, whether there is such an order at all is for Kafka and Temporal to say.
    elsewhere = await _elsewhere(web, order_id) if everything or _is_empty(known) else None
    values = _values(who, order_page(order_id, known))
    return page(
        "order.html", who, here="Orders", everything=elsewhere is not None, outcomes=None, **values, **(elsewhere or {})
    )


@router.get("/console/orders/{order_id}/elsewhere")
async def elsewhere(web: Web, _who: Viewer, order_id: OrderId) -> Response:
    """What Kafka and Temporal know, as a part of the page."""
    values = await _elsewhere(web, order_id)
    return part("_order_elsewhere.html", order=order_page(order_id, _NOTHING), **values)


@router.get("/console/orders/{order_id}/live")
async def order_live(web: Web, who: Viewer, order_id: OrderId) -> Response:
    """The page's content, whenever something has happened to the order."""
    return PageStream(lambda: _pieces(web, who, order_id), web.stopping)


async def _pieces(web: WebContext, who: Identity, order_id: str) -> Pieces:
    have: tuple[int, int] | None = None
    while True:
        try:
            async with web.feed.of_order(order_id, have[0] if have else 0) as subscription:
                while True:
                    shown, seen = await _look(web, order_id)
                    is_new, have = seen != have, seen
                    markup = (
                        render("_order_update.html", now=datetime.now(UTC), **_values(who, shown)) if is_new else ""
                    )
                    yield f"{seen[0]}", markup
                    await news(subscription)
        except LOST as error:
            have = None
            yield "trouble", trouble(error)
        await asyncio.sleep(RETRY_SECONDS)


async def _look(web: WebContext, order_id: str) -> tuple[OrderPage, tuple[int, int]]:
    """The order as it is now, and up to which event its journal and its row are.

    They are read one after the other, and an event may come between: then once more, as no news would tell of it.
    """
    for attempt in range(LOOKS_MAX):
        if attempt:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        shown = order_page(order_id, await look_in_postgres(web.clients, order_id))
        last = shown.journal[-1].sequence if shown.journal else 0
        row = shown.record.last_sequence if shown.record else last
        if shown.cut or row == last:
            break
    return shown, (last, row)


_NOTHING: Final = DatabaseSide(None, None, (), (), None, cut=False)


def _is_empty(known: DatabaseSide) -> bool:
    return known.order is None and not known.events and not known.inbound


def _values(who: Identity, shown: OrderPage) -> dict[str, Any]:
    sequence = shown.record.last_sequence if shown.record else 0
    return {
        "order": shown,
        "may_decide": Role.APPROVER in who.roles,
        "can": _choices(shown.can),
        "token": Shown(shown.order_id, sequence).token,
        "batch": uuid4().hex,
    }


def _choices(can: frozenset[EventType]) -> frozenset[str]:
    return frozenset(choice.value for choice in Choice if event_type_of(choice) in can)


async def _elsewhere(web: WebContext, order_id: str) -> dict[str, Any]:
    """What all three servers know together: what a record came to is told by the others' knowledge of its event.

    Raises:
        NotFoundError: nobody knows the order.
    """
    try:
        async with web.scanning():
            known = await explain(web.clients, order_id, since=None, limit=READ_RECORDS_MAX)
    except UnreachableError as error:
        known = Explanation(order_id, None, None, None, tuple(str(error).splitlines()))
    except NotFoundError:
        raise NotFoundError(
            f"Order {order_id!r} is known to nobody: not to Kafka, as far as its topics still reach back, not to "
            "Temporal and not to Postgres. Check the id: capital letters count."
        ) from None
    runs = [] if known.temporal is None else [_run(web.settings, run) for run in known.temporal.runs]
    records: list[NamingRecord | HeldRecord] = []
    if known.kafka is not None:
        records = [*known.kafka.records, *known.kafka.held]
    times = {one.coordinates: time_text(one.timestamp_ms).replace("T", " ").replace("Z", " UTC") for one in records}
    return {"known": known, "runs": runs, "times": times}


def _run(settings: Settings, run: RunView) -> Run:
    link = None
    if settings.temporal_ui_url is not None:
        where = (settings.temporal_namespace, "workflows", run.workflow_id, run.run_id)
        path = "/".join(quote(part, safe="") for part in where)
        link = f"{str(settings.temporal_ui_url).rstrip('/')}/namespaces/{path}/history"
    return Run(run.workflow_id, _KINDS.get(run.type, run.type), run.status, run.started_at, run.closed_at, link)
