"""What has happened to orders: an order's journal, and the live streams of one and of all."""

import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from activities.adapters.postgres.records import OrderRecord
from orders.errors import NotFoundError
from orders.operations.view import view_order
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.fields import MOST, Answer, OrderId
from orders.web.api.parameters import ApiRoute
from orders.web.api.preferences import described
from orders.web.api.published import PublishedEvent
from orders.web.context import Web, WebContext
from orders.web.event_stream import MEDIA_TYPE, EventStream
from orders.web.header_fields import header_of, weight_of
from orders.web.identity import Identity, Role, gate_of, requires
from orders.web.problems import FieldError, Problem

router = APIRouter(tags=["events"], dependencies=[Depends(requires(Role.VIEWER))], route_class=ApiRoute)

Viewer = Annotated[Identity, Depends(requires(Role.VIEWER))]
EVENTS_MAX: Final = 1_000
_POSITION_MAX: Final = 2**63 - 1
_SEQUENCE_MAX: Final = 2**31 - 1


class Journal(Answer):
    """A part of an order's journal."""

    order_id: str
    events: list[PublishedEvent]
    """In the order of their sequence, as they were published."""
    next_after: int | None
    """Ask on with this as `after`; null where there are no more yet."""
    archived_through: int | None
    """Events up to this one were asked for and are in the archive, not here; null where none is."""
    archived_in: list[str]
    """The archive's files that have them."""


LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The id of the last event that was had; the stream goes on behind it."),
]
After = Annotated[
    int | None,
    Query(ge=0, le=_SEQUENCE_MAX, description="Only what is behind this; for a stream, as Last-Event-ID, which wins."),
]
_STREAM: Final[dict[str, Any]] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "string",
            "description": "Server-sent events: `event` is the event's type, `data` its body as published, `id` what "
            "the client sends back as Last-Event-ID. The stream ends now and then; come again with the last id. "
            "Events that were moved into the archive are not in it.",
        }
    }
}
_PROBLEMS = problems(*ALWAYS, "not_acceptable")


@router.get(
    "/orders/{order_id}/events",
    summary="An order's journal, or a stream of it",
    operation_id="getOrderEvents",
    response_model=Journal,
    responses={200: {"content": _STREAM}, **_PROBLEMS, **problems("order_not_found")},
    openapi_extra={"parameters": described(LastEventId)},
)
async def order_events(
    order_id: OrderId,
    request: Request,
    web: Web,
    viewer: Viewer,
    *,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX, description=MOST)] = EVENTS_MAX,
) -> Any:
    """With `Accept: text/event-stream` a stream that begins at the order's first event, or behind `Last-Event-ID`."""
    if wants_stream(request):
        return await _order_stream(request, web, viewer, order_id, _position(request, after, _SEQUENCE_MAX))
    async with web.clients.order_reader() as reader:
        stored = await reader.events(order_id, after_sequence=after or 0, limit=limit)
        if not stored and await reader.journal(order_id) is None:
            raise Problem("order_not_found", f"nothing is recorded of an order {order_id!r}")
        is_whole = bool(stored) and stored[0].sequence == (after or 0) + 1
        record = None if is_whole else await reader.order(order_id)
    # As they are stored, to the byte: no model is put between the journal and who reads it.
    events = ",".join(event.payload_json for event in stored)
    next_after = json.dumps(stored[-1].sequence if len(stored) == limit else None)
    archived = _archived(record, after or 0)
    body = f'{{"order_id":{json.dumps(order_id)},"events":[{events}],"next_after":{next_after},{archived}}}'
    return Response(body, media_type="application/json")


def _archived(record: OrderRecord | None, after: int) -> str:
    """What the journal says of the archive, as members of its JSON object."""
    through = record.archived_sequence if record is not None and record.archived_sequence > after else None
    files = record.archived_in if record is not None and through is not None else ()
    return f'"archived_through":{json.dumps(through)},"archived_in":{json.dumps(files)}'


@router.get(
    "/events",
    summary="A stream of what happens to all orders",
    operation_id="streamEvents",
    response_class=Response,
    responses={200: {"description": "A stream", "content": _STREAM}, **_PROBLEMS, **problems("position_unknown")},
    openapi_extra={"parameters": described(LastEventId)},
)
async def all_events(
    request: Request,
    web: Web,
    viewer: Viewer,
    *,
    after: Annotated[
        int | None, Query(ge=0, le=_POSITION_MAX, description="As Last-Event-ID, which wins; 0 is before all.")
    ] = None,
) -> Any:
    """Begins with what happens from now on, or behind `Last-Event-ID`."""
    if not wants_stream(request, unless_said=True):
        raise Problem("not_acceptable", f"this is a stream: accept {MEDIA_TYPE}")
    following = web.feed.of_all(_position(request, after, _POSITION_MAX))
    return await EventStream.open(following, web.stopping, refused=_refused(request, viewer))


def wants_stream(request: Request, *, unless_said: bool = False) -> bool:
    """Whether the client wants a stream: rather than JSON, or at all.

    Args:
        request: whose Accept is looked at.
        unless_said: whether there is nothing else, so that who accepts anything, or does not say, has a stream.
    """
    accept = header_of(request.headers, "accept")
    stream, exactness = weight_of(accept, *MEDIA_TYPE.split("/"))
    if unless_said:
        return stream > 0
    # Of two forms that are wanted alike it is the one that is named more exactly, and JSON where neither is.
    return (stream, exactness) > max(weight_of(accept, "application", "json"), (0.0, 3))


def _position(request: Request, after: int | None, most: int) -> int | None:
    """Where a stream goes on.

    Raises:
        Problem: the id is none of ours.
    """
    last_event_id = header_of(request.headers, "Last-Event-ID")
    if not last_event_id:
        return after
    is_number = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= len(str(most))
    if not is_number or int(last_event_id) > most:
        wrong = "is no id of an event here: leave it out to begin anew"
        raise Problem(
            "request_invalid", f"Last-Event-ID {wrong}", errors=[FieldError(wrong, parameter="Last-Event-ID")]
        )
    return int(last_event_id)


def _refused(request: Request, viewer: Identity) -> Callable[[], Coroutine[Any, Any, None]]:
    return partial(gate_of(request).until_refused, request, viewer)


async def _order_stream(
    request: Request, web: WebContext, viewer: Identity, order_id: str, after: int | None
) -> Response:
    async with web.feed.turns.turn(), web.clients.order_reader() as reader:
        is_recorded = await reader.journal(order_id) is not None
    if not is_recorded:
        try:
            await view_order(web.clients, order_id)
        except NotFoundError:
            raise Problem("order_not_found", f"nothing is known of an order {order_id!r}") from None
    following = web.feed.of_order(order_id, after or 0)
    return await EventStream.open(following, web.stopping, refused=_refused(request, viewer))
