"""Offsets, whatever happens in whatever order: a state machine against a slow and simple model (I1, I2).

Kafka is a list of records for each partition, and what was committed; Temporal is the set of what was ever settled.
Both survive the bridges, which crash, take over from each other, and go by what the last one committed.
"""

import contextlib
import os
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.engine.offsets import Committable, OffsetTracker, Partition, Ticket
from bridge.engine.settled_beyond import METADATA_CHARS_MAX, SettledBeyond, UnreadableMetadataError, decode
from bridge.record import Record

PARTITIONS = [Partition(topic, number) for topic in ("a", "b") for number in range(2)]

EXAMPLES, STEPS = int(os.environ.get("OFFSETS_EXAMPLES") or 1_010), 100
"""1,010 x 100: more than 100,000 steps, in 30 s of one core."""


@dataclass
class Log:
    """What Kafka and Temporal know of one partition."""

    records: list[Record] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    """Offsets that some bridge has settled."""
    stored: Committable | None = None
    """The group's offset and metadata."""

    def append(self, partition: Partition, *, gap: int, count: int, made: int) -> None:
        """Adds records, after a gap such as compaction and transactions leave; `made` tells topics apart."""
        first = self.records[-1].offset + 1 if self.records else 0
        for offset in range(first + gap, first + gap + count):
            self.records.append(Record(*partition, offset, made, None, b"value"))

    def records_from(self, offset: int) -> list[Record]:
        return [record for record in self.records if record.offset >= offset]

    def position(self) -> int:
        """Where a consumer begins: at the group's offset; at the beginning where there is none, or no such offset."""
        end = self.records[-1].offset + 1 if self.records else 0
        offset = self.stored.offset if self.stored else 0
        return offset if offset <= end else 0


@dataclass
class Model:
    """What is true of one partition in one assignment, told without cleverness."""

    position: int
    delivered: list[int] = field(default_factory=list)
    unsettled: set[int] = field(default_factory=set)
    committed: list[int] = field(default_factory=list)

    def committable(self) -> int | None:
        if self.unsettled:
            return min(self.unsettled)
        return self.delivered[-1] + 1 if self.delivered else None


def inherited(stored: Committable | None) -> SettledBeyond | None:
    with contextlib.suppress(UnreadableMetadataError):
        return decode(stored.metadata, offset=stored.offset) if stored else None
    return None


