"""One order: where it is, and its record."""

from datetime import datetime

from fastapi import APIRouter, Depends, Request, Response

from activities.adapters.postgres.records import OrderRecord
from orders.operations.view import OrderView, view_order
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.fields import Answer, OrderId, Reason, State, Step, etag
from orders.web.api.parameters import ApiRoute
from orders.web.context import Web, context_of
from orders.web.identity import Role, requires
from orders.web.problems import Problem
from schemas.order import Address, Adjustment, Item
from schemas.states import OrderState

router = APIRouter(
    prefix="/orders", tags=["orders"], dependencies=[Depends(requires(Role.VIEWER))], route_class=ApiRoute
)

_ORDER = problems(*ALWAYS, "order_not_found")
_ETAG = {"ETag": {"description": "The order's last sequence, for If-Match.", "schema": {"type": "string"}}}


class OrderStatus(Answer):
    """Where an order is now."""

    order_id: str
    step: Step
    """Where its workflow is."""
    state: State | None
    """How far it is by its records."""
    reason: Reason | None
    waits_for: str | None
    """What has to happen next, in words; null once it is over."""
    waits_until: datetime | None
    """Until when it waits, on its own clock, as for approval; null where it waits without limit."""
    approved: bool | None
    """Whether it was approved; null where that is not known, as Postgres does not answer."""
    cancelled: bool
    held_events: int
    """How many events have arrived and are not decided."""
    payment_id: str | None
    amount: int | None
    """In minor units of the currency, such as cents."""
    currency: str | None
    address: Address | None
    tracking_id: str | None
    shipping_attempt: int
    """1 for the first; 0 before it."""
    last_sequence: int
    run: str
    """Status of its last run in Temporal: RUNNING, COMPLETED, FAILED …; GONE where Temporal has forgotten it."""
    failure: str | None
    """Why the last run failed."""

    @classmethod
    def of(cls, view: OrderView) -> "OrderStatus":
        """The answer for what an operation has found."""
        status = view.status
        return cls(
            **{name: getattr(status, name) for name in _SHARED},
            waits_until=status.waits_until,
            approved=view.approved,
            cancelled=status.state is OrderState.CANCELLED,
            run=view.run,
            failure=view.failure,
        )


_SHARED = (
    "order_id",
    "step",
    "state",
    "reason",
    "waits_for",
    "held_events",
    "payment_id",
    "amount",
    "currency",
    "address",
    "tracking_id",
    "shipping_attempt",
    "last_sequence",
)
"""What the workflow's own answer has under the same names."""


class Order(Answer):
    """An order as it is recorded."""

    order_id: str
    state: State
    reason: Reason | None
    payment_id: str
    customer_id: str | None
    amount: int
    """In minor units of the currency, adjustments included."""
    is_priced: bool
    """Whether the order said what it costs; otherwise its amount is 0."""
    currency: str
    items: tuple[Item, ...]
    adjustments: tuple[Adjustment, ...]
    address: Address
    tracking_id: str | None
    approval_deadline: datetime | None
    """Until when approval was awaited; null before that."""
    decided_by: str | None
    """Who approved or cancelled it, where the message said so."""
    last_sequence: int
    archived_sequence: int
    """Its events up to this one are in the archive; 0 where none is."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: OrderRecord) -> "Order":
        """The answer for a row."""
        details = record.details
        return cls(
            order_id=record.order_id,
            state=record.state,
            reason=record.reason,
            payment_id=details.payment_id,
            customer_id=details.customer_id,
            amount=details.amount,
            is_priced=details.is_priced,
            currency=details.currency,
            items=details.items,
            adjustments=details.adjustments,
            address=details.address,
            tracking_id=record.tracking_id,
            approval_deadline=record.approval_deadline,
            decided_by=record.decided_by,
            last_sequence=record.last_sequence,
            archived_sequence=record.archived_sequence,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )


@router.get(
    "/{order_id}/status",
    summary="Where an order is",
    operation_id="getOrderStatus",
    response_model=OrderStatus,
    responses={200: {"headers": _ETAG}, **_ORDER},
)
async def status(order_id: OrderId, request: Request) -> Response:
    """Asks the order's workflow; once that is over, what is recorded."""
    view = await view_order(context_of(request).clients, order_id)
    # Written here, as FastAPI would first validate what is made from a model that was validated just now.
    headers = {"ETag": etag(view.status.last_sequence)}
    return Response(OrderStatus.of(view).model_dump_json(), headers=headers, media_type="application/json")


@router.get("/{order_id}", summary="An order", operation_id="getOrder", responses={200: {"headers": _ETAG}, **_ORDER})
async def order(order_id: OrderId, web: Web, response: Response) -> Order:
    """The order as it is recorded; it is there about a tenth of a second after it was started."""
    async with web.clients.order_reader() as reader:
        record = await reader.order(order_id)
    if record is None:
        raise Problem(
            "order_not_found",
            f"nothing is recorded of an order {order_id!r}; if it was just started, see /orders/{order_id}/status",
        )
    response.headers["ETag"] = etag(record.last_sequence)
    return Order.of(record)
