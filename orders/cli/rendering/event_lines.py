"""A published event as a line that a person reads."""

from typing import Any, Final

from rich.markup import escape

from orders.safe_text import safe_text
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


def event_line(event_type: str, body: dict[str, Any]) -> str:
    """One event, in rich's markup: when, which order, its sequence, what happened, and why.

    Raises:
        KeyError, TypeError, AttributeError: it is no event of ours.
    """
    clock = str(body["occurred_at"])[11:23]
    what = _what(event_type, body)
    return f"[dim]{escape(clock)}[/dim]  {escape(body['order_id']):<28} {body['sequence']:>3}  {what}{_why(body)}"


def _what(event_type: str, body: dict[str, Any]) -> str:
    if event_type == OutboundType.ADDRESS_CHANGED:
        parts = [str(part) for part in body["address"].values() if part]
        return f"[cyan]address changed[/cyan] to {escape(', '.join(parts))}"
    if event_type == OutboundType.EVENT_REJECTED:
        return f"[magenta]{escape(body['cause']['type'])} refused[/magenta]"
    state = escape(body["state"])
    colour = _COLOURS.get(state, "bold")
    return f"[{colour}]{state}[/{colour}]"


def _why(body: dict[str, Any]) -> str:
    """The reason, else the inbound event that led to it; and who decided."""
    cause = body.get("cause") or {}
    by = f" by {escape(safe_text(cause['by']))}" if cause.get("by") else ""
    if body.get("reason"):
        return f" [dim]({escape(body['reason'])}{by})[/dim]"
    return f" [dim]← {escape(cause['type'])}{by}[/dim]" if cause else ""
