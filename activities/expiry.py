"""What is asked before an order expires, or before events are refused whose order never came."""

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.errors import NOT_HANDED_OVER, as_application_errors
from activities.ports import InboundBacklog
from schemas.activity_io import AwaitBacklog, FindBacklog, FoundBacklog


class ExpiryActivities:
    """Asks whether everything that was in Kafka at a deadline has been handed over to Temporal.

    An event that was in Kafka in time counts as in time, however long the bridge, Kafka or Temporal were away since.
    """

    def __init__(self, backlog: InboundBacklog) -> None:
        self._backlog = backlog

    @activity.defn
    async def find_backlog(self, request: FindBacklog) -> FoundBacklog:
        """What is in Kafka by now, could decide the order otherwise, and is not handed over."""
        with as_application_errors():
            found = await self._backlog.find(request.order_id, request.event_types)
        return FoundBacklog(partitions=found)

    @activity.defn
    async def await_backlog(self, request: AwaitBacklog) -> None:
        """Returns once the backlog is handed over; until then it fails, and Temporal asks again.

        So a wait of hours adds nothing to the workflow's history, takes no place in a worker, and Temporal shows it
        with what it waits for.

        Raises:
            ApplicationError: of type `NOT_HANDED_OVER`.
        """
        with as_application_errors():
            left = await self._backlog.left_of(request.order_id, request.partitions)
            if left:
                told = ", ".join(one.in_words for one in left)
                # Benign: the workflow has logged the wait, and Temporal shows it; a line an attempt would say no more.
                raise ApplicationError(
                    f"not handed over to Temporal yet: {told}",
                    type=NOT_HANDED_OVER,
                    category=ApplicationErrorCategory.BENIGN,
                )
