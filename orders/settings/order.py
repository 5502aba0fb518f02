"""Settings of orders, and the policy that each workflow takes along."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, Field

from orders.settings.contradictions import too_short
from orders.settings.types import Seconds, span
from schemas.base import AMOUNT_MAX
from schemas.order import OrderPolicy

PREPARED_TOLD_AFTER: Final = timedelta(seconds=1)
"""Longer than a carrier mostly takes for its answer, so that few orders have a signal and a record of their own for the
package: 14 events of 85 and 3 workflow tasks of 15 (measured 2026-11-26). Short for a person who waits for the news."""


class OrderSettings(BaseModel):
    """The order's rules, handed to each workflow as its policy when it starts."""

    order_approval_timeout_seconds: Seconds = Field(
        30, description="How long approval is awaited before the order is EXPIRED."
    )
    order_early_event_ttl_seconds: Seconds = Field(
        900, description="How long events that came before their order.created wait for it."
    )
    order_expiry_wait_max_seconds: float = Field(
        86_400,
        ge=0,
        le=315_360_000,
        description=(
            "Longest that an order waits at the end of either time until what was in Kafka by then has been handed "
            "over by the bridge, as that may hold its approval or its order.created. 0 where no bridge runs."
        ),
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
    order_provider_time_allowed_seconds: Seconds = Field(
        600,
        description=(
            "How long the calls of a charge, or of one step of a shipping attempt, may go on without a known outcome: "
            "then the charge is voided or given back, or the shipping attempt is lost. Only these calls and the pauses "
            "between them count: no time in a queue, without a worker or Postgres, or with a key that the provider "
            "refuses."
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
    order_amount_required: bool | None = Field(
        None,
        description=(
            "Whether an order without amount, items and adjustments is REJECTED (amount_missing), where it would be "
            "charged 0. By default in production, and not in development."
        ),
    )
    order_amount_max: int = Field(
        AMOUNT_MAX, ge=0, le=AMOUNT_MAX, description="Highest total, in minor units; an order above it is REJECTED."
    )

    def order_policy(self, *, search_attributes: bool) -> OrderPolicy:
        """What a workflow is told when it starts, so that it never reads the environment.

        Args:
            search_attributes: whether orders can be searched in Temporal, which is a setting of Temporal's.
        """
        return OrderPolicy(
            approval_timeout=span(self.order_approval_timeout_seconds),
            early_event_time_to_live=span(self.order_early_event_ttl_seconds),
            expiry_wait_max=span(self.order_expiry_wait_max_seconds) if self.order_expiry_wait_max_seconds else None,
            shipping_attempts=self.order_shipping_attempts,
            shipping_retry_delay=span(self.order_shipping_retry_delay_seconds),
            activity_start_to_close=span(self.order_activity_start_to_close_seconds),
            provider_time_allowed=span(self.order_provider_time_allowed_seconds),
            retry_initial_interval=span(self.order_retry_initial_interval_seconds),
            retry_maximum_interval=span(self.order_retry_maximum_interval_seconds),
            search_attributes=search_attributes,
            prepared_told_after=PREPARED_TOLD_AFTER,
        )

    @property
    def order_run_timeout(self) -> timedelta | None:
        """The longest that a workflow run may take; None for no limit."""
        return None if self.order_run_timeout_seconds is None else span(self.order_run_timeout_seconds)


_NOT_LONGER: Final = (
    ("order_activity_start_to_close_seconds", "order_provider_time_allowed_seconds"),
    ("order_retry_initial_interval_seconds", "order_retry_maximum_interval_seconds"),
    # A run that ends before its order could be approved, or its first event come, is cut off for no fault of its own.
    ("order_approval_timeout_seconds", "order_run_timeout_seconds"),
    ("order_early_event_ttl_seconds", "order_run_timeout_seconds"),
)


def contradictions(settings: OrderSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant."""
    yield from too_short(settings, _NOT_LONGER)
