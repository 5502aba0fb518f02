"""Dead letters: found, read, and sent again after a dry run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from orders.clients.opened import Clients
from orders.errors import UsageError
from orders.operations.dead_letters.finding import list_letters, show_letter
from orders.operations.dead_letters.prospects import Prospect, prospects
from orders.operations.dead_letters.replay_plan import REPLAYS_MAX_DEFAULT
from orders.operations.dead_letters.replaying import replay
from orders.operations.dead_letters.selection import Place, Selection, parse_place
from orders.web.console.pages.answers import Operator, Viewer, page
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.views.dead_letters import (
    SPAN_LENGTHS,
    SPANS,
    Filter,
    LettersPage,
    PlanPage,
    PlanRow,
    letter_page,
)
from orders.web.console.views.replay import replay_page
from orders.web.context import Web
from orders.web.identity import Role

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

SHOWN_MAX: Final = 100
REPLAYS_SHOWN: Final = 5
PLACES_MAX: Final = 500
"""Most dead letters of one form; a page has `SHOWN_MAX`."""
_REPLAYS: Final = "/console/dead-letters/replays"


@router.get("/console/dead-letters")
async def dead_letters(
    request: Request,
    web: Web,
    who: Viewer,
    *,
    order: Annotated[str, Query(max_length=128)] = "",
    reason: Annotated[str, Query(max_length=200)] = "",
    topic: Annotated[str, Query(max_length=300)] = "",
    since: str = "",
) -> Response:
    """The list, the newest first."""
    chosen = Filter(order.strip(), reason, topic, since)
    selection = _selection(chosen)
    listing = await web.scan(request, lambda: list_letters(web.clients, selection, SHOWN_MAX))
    replays = [replay_page(one, ()) for one in web.replays.newest()[:REPLAYS_SHOWN] if not one.request.dry_run]
    shown = LettersPage.of(listing, web.settings.inbound_topics.values())
    may_replay = Role.OPERATOR in who.roles
    return page(
        "dead_letters.html",
        who,
        here="Dead letters",
        page=shown,
        query=chosen,
        spans=SPANS,
        may_replay=may_replay,
        replays=replays,
    )


def _selection(chosen: Filter) -> Selection:
    if chosen.since not in SPANS:
        raise UsageError("The address names a filter that does not exist: choose one of the page's.")
    return Selection(
        reasons=frozenset({chosen.reason} if chosen.reason else ()),
        topics=frozenset({chosen.topic} if chosen.topic else ()),
        order_id=chosen.order_id or None,
        since=datetime.now(UTC) - SPAN_LENGTHS[chosen.since] if chosen.since else None,
    )


@router.post("/console/dead-letters/plans")
async def plan(
    web: Web,
    who: Operator,
    *,
    place: Annotated[list[str] | None, Form()] = None,
    trust: Annotated[bool, Form()] = False,
) -> Response:
    """A dry run: what each record would do to its order. Nothing is done."""
    _, shown = await plan_of(web.clients, places_of(place), trust=trust)
    return page("plan.html", who, here="Dead letters", plan=shown, batch=uuid4().hex)


@router.get("/console/dead-letters/{place}")
async def dead_letter(web: Web, who: Viewer, place: str, *, full: bool = False) -> Response:
    """One dead letter whole."""
    shown = letter_page(await show_letter(web.clients, parse_place(place)), full=full)
    return page("dead_letter.html", who, here="Dead letters", letter=shown, may_replay=Role.OPERATOR in who.roles)


def places_of(texts: Sequence[str] | None) -> tuple[Place, ...]:
    """The places that a form names, each once.

    Raises:
        UsageError: it names none, too many, or what is no place.
    """
    if not texts:
        raise UsageError("No dead letter is selected: select one first. Nothing was done.")
    if len(texts) > PLACES_MAX:
        raise UsageError(f"The form names more than {PLACES_MAX} dead letters, which no page shows. Nothing was done.")
    return tuple(parse_place(text) for text in dict.fromkeys(texts))


async def plan_of(clients: Clients, places: Sequence[Place], *, trust: bool) -> tuple[tuple[Prospect, ...], PlanPage]:
    """What a replay of these would do: of each record, and as the dry run's page."""
    outcome = await replay(
        clients, places, replays_max=REPLAYS_MAX_DEFAULT, limit=PLACES_MAX, dry_run=True, trust=trust
    )
    expected = await prospects(clients, outcome.planned)
    rows = tuple(PlanRow.of(one) for one in expected)
    return expected, PlanPage(rows, outcome.duplicates, tuple(outcome.refused), trust=trust)
