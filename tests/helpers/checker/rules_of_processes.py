"""What must hold for the processes themselves: how they end, how much they hold, that they go on after an outage."""

import math
import signal
from collections.abc import Iterator
from statistics import median

from tests.helpers.checker.evidence import Coordinates
from tests.helpers.checker.facts import Facts, Violation

STOPPED_WITHIN_SECONDS = 25.0
"""I13."""
ABORTED = (-signal.SIGABRT, 128 + signal.SIGABRT)
"""What an interpreter ends with whose native threads outlive it."""
CONTINUES_WITHIN_SECONDS = 30.0
"""I12."""
DELAY_MAX_SECONDS = 1.0
"""I10."""
COMPARED_MIN = 5
"""Fewer good records behind bad ones say nothing of the bad ones."""
BEHIND = 3
"""A record is behind a bad one that is so many offsets before it at most."""
CONTEMPORARIES_SECONDS = 0.1
"""Records of a topic that were produced so close together have met the same outages."""
TROUBLE = ("bridge.dependency.lost", "bridge.dependency.misconfigured", "bridge.drained", "process.stopping")
HELD_FIELDS = ("records_left", "records_dropped", "records_held_peak")


def processes_end_as_they_are_told(facts: Facts) -> Iterator[Violation]:
    """I10, I13: no process ends by itself; one that is told to ends with its own status, in time, and never aborts."""
    for end in facts.evidence.ends:
        first, *others = end.signals or ("",)
        if end.status in ABORTED:
            yield Violation("I13", end.name, f"aborted: status {end.status}")
        elif first == "":
            if not end.may_end:
                yield Violation("I10", end.name, f"ended by itself, with {end.status}")
        elif "SIGKILL" in end.signals:
            continue
        elif others:
            # Whether the second signal came in time to find it still stopping is a matter of luck.
            if end.status not in {end.expected_status, *(128 + signal.Signals[name] for name in others)}:
                yield Violation("I13", end.name, f"told twice, it left with {end.status}")
        elif end.status != end.expected_status:
            yield Violation("I13", end.name, f"told to stop, it left with {end.status}, not {end.expected_status}")
        elif end.stopping_seconds > STOPPED_WITHIN_SECONDS:
            yield Violation("I13", end.name, f"took {end.stopping_seconds:.1f} s to stop")


def records_held_are_bounded(facts: Facts) -> Iterator[Violation]:
    """I11: what a bridge says that it held is never more than it may hold."""
    limit = facts.evidence.records_held_max
    for line in facts.bridge_lines:
        held = max((int(line.fields.get(name) or 0) for name in HELD_FIELDS), default=0)
        if held > limit:
            yield Violation("I11", line.process, f"{line.event}: held {held} records, and may hold {limit}")


def work_goes_on_after_an_outage(facts: Facts) -> Iterator[Violation]:
    """I12: of what waited when a bridge said that a server is back, something is settled soon, whoever does it."""
    settled_at = facts.settled_at
    stuck = frozenset().union(*(one.records for one in facts.evidence.stuck_orders))
    for line in facts.bridge_lines:
        if line.event != "bridge.dependency.recovered":
            continue
        waited = [
            settled_at[record.coordinates] - line.at
            for record in facts.evidence.inputs
            if record.coordinates not in stuck
            and record.timestamp_ms / 1_000 < line.at < settled_at.get(record.coordinates, 0.0)
        ]
        if not waited or min(waited) <= CONTINUES_WITHIN_SECONDS:
            continue
        if not any(other.event in TROUBLE and 0 < other.at - line.at < min(waited) for other in facts.bridge_lines):
            what = f"nothing was settled for {min(waited):.1f} s after {line.fields.get('dependency')} was back"
            yield Violation("I12", line.process, what)


def a_stuck_order_holds_up_no_other(facts: Facts) -> Iterator[Violation]:
    """I18: while an order is stuck, all that was sent for others is settled, before the first record of its own.

    Counted and not timed: whoever makes an order stuck lets it go once the others are through.
    """
    for stuck in facts.evidence.stuck_orders:
        released_at = math.inf if stuck.released_at is None else stuck.released_at
        waited = [
            record
            for record in facts.evidence.inputs
            if record.coordinates not in stuck.records
            and record.timestamp_ms / 1_000 <= stuck.others_sent_at
            and not facts.settled_at.get(record.coordinates, math.inf) < released_at
        ]
        if waited:
            what = (
                f"{len(waited)} records of others were not settled before it was let go, of {len(stuck.records)} of it"
            )
            yield Violation("I18", stuck.order_id, what)


def bad_records_delay_no_others(facts: Facts) -> Iterator[Violation]:
    """I10: good records behind a bad one are settled as soon as those beside them, of other partitions.

    Compared with records of the same moment, and over all of them, so that outages and a busy machine count on both
    sides. What waited for a bridge to start is left out: one that is killed at a dead letter keeps those behind it
    waiting, and not those that it had settled before.
    """
    settled_at = facts.settled_at
    starts = [line.at for line in facts.bridge_lines if line.event == "bridge.started"]
    good = {
        record.coordinates: produced
        for record in facts.evidence.inputs
        if record.coordinates in settled_at and record.coordinates not in facts.letters
        for produced in [record.timestamp_ms / 1_000]
        if not any(produced < start < settled_at[record.coordinates] for start in starts)
    }
    delays = []
    for (topic, partition, offset), produced in good.items():
        if not any((topic, partition, offset - step) in facts.letters for step in range(1, BEHIND + 1)):
            continue
        beside = [
            settled_at[other]
            for other, when in good.items()
            if _is_beside(other, (topic, partition, offset)) and abs(when - produced) <= CONTEMPORARIES_SECONDS
        ]
        if beside:
            delays.append(settled_at[topic, partition, offset] - median(beside))
    if len(delays) >= COMPARED_MIN and median(delays) > DELAY_MAX_SECONDS:
        what = f"{len(delays)} good records behind bad ones were settled {median(delays):.1f} s later than those beside"
        yield Violation("I10", "bad records", what)


def _is_beside(other: Coordinates, one: Coordinates) -> bool:
    return other[0] == one[0] and other[1] != one[1]
