"""The port `InboundBacklog` in memory: held to the same contract suite as the one on Kafka."""

from collections.abc import Collection

from activities.ports import InboundBacklog, KafkaUnavailableError
from schemas.activity_io import Backlog
from schemas.event_types import EventType
from tests.helpers.fakes import Unreliable


class InMemoryInboundBacklog(Unreliable, InboundBacklog):
    """A topic of one partition for each type of event, and a bridge that hands over when it is told to."""

    default_failure = staticmethod(lambda: KafkaUnavailableError("Kafka does not answer"))

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[EventType, list[str]] = {event_type: [] for event_type in EventType}
        """The order of each record; its place is its offset."""
        self._waiting: dict[EventType, set[int]] = {event_type: set() for event_type in EventType}

    def produce(self, order_id: str, event_type: EventType) -> int:
        """Adds a record that is not handed over, and returns its offset."""
        self._records[event_type].append(order_id)
        offset = len(self._records[event_type]) - 1
        self._waiting[event_type].add(offset)
        return offset

    def hand_over(self, event_type: EventType, *offsets: int) -> None:
        """Says that these records, or all where none is named, are handed over."""
        self._waiting[event_type] -= set(offsets) or set(range(len(self._records[event_type])))

    def hand_over_all_of(self, order_id: str) -> None:
        """Says that all of an order's records are handed over."""
        for event_type, orders in self._records.items():
            self._waiting[event_type] -= {offset for offset, one in enumerate(orders) if one == order_id}

    async def find(self, order_id: str, event_types: Collection[EventType]) -> tuple[Backlog, ...]:
        await self._enter("find")
        found = tuple(
            Backlog(topic=event_type.value, partition=0, end=len(self._records[event_type]), records=0)
            for event_type in event_types
        )
        return self._left_of(order_id, found)

    async def left_of(self, order_id: str, backlog: tuple[Backlog, ...]) -> tuple[Backlog, ...]:
        await self._enter("left_of")
        return self._left_of(order_id, backlog)

    def _left_of(self, order_id: str, backlog: tuple[Backlog, ...]) -> tuple[Backlog, ...]:
        left = []
        for one in backlog:
            event_type = EventType(one.topic)
            waiting = [offset for offset in self._waiting[event_type] if offset < one.end]
            if any(self._records[event_type][offset] == order_id for offset in waiting):
                left.append(one.model_copy(update={"records": len(waiting)}))
        return tuple(left)
