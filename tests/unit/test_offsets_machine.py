"""The committable offset, whatever happens in whatever order: a state machine against a slow and simple model (I2)."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.offsets import OffsetTracker, Partition, Ticket

PARTITIONS = [Partition(topic, number) for topic in ("a", "b") for number in range(2)]

EXAMPLES, STEPS = 1_100, 100
"""1,100 x 100: more than 100,000 steps, in 20 s of one core."""


@dataclass
class Model:
    """What is true of one partition, told without cleverness."""

    delivered: list[int] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    committed: list[int] = field(default_factory=list)

    def committable(self) -> int | None:
        unsettled = [offset for offset in self.delivered if offset not in self.settled]
        if unsettled:
            return min(unsettled)
        return max(self.delivered) + 1 if self.delivered else None


class OffsetsMachine(RuleBasedStateMachine):
    """Deliver, settle in any order, commit (acknowledged late or never), revoke, reassign, redeliver."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.models: dict[Partition, Model] = {}
        self.stored: dict[Partition, int] = {}
        """What Kafka holds; survives assignments."""
        self.tickets: list[Ticket] = []
        self.stale: list[Ticket] = []
        self.pending: tuple[dict[Partition, int], int] | None = None
        self.assignments = 0

    @initialize(count=st.integers(1, len(PARTITIONS)))
    def begin(self, count: int) -> None:
        self.assign(count)

    @rule(count=st.integers(1, len(PARTITIONS)))
    def reassign(self, count: int) -> None:
        self.assign(count)

    def assign(self, count: int) -> None:
        self.forget()
        self.assignments += 1
        assert self.tracker.assign(set(PARTITIONS[:count])) == self.assignments
        self.models = {partition: Model() for partition in PARTITIONS[:count]}

    @rule()
    def revoke(self) -> None:
        self.tracker.revoke()
        self.forget()

    def forget(self) -> None:
        self.stale = (self.stale + self.tickets)[-20:]
        self.tickets = []
        self.models = {}

    @precondition(lambda self: self.models)
    @rule(choice=st.integers(0, 99), gap=st.sampled_from([0, 0, 0, 1, 7]), count=st.integers(1, 8))
    def deliver(self, choice: int, gap: int, count: int) -> None:
        """From the committed offset on, as Kafka does; with gaps, as compaction and transactions leave them."""
        partition = list(self.models)[choice % len(self.models)]
        model = self.models[partition]
        first = model.delivered[-1] + 1 if model.delivered else self.stored.get(partition, 0)
        for offset in range(first + gap, first + gap + count):
            self.tickets.append(self.tracker.deliver(partition, offset))
            model.delivered.append(offset)

    @precondition(lambda self: self.tickets)
    @rule(choices=st.lists(st.integers(0, 99), min_size=1, max_size=8))
    def settle(self, choices: list[int]) -> None:
        for choice in choices:
            if self.tickets:
                ticket = self.tickets.pop(choice % len(self.tickets))
                assert self.tracker.is_current(ticket)
                assert self.tracker.settle(ticket)
                assert not self.tracker.settle(ticket), "settled is settled"
                self.models[ticket.partition].settled.add(ticket.offset)

    @precondition(lambda self: self.stale)
    @rule(choice=st.integers(0, 99))
    def settle_under_an_assignment_that_has_ended(self, choice: int) -> None:
        ticket = self.stale[choice % len(self.stale)]
        before = self.tracker.committable()
        assert not self.tracker.is_current(ticket)
        assert not self.tracker.settle(ticket)
        assert self.tracker.committable() == before

    @precondition(lambda self: self.pending is None)
    @rule()
    def send_commit(self) -> None:
        self.pending = self.tracker.committable(), self.tracker.epoch

    @precondition(lambda self: self.pending is not None)
    @rule(acknowledged=st.booleans())
    def end_commit(self, acknowledged: bool) -> None:
        """Kafka refuses a commit of an assignment that has ended; one that is refused or lost changes nothing."""
        assert self.pending is not None
        offsets, epoch = self.pending
        self.pending = None
        if acknowledged:
            self.tracker.committed(offsets, epoch)
        if not acknowledged or epoch != self.tracker.epoch:
            return
        for partition, offset in offsets.items():
            if partition in self.models:
                self.models[partition].committed.append(offset)
                self.stored[partition] = offset

    @invariant()
    def what_is_committable_is_what_the_model_says(self) -> None:
        committable = self.tracker.committable()
        for partition, model in self.models.items():
            expected = model.committable()
            if expected is not None and (not model.committed or expected > model.committed[-1]):
                assert committable.pop(partition) == expected
        assert committable == {}, "nothing new, or not ours"

    @invariant()
    def a_commit_never_passes_an_unsettled_record_and_never_goes_back(self) -> None:
        for model in self.models.values():
            assert model.committed == sorted(set(model.committed))
            unsettled = [offset for offset in model.delivered if offset not in model.settled]
            if model.committed and unsettled:
                assert model.committed[-1] <= min(unsettled)

    @invariant()
    def what_is_unsettled_is_counted(self) -> None:
        assert self.tracker.unsettled_count == len(self.tickets)
        assert self.tracker.partitions == set(self.models)


OffsetsMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestOffsets = pytest.mark.timeout(600)(OffsetsMachine.TestCase)
