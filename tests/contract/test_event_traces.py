"""An event keeps the trace that it was recorded in: every `OrderStore`, and the way out."""

from contextlib import AbstractContextManager, nullcontext

from activities.ports import OrderStore
from activities.tracing import Trace, traced_by
from schemas.activity_io import PublishEvents
from schemas.event_types import EventType
from schemas.outbound import Cause
from schemas.states import OrderState
from tests.helpers.messages.journal_entries import batch, reached


class OneTrace(Trace):
    """A trace that says of each event what it is given."""

    def __init__(self, own: str, **causes: str) -> None:
        self._own, self._causes = own, causes

    def of_event(self, cause: str | None) -> str:
        return self._own if cause is None else self._causes.get(cause, self._own)

    def requesting(self, method: str, server: str) -> AbstractContextManager[str]:  # noqa: ARG002 -- the port's
        return nullcontext(self._own)

    def sending(self, topic: str, traceparent: str | None) -> AbstractContextManager[None]:  # noqa: ARG002 -- the port's
        return nullcontext()


async def test_an_event_that_is_recorded_without_a_trace_has_none(store: OrderStore, order_id: str) -> None:
    stored = await store.record(batch(order_id, reached(order_id, 1, OrderState.RECEIVED)))
    assert [event.traceparent for event in stored] == [None]


async def test_a_repeat_in_another_trace_keeps_the_first_one_s(store: OrderStore, order_id: str) -> None:
    received = batch(order_id, reached(order_id, 1, OrderState.RECEIVED))
    with traced_by(OneTrace("first")):
        first = await store.record(received)
    with traced_by(OneTrace("second")):
        assert await store.record(received) == first
    assert await store.record(received) == first
    assert [event.traceparent for event in first] == ["first"]


async def test_an_event_has_the_trace_of_its_cause(store: OrderStore, order_id: str) -> None:
    caused = reached(order_id, 2, OrderState.VALIDATED).model_copy(
        update={"cause": Cause(event_id="e-7", type=EventType.ORDER_APPROVED)}
    )
    both = PublishEvents(order_id=order_id, events=(reached(order_id, 1, OrderState.RECEIVED), caused))
    with traced_by(OneTrace("own", **{"e-7": "approval"})):
        stored = await store.record(both)
    assert [event.traceparent for event in stored] == ["own", "approval"]
    assert await store.record(PublishEvents(order_id=order_id)) == stored
