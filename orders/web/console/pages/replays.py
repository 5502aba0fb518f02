"""Replays of dead letters: begun after a dry run, followed, and what came of each record."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from orders.clients.opened import Clients
from orders.errors import NotFoundError
from orders.operations.dead_letters.finding import dead_letter_scan, read_letters
from orders.operations.dead_letters.prospects import Effect, Prospect
from orders.operations.dead_letters.selection import Selection
from orders.web.console.pages.answers import Operator, Viewer, go_to, is_partial, page, part
from orders.web.console.pages.dead_letters import places_of, plan_of
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.state import ConsoleState, State
from orders.web.console.views.dead_letters import PlanRow
from orders.web.console.views.replay import ReplayPage, replay_page
from orders.web.context import Web, WebContext
from orders.web.replays import Replay, ReplayRequest
from schemas.activity_io import EventOutcome

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_REPLAYS: Final = "/console/dead-letters/replays"


@router.post(_REPLAYS)
async def begin_replay(
    web: Web,
    state: State,
    who: Operator,
    batch: Annotated[str, Form(min_length=8, max_length=64, pattern="^[0-9a-z]+$")],
    place: Annotated[list[str] | None, Form()] = None,
    *,
    trust: Annotated[bool, Form()] = False,
) -> Response:
    """Sends the records again, and leads to how far that is."""
    places = places_of(place)
    expected, _ = await plan_of(web.clients, places, trust=trust)
    request = ReplayRequest(places, dry_run=False, trust=trust)
    begun = web.replays.begin(request, by=who.name, key=f"console:{who.caller_id}:{batch}")
    state.keep_plan(begun.id, expected)
    return go_to(f"{_REPLAYS}/{begun.id}")


@router.get(_REPLAYS + "/{replay_id}")
async def replay_progress(request: Request, web: Web, state: State, who: Viewer, replay_id: str) -> Response:
    """How far a replay is, and what came of each record."""
    found = web.replays.find(replay_id)
    if found is None:
        raise NotFoundError(
            "This replay is not known any more: the server was started again since. What it sent is in Kafka; the "
            "orders' pages say what came of it. Dead letters may be replayed again: an event counts once."
        )
    shown = await _came_of(web, state, found)
    if is_partial(request):
        return part("_replay.html", replay=shown)
    return page("replay.html", who, here="Dead letters", replay=shown)


async def _came_of(web: WebContext, state: ConsoleState, found: Replay) -> ReplayPage:
    """The replay with what is known by now of each record that it sent."""
    expected = state.plans.get(found.id, ())
    if not found.ended.is_set():
        return replay_page(found, ())
    again = await _set_aside_since(web.clients, found.began_at, {one.first_identity for one in expected})
    rows = []
    for one in expected:
        outcome = await _outcome(web.clients, one)
        rows.append((PlanRow.after(one, outcome, again.get(one.first_identity)), outcome is not None))
    is_complete = all(
        is_decided or one.first_identity in again or one.effect in (Effect.GONE, Effect.DUPLICATE, Effect.HELD)
        for one, (_, is_decided) in zip(expected, rows, strict=True)
    )
    return replay_page(found, tuple(row for row, _ in rows), is_complete=is_complete)


async def _outcome(clients: Clients, prospect: Prospect) -> EventOutcome | None:
    if prospect.event_type is None or prospect.event_id is None or prospect.order_id is None:
        return None
    async with clients.order_reader() as reader:
        return await reader.inbound_event(prospect.order_id, prospect.event_type.value, prospect.event_id)


async def _set_aside_since(clients: Clients, began_at: datetime, identities: set[str]) -> dict[str, str]:
    """Which of these records were set aside again, and where: their place by their first identity."""
    found: dict[str, str] = {}
    async with dead_letter_scan(clients) as scan:
        async for letters in read_letters(scan, Selection(since=began_at)):
            for letter in letters:
                identity = letter.first_identity
                if identity is not None and identity in identities and letter.replay_count:
                    found[identity] = letter.at
    return found
