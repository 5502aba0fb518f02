"""What each dead letter would do to its order if it were replayed now.

It is read as the bridge would read it, and decided by the workflow's rules. The answer is of this moment: the order may
change before the record is there, and then the workflow decides anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bridge import Refusal
from bridge.dead_letters.letter import Letter
from bridge.dead_letters.replay_headers import replay_headers
from bridge.engine.translation import translate
from bridge.record import Record
from orders.clients.opened import Clients
from orders.clients.topic_scan import topic_scan
from orders.mapping import OrderMapping
from orders.operations.dead_letters.finding import dead_letter_scan, get_letters
from orders.operations.dead_letters.replay_plan import Planned
from orders.operations.dead_letters.selection import Place
from orders.operations.dead_letters.source import SourceGoneError, fetch_source
from orders.operations.messages import order_id_in
from schemas.activity_io import EventOutcome
from schemas.event_types import EventType
from schemas.states import OrderState, OrderStep, ReasonCode
from workflows.life.steps import NEXT_STEPS, STEPS, Verdict

LOOKED_AT_MAX: Final = 500
"""Most records of one dry run whose orders are looked up."""


class Effect(StrEnum):
    """What would come of a record."""

    APPLIED = "applied"
    STARTS = "starts"
    """It is the order.created of an order that is not there."""
    HELD = "held"
    """It would wait: for its order, or for the step that takes it."""
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    SET_ASIDE = "set_aside"
    """It would become a dead letter again."""
    GONE = "gone"
    """The record cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would come of one dead letter."""

    place: Place
    first_identity: str
    """Of the record that was set aside first: the same in every dead letter that a replay of it becomes."""
    to: str
    """Topic and partition that it goes back to."""
    order_id: str | None
    event_id: str | None
    event_type: EventType | None
    state: OrderState | None
    """The order's, now; None where nothing is recorded of it."""
    effect: Effect
    reason: str | None = None
    """The code of a refusal, or a sentence where the record is gone."""


@dataclass(frozen=True, slots=True)
class _Event:
    """A record that the bridge would hand over."""

    order_id: str
    event_id: str
    event_type: EventType


async def prospects(clients: Clients, planned: Sequence[Planned]) -> tuple[Prospect, ...]:
    """What would come of each of the first `LOOKED_AT_MAX` dead letters of a plan, in its order.

    Raises:
        UnreachableError: Kafka or Postgres does not answer.
        NotFoundError: one of them was purged meanwhile.
    """
    looked_at = planned[:LOOKED_AT_MAX]
    mapping = clients.settings.order_mapping()
    found: list[tuple[Planned, _Event | Refusal | None, str | None, str | None]] = []
    async with (
        dead_letter_scan(clients) as scan,
        topic_scan(clients, clients.settings.inbound_topics.values()) as sources,
    ):
        places = [one.place for one in looked_at]
        letters = await get_letters(scan, clients.settings.kafka_topic_dead_letters, places)
        for one in looked_at:
            letter = letters[one.place]
            try:
                source = await fetch_source(sources, one.origin) if letter.is_pointer else letter.record
            except SourceGoneError as error:
                found.append((one, None, None, str(error)))
                continue
            event, order_id = _read(mapping, one, letter, source)
            found.append((one, event, order_id, None))
    return tuple([await _prospect(clients, *one) for one in found])


def _read(
    mapping: OrderMapping, planned: Planned, letter: Letter, source: Record
) -> tuple[_Event | Refusal, str | None]:
    """What the bridge would make of the record that is sent, and which order it names."""
    headers = letter.source_headers if source is letter.record else source.headers
    source = replace(source, headers=headers)
    sent = replace(
        source,
        topic=planned.topic,
        partition=planned.partition,
        offset=planned.origin.offset,
        timestamp_ms=planned.origin.timestamp_ms,
        headers=replay_headers(source, planned.first_identity, planned.replay_count + 1),
        defect=None,
    )
    translated = translate(sent, mapping)
    if isinstance(translated, Refusal):
        return translated, order_id_in(source.value or b"")
    event_type = mapping.event_type_of(planned.topic)
    event = _Event(translated.argument.order_id, translated.signal_argument.event_id, event_type)
    return event, event.order_id


async def _prospect(
    clients: Clients, planned: Planned, event: _Event | Refusal | None, order_id: str | None, gone: str | None
) -> Prospect:
    where = (planned.place, planned.first_identity, f"{planned.topic}:{planned.partition}")
    if event is None or isinstance(event, Refusal):
        effect = Effect.GONE if event is None else Effect.SET_ASIDE
        reason = gone if event is None else str(event.code)
        return Prospect(*where, order_id, None, None, None, effect, reason)
    async with clients.order_reader() as reader:
        order = await reader.order(event.order_id)
        decided = await reader.inbound_event(event.order_id, event.event_type, event.event_id)
    state = None if order is None else order.state
    effect, code = effect_on(event.event_type, state, decided)
    return Prospect(*where, event.order_id, event.event_id, event.event_type, state, effect, code)


def effect_on(
    event_type: EventType, state: OrderState | None, decided: EventOutcome | None
) -> tuple[Effect, ReasonCode | None]:
    """What the workflow's rules make of a valid event.

    Args:
        event_type: what happened.
        state: the order's recorded one; None where there is no order.
        decided: how an event with this id and type was decided before; None where none was.
    """
    if decided is not None:
        return Effect.DUPLICATE, None
    if state is None:
        return (Effect.STARTS if event_type is EventType.ORDER_CREATED else Effect.HELD), None
    step = OrderStep(state) if state.is_final else NEXT_STEPS[state]
    rule = STEPS[step].rules[event_type]
    if isinstance(rule, ReasonCode):
        return Effect.REFUSED, rule
    return _OF_VERDICTS[rule], None


_OF_VERDICTS: Final[Mapping[Verdict, Effect]] = {
    Verdict.APPLY: Effect.APPLIED,
    Verdict.HOLD: Effect.HELD,
    Verdict.DUPLICATE: Effect.DUPLICATE,
    Verdict.REJECT: Effect.REFUSED,
}
