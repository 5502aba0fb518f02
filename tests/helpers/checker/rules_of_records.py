"""What must hold for every record that came in: its fate, its offset, its dead letter, its workflow runs."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from schemas.outbound import OutboundType
from schemas.states import FINAL_STATES
from tests.helpers.checker.evidence import is_pointer
from tests.helpers.checker.facts import Facts, Violation
from tests.helpers.messages.kafka_io import Header, StoredRecord

ORDER_WORKFLOW = "OrderWorkflow"
POINTER_SOURCE_MIN_BYTES = 512 * 1024
"""What is smaller than the bridge's own limit is kept whole."""


def offsets_within_the_log(facts: Facts) -> Iterator[Violation]:
    """I2: a committed offset never exceeds the end."""
    for partition in facts.evidence.offsets:
        name = f"{partition.topic}/{partition.partition}"
        if partition.committed is not None and partition.committed > partition.end:
            yield Violation("I2", name, f"committed {partition.committed} is beyond the end {partition.end}")


def commits_never_go_back(facts: Facts) -> Iterator[Violation]:
    """I2: a commit that goes back is of an assignment that has ended, or undoes what its own has settled."""
    last: dict[tuple[str, int], int] = {}
    for commit in facts.evidence.commits:
        before = last.get((commit.topic, commit.partition), 0)
        if commit.next_offset < before:
            name = f"{commit.topic}/{commit.partition}"
            yield Violation("I2", name, f"committed {commit.next_offset} after {before}")
        last[commit.topic, commit.partition] = commit.next_offset


def offsets_reach_the_end(facts: Facts) -> Iterator[Violation]:
    """I2: once drained everything is committed (and `one_fate_each` then holds that all below it is settled)."""
    for partition in facts.evidence.offsets:
        if not partition.drained:
            name = f"{partition.topic}/{partition.partition}"
            yield Violation("I2", name, f"committed {partition.committed}, but the end is {partition.end}")


def one_fate_each(facts: Facts) -> Iterator[Violation]:
    """I1, I9: each record has exactly one fate."""
    for record in facts.evidence.inputs:
        identity = facts.evidence.identity_of(record)
        row = facts.inbound.get(identity) if identity is not None else None
        set_aside = record.coordinates in facts.letters
        name = "{}:{}:{}".format(*record.coordinates)
        if row is None and not set_aside:
            lost = "I1" if identity is None else "I9"
            yield Violation(lost, name, f"lost: {identity} is neither in inbound_events nor in the dead letters")
        if row is not None and set_aside and identity is not None and len(facts.identified[identity]) == 1:
            yield Violation("I1", name, f"two fates: {row.outcome} and dead-lettered")
    for known in facts.inbound:
        if known not in facts.identified:
            yield Violation("I1", known[0], f"inbound_events has {known[1]!r}, which no record says")


def effects_follow_offsets(facts: Facts) -> Iterator[Violation]:
    """I3: per order and partition, effects follow the order of offsets.

    Refusals after the order's end are left out: they change nothing, and independent runs give them.
    """
    for order_id, bodies in facts.first_bodies.items():
        last_offset: dict[tuple[str, int], int] = {}
        for body in bodies:
            cause = body.get("cause") or {}
            records = facts.identified.get((order_id, str(cause.get("event_id")), str(cause.get("type"))))
            if not records or body.get("previous_state") in FINAL_STATES:
                continue
            partition, offset = (records[0].topic, records[0].partition), records[0].offset
            if last_offset.get(partition, -1) > offset:
                yield Violation(
                    "I3", order_id, f"sequence {body['sequence']} has the effect of offset {offset} of {partition} "
                    f"after that of {last_offset[partition]}",
                )  # fmt: skip
            last_offset[partition] = offset


def one_completed_run(facts: Facts) -> Iterator[Violation]:
    """I4: at most one completed run per order."""
    completed = Counter(
        run.order_id for run in facts.evidence.runs if run.type == ORDER_WORKFLOW and run.status == "COMPLETED"
    )
    for order_id, count in completed.items():
        if count > 1:
            yield Violation("I4", order_id, f"{count} completed runs")


