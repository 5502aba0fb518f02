"""Holds an order's audit rows and published events to the invariants."""

from schemas.outbound import OutboundType
from schemas.states import InboundOutcome
from tests.helpers.fakes import InMemoryOrderStore, RecordingPublisher


def check_journal(store: InMemoryOrderStore, publisher: RecordingPublisher, order_id: str, sent: set[str]) -> None:
    """I1, I5, I7 and I8 for one order, as far as it has come.

    Args:
        store: holds the audit rows.
        publisher: holds what was published, repeats included.
        order_id: the order.
        sent: ids of the events that were sent and must be decided by now.
    """
    rows, published = store.events_of(order_id), publisher.events_of(order_id)
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1)), "I7: sequences have no gaps"
    assert published == rows, "I8: what is recorded is what is published, in order"
    payloads: dict[int, set[str]] = {}
    for event in publisher.published:
        if event.order_id == order_id:
            payloads.setdefault(event.sequence, set()).add(event.payload_json)
    assert all(len(variants) == 1 for variants in payloads.values()), "I7: repeats are byte-identical"

    state = None
    reached = []
    for row in rows:
        assert row.previous_state == state, f"event {row.sequence} starts where the one before ended"
        if row.type is OutboundType.STATE_CHANGED:
            reached.append(row.state)
        else:
            assert row.state == state
        state = row.state
    assert len(reached) == len(set(reached)), "no state is reached twice"
    assert all(not one.is_final for one in reached[:-1] if one), "nothing follows a final state"

    outcomes = store.orders[order_id].outcomes
    assert sent <= {event_id for event_id, _ in outcomes}, "I1: every event is decided"
    causes = {(row.cause.event_id, row.cause.type): row for row in rows if row.cause}
    assert len(causes) == sum(row.cause is not None for row in rows), "I5: an event has one effect"
    for identity, outcome in outcomes.items():
        rejected = causes[identity].type is OutboundType.EVENT_REJECTED
        assert outcome.outcome is (InboundOutcome.REJECTED if rejected else InboundOutcome.APPLIED)
        assert not rejected or outcome.reason == causes[identity].reason
