"""The search attributes by which Temporal finds an order. Pure.

Temporal stores and shows search attributes without encryption, whatever codec is set: no personal data stands in them.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate, TypedSearchAttributes

from schemas.base import IDENTIFIER_PATTERN
from workflows.life.state import OrderRunState
from workflows.life.steps import STEPS

ORDER_STEP: Final = SearchAttributeKey.for_keyword("OrderStep")
"""The last step at which the order waited for a message or ended (`is_shown`); what it does since then, the ``status``
query shows as ``step``, and the database as its state."""

ORDER_STEP_SINCE: Final = SearchAttributeKey.for_datetime("OrderStepSince")
"""When the run came to that step."""

ORDER_CUSTOMER_ID: Final = SearchAttributeKey.for_keyword("OrderCustomerId")
"""Whose order it is, where the id is an opaque one."""

ORDER_PAYMENT_ID: Final = SearchAttributeKey.for_keyword("OrderPaymentId")

SEARCH_ATTRIBUTES: Final[tuple[SearchAttributeKey[Any], ...]] = (
    ORDER_STEP,
    ORDER_STEP_SINCE,
    ORDER_CUSTOMER_ID,
    ORDER_PAYMENT_ID,
)
"""All of ours. Three keywords: Temporal on SQL databases has room for ten in a namespace."""

_OPAQUE_ID: Final = re.compile(IDENTIFIER_PATTERN)
"""What order and payment ids look like. An e-mail address, a telephone number with its plus and a name with a space do
not, and stay out of the search."""


def is_shown(state: OrderRunState) -> bool:
    """Whether the run is shown as it is now: where it waits for a message until a deadline, and at its end.

    Each change is a command, an event of the history and a write of Temporal's visibility store, and a billed action on
    Temporal Cloud. A happy order has two.
    """
    row = STEPS[state.step]
    return row.is_end or (state.is_looked_up and row.deadline is not None)


def changed_attributes(
    state: OrderRunState, shown: TypedSearchAttributes, now: datetime
) -> list[SearchAttributeUpdate[Any]]:
    """The changes by which the run is found as it is now; none where it is shown so already.

    Args:
        state: the run's.
        shown: the run's attributes so far; a run that continues another begins with the other's.
        now: the workflow's time.
    """
    updates: list[SearchAttributeUpdate[Any]] = [
        key.value_set(value) for key, value in _values(state).items() if shown.get(key) != value
    ]
    if any(update.key == ORDER_STEP for update in updates):
        updates.append(ORDER_STEP_SINCE.value_set(now))
    return updates


def _values(state: OrderRunState) -> Mapping[SearchAttributeKey[str], str]:
    values = {ORDER_STEP: str(state.step)}
    if state.details is not None:
        values[ORDER_PAYMENT_ID] = state.details.payment_id
        customer_id = state.details.customer_id
        if customer_id is not None and _OPAQUE_ID.fullmatch(customer_id):
            values[ORDER_CUSTOMER_ID] = customer_id
    return values
