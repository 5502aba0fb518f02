"""Settings of orders."""

from pydantic import BaseModel, Field

from orders.settings.types import Seconds
from schemas.base import AMOUNT_MAX


class OrderSettings(BaseModel):
    """The order's rules, handed to each workflow as its policy when it starts."""

    order_approval_timeout_seconds: Seconds = Field(
        30, description="How long approval is awaited before the order is EXPIRED."
    )
    order_early_event_ttl_seconds: Seconds = Field(
        900, description="How long events that came before their order.created wait for it."
    )
    order_shipping_attempts: int = Field(
        3, ge=1, le=100, description="How often shipping is tried before the payment is refunded."
    )
    order_shipping_retry_delay_seconds: Seconds = Field(
        2, description="Between the end of a failed shipping attempt and the next."
    )
    order_activity_start_to_close_seconds: Seconds = Field(
        4, description="Longest that one attempt of one activity may take."
    )
    order_activity_schedule_to_close_seconds: Seconds = Field(
        600,
        description=(
            "Longest that all tries of a charge, or of one step of a shipping attempt, may take together: the charge's "
            "outcome is then unknown and it is voided, or given back; the shipping attempt is lost. All other "
            "activities, refunds included, are retried without limit."
        ),
    )
    order_retry_initial_interval_seconds: Seconds = Field(
        0.2, description="Before an activity's second attempt; doubled each time."
    )
    order_retry_maximum_interval_seconds: Seconds = Field(
        10, description="Longest pause between two attempts of an activity."
    )
    order_run_timeout_seconds: Seconds | None = Field(
        None,
        description=(
            "Ends a workflow run that takes longer, whatever it is doing. Off by default: "
            "a run that is cut off answers nobody and refunds nothing."
        ),
    )
    order_amount_max: int = Field(
        AMOUNT_MAX, ge=0, le=AMOUNT_MAX, description="Highest total, in minor units; an order above it is REJECTED."
    )
