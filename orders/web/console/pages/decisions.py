"""Approving, cancelling, and another address: the forms' addresses, and what became of what they sent."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from orders.errors import UsageError
from orders.operations.decide import recorded_outcome
from orders.web.console.deciding import Chosen, decide, event_id_of, event_type_of, line_of
from orders.web.console.pages.address_form import AddressForm, Batch
from orders.web.console.pages.answers import Approver, go_to, is_partial, page, part
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.views.decisions import Choice, OutcomeLine, Outcomes, Standing
from orders.web.console.views.waiting import Shown
from orders.web.console.waiting_board import PAGE_ORDERS
from orders.web.context import Web, WebContext
from orders.web.identity import Identity
from orders.web.waiting import while_wanted

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

ORDERS_MAX: Final = 2 * PAGE_ORDERS
"""Most orders of one form. A page has fewer; a form with more is none of ours."""
_LOOK: Final = "/console/outcomes"

ChosenName = Annotated[str, Query(min_length=8, max_length=80, pattern="^[0-9a-z]+$")]


@router.post("/console/decisions")
async def decisions(
    request: Request,
    web: Web,
    who: Approver,
    *,
    batch: Annotated[Batch, Form()],
    choice: Annotated[Choice | None, Form()] = None,
    order: Annotated[list[str] | None, Form()] = None,
    note: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Approves or cancels the orders that the form names, and no others, and answers with what became of each."""
    orders = _orders(order)
    if choice is None:  # Enter in a field of the form.
        raise UsageError("Say what is to be done: approve or cancel, by its button. Nothing was done.")
    if choice is Choice.READDRESS:
        raise UsageError("The form gives no address: load the order's page again. Nothing was sent.")
    if choice is Choice.CANCEL and not note.strip():
        raise UsageError("Say why: an order is cancelled with a reason. Nothing was cancelled.")
    return await _decided(request, web, who, Chosen(choice, batch, note=note.strip()), orders)


@router.post("/console/addresses")
async def addresses(request: Request, web: Web, who: Approver, form: Annotated[AddressForm, Form()]) -> Response:
    """Sends an order elsewhere: the lines of its address that the person has changed."""
    changes = form.changes
    if not changes:
        raise UsageError(
            "Nothing was sent: the address is the same as before. Change a line of it; one that is left empty stays as "
            "it is."
        )
    chosen = Chosen(Choice.READDRESS, form.batch, address=changes)
    return await _decided(request, web, who, chosen, [Shown.parse(form.order)])


async def _decided(request: Request, web: WebContext, who: Identity, chosen: Chosen, orders: list[Shown]) -> Response:
    """Does what was chosen, and answers the page's script with a part, and any other browser with a page."""
    choice = chosen.choice
    lines = await while_wanted(request, web.stopping, decide(web.clients, who, chosen, orders))
    if lines is None:  # The server is being stopped: what was sent counts, and the page that comes back says so.
        lines = [OutcomeLine(one.order_id, choice, Standing.UNDECIDED) for one in orders]
    if is_partial(request):
        return part("_outcomes.html", outcomes=Outcomes.of(choice, lines))
    if not all(line.standing.is_recorded for line in lines):
        # Nothing of these is recorded anywhere, so no other address could tell of them.
        return page("outcomes.html", who, here="Waiting", outcomes=Outcomes.of(choice, lines))
    named = [("batch", chosen.name), ("choice", choice.value), *(("order", one.token) for one in orders)]
    return go_to(f"{_LOOK}?{urlencode(named)}")


@router.get(_LOOK)
async def outcomes(
    web: Web,
    who: Approver,
    batch: ChosenName,
    choice: Choice,
    order: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """What became of a form that was sent, read from the records: for browsers that run no scripts."""
    lines = []
    for shown in _orders(order):
        event_id = event_id_of(who, batch, choice, shown)
        outcome = await recorded_outcome(web.clients, shown.order_id, event_id, event_type_of(choice))
        lines.append(line_of(shown.order_id, choice, outcome))
    return page("outcomes.html", who, here="Waiting", outcomes=Outcomes.of(choice, lines))


def _orders(tokens: list[str] | None) -> list[Shown]:
    if not tokens:
        raise UsageError("No order is selected: select one, then decide. Nothing was done.")
    if len(tokens) > ORDERS_MAX:
        raise UsageError(f"The form names more than {ORDERS_MAX} orders, which no page shows. Nothing was done.")
    return [Shown.parse(token) for token in dict.fromkeys(tokens)]