class OffsetsMachine(RuleBasedStateMachine):
    """Deliver, defer, read again, settle in any order, commit (acknowledged late or never), revoke, reassign, crash."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.logs = {partition: Log() for partition in PARTITIONS}
        self.models: dict[Partition, Model] = {}
        self.tickets: list[Ticket] = []
        """Of the records that are held."""
        self.deferred: list[Ticket] = []
        self.stale: list[Ticket] = []
        self.pending: tuple[dict[Partition, Committable], int] | None = None
        self.assignments = self.topics_made = 0
        self.chars_max = METADATA_CHARS_MAX

    @initialize(count=st.integers(1, len(PARTITIONS)), chars_max=st.sampled_from([METADATA_CHARS_MAX, 60, 45, 0]))
    def begin(self, count: int, chars_max: int) -> None:
        self.chars_max = self.tracker.metadata_chars_max = chars_max
        self.assign(count, told=True)

    @rule(count=st.integers(1, len(PARTITIONS)), told=st.booleans())
    def reassign(self, count: int, told: bool) -> None:
        self.assign(count, told=told)

    @rule(count=st.integers(1, len(PARTITIONS)), committed=st.booleans(), again=st.integers(0, 60))
    def crash(self, count: int, committed: bool, again: int) -> None:
        """Another bridge takes over, and is given the first records again."""
        if committed:
            self.commit_what_is_committable()
        self.take_over(count, again)

    def commit_what_is_committable(self) -> None:
        self.pending = None
        self.send_commit()
        self.end_commit(reached=True, acknowledged=True)

    def take_over(self, count: int, again: int) -> None:
        self.forget()
        self.tracker, self.assignments, self.pending, self.stale = OffsetTracker(), 0, None, []
        self.tracker.metadata_chars_max = self.chars_max
        self.assign(count, told=True)
        for partition, model in self.models.items():
            self.hand_over(partition, model, self.logs[partition].records_from(model.position)[:again])

    def assign(self, count: int, *, told: bool) -> None:
        self.forget()
        self.assignments += 1
        ours = PARTITIONS[:count]
        known = {partition: inherited(self.logs[partition].stored) for partition in ours} if told else {}
        beyond = {partition: found for partition, found in known.items() if found is not None}
        assert self.tracker.assign(set(ours), beyond) == self.assignments
        self.models = {partition: Model(self.logs[partition].position()) for partition in ours}

    @rule()
    def revoke(self) -> None:
        self.tracker.revoke()
        self.forget()

    def forget(self) -> None:
        self.stale = (self.stale + self.tickets)[-20:]
        self.tickets, self.deferred = [], []
        self.models = {}

    @rule(choice=st.integers(0, 3), back=st.integers(0, 4), emptied=st.booleans(), again=st.integers(0, 60))
    def rewind(self, choice: int, back: int, emptied: bool, again: int) -> None:
        """A person sets the group's offset, which Kafka allows while nobody is in the group.

        Kafka's own tools leave no metadata; whoever copies commits may leave what was there.
        """
        self.commit_what_is_committable()
        log = self.logs[PARTITIONS[choice]]
        if log.stored is not None:
            metadata, before = "" if emptied else log.stored.metadata, log.stored.offset
            log.stored = Committable(max(0, before - back), metadata)
            if log.stored.offset < before or emptied:
                log.settled = {offset for offset in log.settled if offset < log.stored.offset}
        self.take_over(choice + 1, again)

    @rule(choice=st.integers(0, 3), kept=st.booleans(), filled=st.integers(0, 60))
    def make_topic_anew(self, choice: int, kept: bool, filled: int) -> None:
        """Kafka forgets the group's offsets with the topic; a late commit may have brought them back."""
        self.commit_what_is_committable()
        partition = PARTITIONS[choice]
        self.topics_made += 1
        self.logs[partition] = Log(stored=self.logs[partition].stored if kept else None)
        if filled:
            self.logs[partition].append(partition, gap=0, count=filled, made=self.topics_made)
        self.take_over(choice + 1, filled)

    @precondition(lambda self: self.models)
    @rule(choice=st.integers(0, 99), gap=st.sampled_from([0, 0, 0, 1, 7]), count=st.integers(1, 8))
    def deliver(self, choice: int, gap: int, count: int) -> None:
        """From the committed offset on, as Kafka does."""
        partition = list(self.models)[choice % len(self.models)]
        model, log = self.models[partition], self.logs[partition]
        if len(log.records_from(model.position)) < count:
            log.append(partition, gap=gap, count=count, made=self.topics_made)
        self.hand_over(partition, model, log.records_from(model.position)[:count])

    def hand_over(self, partition: Partition, model: Model, records: list[Record]) -> None:
        for record in records:
            ticket = self.tracker.deliver(partition, record)
            model.delivered.append(record.offset)
            model.position = record.offset + 1
            if ticket is None:
                assert record.offset in self.logs[partition].settled, "a record that nobody has settled was passed over"
            else:
                self.tickets.append(ticket)
                model.unsettled.add(record.offset)

    @precondition(lambda self: self.tickets)
    @rule(choices=st.lists(st.integers(0, 99), min_size=1, max_size=8))
    def settle(self, choices: list[int]) -> None:
        for choice in choices:
            if self.tickets:
                ticket = self.tickets.pop(choice % len(self.tickets))
                assert self.tracker.settle(ticket)
                assert not self.tracker.settle(ticket), "settled is settled"
                self.models[ticket.partition].unsettled.discard(ticket.offset)
                self.logs[ticket.partition].settled.add(ticket.offset)

    @precondition(lambda self: self.tickets)
    @rule(choices=st.lists(st.integers(0, 99), min_size=1, max_size=8))
    def defer(self, choices: list[int]) -> None:
        for choice in choices:
            if self.tickets:
                ticket = self.tickets.pop(choice % len(self.tickets))
                self.tracker.defer(ticket)
                self.deferred.append(ticket)
                assert not self.tracker.settle(ticket), "it is not held"

    @precondition(lambda self: self.deferred)
    @rule(
        choices=st.lists(st.integers(0, 99), min_size=1, max_size=8), gone=st.sampled_from([False, False, False, True])
    )
    def read_again(self, choices: list[int], gone: bool) -> None:
        for choice in choices:
            if self.deferred:
                self.take_back(self.deferred.pop(choice % len(self.deferred)), gone=gone)

    def take_back(self, ticket: Ticket, *, gone: bool) -> None:
        partition, log = ticket.partition, self.logs[ticket.partition]
        assert self.tracker.is_deferred(partition, ticket.offset)
        if gone:
            assert self.tracker.lose(partition, ticket.offset)
            self.models[partition].unsettled.discard(ticket.offset)
            log.settled.add(ticket.offset)
        else:
            (record,) = [record for record in log.records if record.offset == ticket.offset]
            assert self.tracker.regain(partition, record) == ticket
            self.tickets.append(ticket)
        assert not self.tracker.is_deferred(partition, ticket.offset)

    @precondition(lambda self: self.stale)
    @rule(choice=st.integers(0, 99))
    def settle_under_an_assignment_that_has_ended(self, choice: int) -> None:
        ticket = self.stale[choice % len(self.stale)]
        before = self.tracker.committable()
        assert not self.tracker.settle(ticket)
        assert self.tracker.committable() == before

    @precondition(lambda self: self.pending is None)
    @rule()
    def send_commit(self) -> None:
        self.pending = self.tracker.committable(), self.tracker.epoch
        for partition, commit in self.pending[0].items():
            self.check_what_is_told(partition, commit)

    def check_what_is_told(self, partition: Partition, commit: Committable) -> None:
        """Nothing but the truth, and where there is room for it the whole."""
        log, model = self.logs[partition], self.models[partition]
        assert len(commit.metadata) <= self.chars_max
        told = decode(commit.metadata, offset=commit.offset)
        held = {record.offset for record in log.records if told is not None and told.holds(record.offset)}
        assert held <= log.settled - model.unsettled
        if self.chars_max == METADATA_CHARS_MAX and model.unsettled:
            assert {offset for offset in model.delivered if offset > commit.offset} - model.unsettled <= held

    @precondition(lambda self: self.pending is not None)
    @rule(reached=st.booleans(), acknowledged=st.booleans())
    def end_commit(self, reached: bool, acknowledged: bool) -> None:
        """Kafka refuses a commit of an assignment that has ended; one that is refused or lost changes nothing."""
        assert self.pending is not None
        commits, epoch = self.pending
        self.pending = None
        if reached and acknowledged:
            self.tracker.committed(commits, epoch)
        if not reached or epoch != self.tracker.epoch:
            return
        for partition, commit in commits.items():
            if partition in self.models:
                self.models[partition].committed.append(commit.offset)
                self.logs[partition].stored = commit

    @invariant()
    def what_is_committable_is_what_the_model_says(self) -> None:
        """It may be lower only while the record at the lowest unsettled offset is deferred."""
        committable = self.tracker.committable()
        for partition, model in self.models.items():
            expected, found = model.committable(), committable.pop(partition, None)
            if found is None and expected is None:
                continue
            assert found or model.committed, "something was delivered, and nothing of it committed"
            offset = found.offset if found else model.committed[-1]
            if expected is not None and self.tracker.is_deferred(partition, expected):
                assert offset in model.delivered
                assert offset <= expected
            else:
                assert offset == expected
        assert committable == {}, "not ours"

    @invariant()
    def a_commit_never_passes_an_unsettled_record_and_never_goes_back(self) -> None:
        for model in self.models.values():
            assert model.committed == sorted(model.committed)
            if model.committed and model.unsettled:
                assert model.committed[-1] <= min(model.unsettled)

    @invariant()
    def what_is_unsettled_is_counted(self) -> None:
        assert self.tracker.unsettled_count == len(self.tickets) + len(self.deferred)
        assert self.tracker.partitions == set(self.models)


OffsetsMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestOffsets = OffsetsMachine.TestCase