def every_order_ended(facts: Facts) -> Iterator[Violation]:
    """LIFE, I9: once drained every order is at its end, with one completed run and no other open."""
    statuses = defaultdict(list)
    for run in facts.evidence.runs:
        if run.type == ORDER_WORKFLOW:
            statuses[run.order_id].append(run.status)
        if run.status not in {"COMPLETED", "CONTINUED_AS_NEW", "FAILED"}:
            yield Violation("LIFE", run.order_id, f"its {run.type} is {run.status}")
    known = {row.order_id for row in facts.evidence.orders if row.state is not None}
    for row in facts.evidence.orders:
        if row.state not in {None, *FINAL_STATES}:
            yield Violation("LIFE", row.order_id, f"stopped in {row.state}")
    for order_id in known:
        if statuses[order_id].count("COMPLETED") != 1:
            yield Violation("LIFE", order_id, f"is known, but its runs are {statuses[order_id]}")
    for order_id in statuses.keys() - known:
        if set(statuses[order_id]) != {"FAILED"}:
            yield Violation("LIFE", order_id, f"was never received, but its runs are {statuses[order_id]}")


def effects_happen_once(facts: Facts) -> Iterator[Violation]:
    """I5: an event has each effect once, and is recorded."""
    for (order_id, event_id, event_type), found in facts.effects.items():
        repeated = [effect for effect, count in Counter(found).items() if count > 1]
        if repeated:
            yield Violation("I5", order_id, f"{event_id!r} had its effect more than once: {repeated}")
        if (order_id, event_id, event_type) not in facts.inbound:
            yield Violation("I5", order_id, f"{event_id!r} had an effect, but is not in inbound_events")


def effects_are_what_was_recorded(facts: Facts) -> Iterator[Violation]:
    """I5, I9: what an event led to is what inbound_events says of it."""
    for (order_id, event_id, event_type), row in facts.inbound.items():
        found = facts.effects.get((order_id, event_id, event_type), [])
        rejections = [effect for effect in found if effect.startswith(OutboundType.EVENT_REJECTED)]
        if row.outcome == "rejected" and len(found) != 1:
            yield Violation("I9", order_id, f"{event_id!r} was rejected, but what it led to is {found}")
        if row.outcome == "applied" and rejections:
            yield Violation("I5", order_id, f"{event_id!r} was applied, and refused as well: {found}")
        if row.outcome == "applied" and not found:
            yield Violation("I9", order_id, f"{event_id!r} was applied, but led to nothing")


def dead_letters_hold_their_source(facts: Facts) -> Iterator[Violation]:
    """I15: a dead letter names its source, and holds its key, value and headers to the byte."""
    sources = {record.coordinates: record for record in facts.evidence.inputs}
    for origin, letters in facts.letters.items():
        source = sources.get(origin) if origin is not None else None
        for letter in letters:
            if source is None:
                yield Violation("I15", str(letter.coordinates), f"names the source {origin}, which is no input record")
                continue
            name = "{}:{}:{}".format(*source.coordinates)
            if is_pointer(letter):
                if _size_bytes(source) < POINTER_SOURCE_MIN_BYTES:
                    yield Violation("I15", name, "its dead letter is a pointer, though it is not large")
            elif (letter.key, letter.value) != (source.key, source.value):
                yield Violation("I15", name, "its dead letter has another key or value")
            elif letter.headers[: len(source.headers)] != _kept_headers(source):
                yield Violation("I15", name, "its dead letter has not the source's headers first and in order")
            missing = [part for part in ("error_code", "message") if not letter.header(f"dlq_{part}")]
            if missing:
                yield Violation("I15", name, f"its dead letter does not say its {missing}")


def _kept_headers(source: StoredRecord) -> tuple[Header, ...]:
    """The source's headers as a dead letter keeps them: a forged one stands under a name that is not ours."""
    return tuple((f"original_{name}" if name.startswith("dlq_") else name, value) for name, value in source.headers)


def _size_bytes(record: StoredRecord) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def nothing_confidential_is_told(facts: Facts) -> Iterator[Violation]:
    """I16: no secret and no personal data in logs and in dead letters' own headers."""
    places = dict(facts.evidence.logs)
    for letter in facts.evidence.dead_letters:
        own = b" ".join(value or b"" for name, value in letter.headers if name.startswith("dlq_"))
        places[f"dead letter {letter.coordinates}"] = own.decode("utf-8", "replace")
    for place, text in places.items():
        for secret in facts.evidence.confidential:
            if secret in text:
                yield Violation("I16", place, f"holds the confidential text {secret!r}")
