"""What Temporal does for every activity, for tests that ask a store themselves: who gets no answer in time asks anew.

Whoever writes to one order takes turns. Twenty at once take a tenth of a second, and on a busy machine the last of them
may wait for longer than a store waits for the database.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from activities.ports import DatabaseUnavailableError
from tests.helpers.system.waiting import answered

Value = TypeVar("Value")

ANSWERED_WITHIN_SECONDS: Final = 60.0


async def patiently(call: Callable[[], Awaitable[Value]], unanswered: list[Exception] | None = None) -> Value:
    """Repeats a call as long as the database does not answer in time.

    Args:
        call: Made anew for each attempt. It may have had its effect though it was not answered.
        unanswered: Gets the error of each attempt that was not answered.
    """

    def passes(error: Exception) -> bool:
        is_passing = isinstance(error, DatabaseUnavailableError)
        if is_passing and unanswered is not None:
            unanswered.append(error)
        return is_passing

    return await answered(call, passes, within_seconds=ANSWERED_WITHIN_SECONDS)
