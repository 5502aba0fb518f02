"""One order: what Postgres knows at once, what Kafka and Temporal know when it is asked for, and what changes."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from orders.errors import NotFoundError, UnreachableError
from orders.operations.dead_letters.documents import time_text
from orders.operations.explain.database_side import DatabaseSide, look_in_postgres
from orders.operations.explain.gathering import Explanation, explain
from orders.operations.explain.kafka_side import HeldRecord, NamingRecord
from orders.operations.explain.temporal_side import RunView
from orders.settings import Settings
from orders.web.console.deciding import event_type_of
from orders.web.console.live import (
    LOST,
    RETRY_SECONDS,
    PageStream,
    Pieces,
    merged,
    news,
    trouble,
    until_refused,
    wait_for,
)
from orders.web.console.pages.answers import Viewer, page
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.rendering.templates import render
from orders.web.console.views.decisions import Choice
from orders.web.console.views.order import OrderPage, address_lines, order_page
from orders.web.console.views.waiting import Shown
from orders.web.context import Web, WebContext
from orders.web.identity import Identity, Role
from schemas.event_types import EventType
from schemas.order import Address
from workflows.names import LATE_EVENT_WORKFLOW, ORDER_WORKFLOW, SHIPPING_WORKFLOW

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

READ_RECORDS_MAX: Final = 100_000
"""Records of Kafka that a page reads at most, the newest: some seconds of work. The command line reads more."""

AGAIN_SECONDS_MIN: Final = 5
AGAIN_TIMES: Final = 20
"""A page that is left open reads topics for a twentieth of the time at most."""
ELSEWHERE_GATHER_SECONDS: Final = 1.0
"""What happens within this time leads to one look."""
LOOKS_MAX: Final = 5
LOOK_AGAIN_SECONDS: Final = 0.1

OrderId = Annotated[str, Path(min_length=1, max_length=1_000, pattern=r"^[^\x00]+$")]
"""Any text that a database can look for: what a malformed record calls an order may be looked for as well."""

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
    elsewhere = await _elsewhere(web, order_id) if everything or _is_empty(known) else {"known": None}
    values = _values(who, order_page(order_id, known))
    return page("order.html", who, here="Orders", outcomes=None, **values, **elsewhere)


@router.get("/console/orders/{order_id}/live")
async def order_live(request: Request, web: Web, who: Viewer, order_id: OrderId) -> Response:
    """The page's content, whenever something has happened to the order or to what is known of it elsewhere."""
    live = _Live(web, who, order_id)
    return PageStream(lambda: merged(live.recorded(), live.elsewhere()), web.stopping, until_refused(request, who))


@dataclass(slots=True)
class _Live:
    """One page that is kept up to date."""

    web: WebContext
    who: Identity
    order_id: str
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something happened to the order, so that Kafka and Temporal are asked anew."""

    async def recorded(self) -> Pieces:
        """What Postgres knows, whenever something has happened to the order."""
        have: tuple[int, int] | None = None
        while True:
            try:
                async with self.web.feed.of_order(self.order_id, have[0] if have else 0) as subscription:
                    while True:
                        shown, seen = await _look(self.web, self.order_id)
                        is_new, have = seen != have, seen
                        values = _values(self.who, shown)
                        yield (
                            f"{seen[0]}",
                            render("_order_update.html", now=datetime.now(UTC), **values) if is_new else "",
                        )
                        if is_new:
                            self._moved.set()
                        await news(subscription)
            except LOST as error:
                have = None
                yield "trouble", trouble(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def elsewhere(self) -> Pieces:
        """What Kafka and Temporal know: asked when something has happened, and once in a while all the same.

        What happens there need not be an event of the order: a record that no bridge takes, a worker that is away.
        """
        have = ""
        while True:
            self._moved.clear()
            again = look_again_after(0)
            try:
                values = await _elsewhere(self.web, self.order_id)
            except LOST:
                pass  # Nobody knows it yet, or too many ask: what is shown stands, and it is asked again.
            else:
                again = values["again"]
                markup = render("_order_elsewhere_update.html", now=datetime.now(UTC), order_id=self.order_id, **values)
                if markup != have:
                    yield "elsewhere", markup
                have = markup
            await wait_for(self._moved, again)
            await asyncio.sleep(ELSEWHERE_GATHER_SECONDS)


async def _look(web: WebContext, order_id: str) -> tuple[OrderPage, tuple[int, int]]:
    """The order as it is now, and up to which event its journal and its row are.

    They are read one after the other, and an event may come between: then once more, as no news would tell of it.
    """
    for attempt in range(LOOKS_MAX):
        if attempt:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        shown = order_page(order_id, await look_in_postgres(web.clients, order_id))
        archived = shown.record.archived_sequence if shown.record else 0
        last = shown.journal[-1].sequence if shown.journal else archived
        row = shown.record.last_sequence if shown.record else last
        if shown.cut or row == last:
            break
    return shown, (last, row)


def _is_empty(known: DatabaseSide) -> bool:
    return known.order is None and not known.events and not known.inbound


def _values(who: Identity, shown: OrderPage) -> dict[str, Any]:
    sequence = shown.record.last_sequence if shown.record else 0
    return {
        "order": shown,
        "may_decide": Role.APPROVER in who.roles,
        "can": choices(shown.can),
        "token": Shown(shown.order_id, sequence).token,
        "batch": uuid4().hex,
        "address_lines": address_lines(shown.details.address if shown.details else Address()),
    }


def choices(can: frozenset[EventType]) -> frozenset[str]:
    """What a person may choose among the events that would be applied."""
    return frozenset(choice.value for choice in Choice if event_type_of(choice) in can)


async def _elsewhere(web: WebContext, order_id: str) -> dict[str, Any]:
    """What all three servers know together: what a record came to is told by the others' knowledge of its event.

    Raises:
        NotFoundError: nobody knows the order.
        Problem: too many pages ask for so much.
    """
    try:
        async with web.scanning():
            began = time.monotonic()
            known = await explain(web.clients, order_id, since=None, limit=READ_RECORDS_MAX)
            took = time.monotonic() - began
    except UnreachableError as error:
        known, took = Explanation(order_id, None, None, None, tuple(str(error).splitlines())), 0.0
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
    return {"known": known, "runs": runs, "times": times, "again": look_again_after(took)}


def look_again_after(took_seconds: float) -> timedelta:
    """When a page asks Kafka and Temporal again by itself: so that no page keeps them busy, however long it takes."""
    return timedelta(seconds=max(AGAIN_SECONDS_MIN, round(took_seconds * AGAIN_TIMES)))


def _run(settings: Settings, run: RunView) -> Run:
    link = None
    if settings.temporal_ui_url is not None:
        where = (settings.temporal_namespace, "workflows", run.workflow_id, run.run_id)
        path = "/".join(quote(part, safe="") for part in where)
        link = f"{str(settings.temporal_ui_url).rstrip('/')}/namespaces/{path}/history"
    return Run(run.workflow_id, _KINDS.get(run.type, run.type), run.status, run.started_at, run.closed_at, link)
