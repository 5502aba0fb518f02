"""A published event as a line that a person reads."""

from typing import Any, Final

from orders.cli.rendering.moments import clock_text
from orders.cli.rendering.safe_markup import safe_markup
from orders.signatures.contents import vouched_words
from schemas.base import parse_rfc_3339
from schemas.outbound import OutboundType
from schemas.states import OrderState

_COLOURS: Final = {
    OrderState.COMPLETED.value: "green",
    OrderState.REJECTED.value: "red",
    OrderState.CANCELLED.value: "yellow",
    OrderState.EXPIRED.value: "yellow",
    OrderState.PAYMENT_DECLINED.value: "red",
    OrderState.SHIPPING_FAILED.value: "red",
    OrderState.REFUNDED.value: "yellow",
}


_CLOCK_WIDTH: Final = 12
_ORDER_WIDTH: Final = 28
EVENTS_HEADER: Final = f"[bold]{'at':<{_CLOCK_WIDTH}}  {'order':<{_ORDER_WIDTH}} seq  what, and what led to it[/bold]"
"""Above the lines of events."""


def event_line(event_type: str, body: dict[str, Any]) -> str:
    """One event, in rich's markup: when, which order, its sequence, what happened, and why.

    Raises:
        KeyError, TypeError, AttributeError: it is no event of ours.
    """
    clock, order_id = _clock(str(body["occurred_at"])), safe_markup(body["order_id"])
    what = f"{_what(event_type, body)}{_why(body)}"
    return f"[dim]{clock}[/dim]  {order_id:<{_ORDER_WIDTH}} {safe_markup(body['sequence']):>3}  {what}"


def _clock(occurred_at: str) -> str:
    try:
        return clock_text(parse_rfc_3339(occurred_at))
    except ValueError:
        return safe_markup(occurred_at[11:23])


def _what(event_type: str, body: dict[str, Any]) -> str:
    if event_type == OutboundType.ADDRESS_CHANGED:
        parts = [str(part) for part in body["address"].values() if part]
        return f"[cyan]address changed[/cyan] to {safe_markup(', '.join(parts))}"
    if event_type == OutboundType.EVENT_REJECTED:
        return f"[magenta]{safe_markup(body['cause']['type'])} refused[/magenta]"
    state = safe_markup(body["state"])
    colour = _COLOURS.get(state, "bold")
    return f"[{colour}]{state}[/{colour}]"


def _why(body: dict[str, Any]) -> str:
    """The reason, else the inbound event that led to it; and who decided."""
    cause = body.get("cause") or {}
    vouched = vouched_words(cause.get("verified_by"))
    by = f" by {safe_markup(cause['by'])}, {safe_markup(vouched)}" if cause.get("by") else ""
    if body.get("reason"):
        return f" [dim]({safe_markup(body['reason'])}{by})[/dim]"
    return f" [dim]← {safe_markup(cause['type'])}{by}[/dim]" if cause else ""
