"""The real workflow against a model of its rules, under made-up sequences of events, times and outcomes."""

import logging
import os
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from schemas.event_types import EventType
from schemas.states import OrderState, ReasonCode
from tests.workflow.workbench import time_skipping
from tests.workflow.workbench.clock import BrokenClockError
from tests.workflow.workbench.model import AHEAD
from tests.workflow.workbench.scripts import Do, Round, Script
from tests.workflow.workbench.timeline import Timeline, timeline_on
from tests.workflow.workbench.words import ADDRESS, APPROVED, CANCELLED, CREATED, Payment, Sent

SEQUENCES: Final = int(os.environ.get("MODEL_SEQUENCES", "500"))
SEED: Final = int(os.environ.get("MODEL_SEED", "1"))
"""The sequences of 1 come to every reason and state at least nine times; another seed makes others."""
ORDERS: Final = 25
"""On one timeline."""
ROUNDS: Final = 4
CLOCKS_MAX: Final = 20
"""Servers that are started at most: one whose clock has gone wrong is left behind, and its batch is played again."""

WITH_A_REASON: Final = {"REJECTED", "CANCELLED", "EXPIRED", "PAYMENT_DECLINED", "SHIPPING_FAILED", "REFUNDED"}
"""States that an order never reaches without a reason."""

addresses = st.fixed_dictionaries(
    {"street": st.sampled_from(["1", "2", "3"])},
    optional={"zip_code": st.sampled_from(["0150", "0150", "FAIL0", "FLAKY", "AWAY"])},
)
types: st.SearchStrategy[EventType] = st.sampled_from([CREATED] * 3 + [APPROVED] * 3 + [ADDRESS] * 3 + [CANCELLED])
events = st.builds(
    Sent,
    id=st.sampled_from("abcdefghijkl"),
    type=types,
    valid=st.sampled_from([True] * 9 + [False]),
    address=addresses,
    at=st.sampled_from([None, 1, 2, 3, AHEAD]),
    over_limit=st.sampled_from([False] * 9 + [True]),
    is_priced=st.sampled_from([True] * 9 + [False]),
    payment=st.sampled_from([Payment.FINE] * 6 + list(Payment)),
    by=st.sampled_from([None, "ada", "bob"]),
    expected=st.sampled_from([None] * 9 + [1, 2, 3]),
)
steps = st.one_of(events, events, st.sampled_from([Do.GO] * 8 + [Do.TERMINATE]))
held = st.sampled_from([False] * 5 + [True])
late = st.sampled_from([0] * 5 + [1, 2]).flatmap(lambda count: st.lists(events, min_size=count, max_size=count))
rounds = st.builds(Round, steps=st.lists(steps, max_size=6).map(tuple), publishing_is_held=held, late=late.map(tuple))
created = events.map(lambda event: replace(event, type=CREATED, valid=True, expected=None))
approved = events.map(lambda event: replace(event, type=APPROVED, valid=True, expected=None))


def _begin_well(first: Round, order: Sent, approval: Sent, length: int) -> Round:
    """An order that gets somewhere: made up at random, hardly one would be paid."""
    straight: tuple[Sent | Do, ...] = (order, Do.GO, Do.GO, replace(approval, id="z"), Do.GO, Do.GO)
    return replace(first, steps=(*straight[:length], *first.steps))


beginnings = st.builds(_begin_well, rounds, created, approved, st.integers(0, 6))
waits = st.tuples(*[st.sampled_from([60, 120, 180, 240])] * ROUNDS)
scripts = st.tuples(beginnings, *[rounds] * (ROUNDS - 1))


def made_up(count: int, number: int) -> list[tuple[tuple[int, ...], Script]]:
    """That many scripts, and the times between their rounds."""
    made: list[tuple[tuple[int, ...], Script]] = []

    @seed(number)
    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.tuples(waits, scripts))
    def collect(case: tuple[tuple[int, ...], Script]) -> None:
        made.append(case)

    collect()
    return made


@pytest.mark.timeout(3_600)
async def test_the_workflow_does_what_the_model_says(
    time_skipping_server: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As many sequences as ``MODEL_SEQUENCES`` says; ``MODEL_SEED`` makes the same ones again."""
    # That activities fail is in the scripts, and would bury what a failing test has to say.
    caplog.set_level(logging.CRITICAL, "temporalio.activity")
    cases = made_up(SEQUENCES, SEED)
    batches = deque(cases[first : first + ORDERS] for first in range(0, len(cases), ORDERS))
    seen: Counter[str] = Counter()
    broken: list[BrokenClockError] = []
    while batches:
        assert len(broken) < CLOCKS_MAX, f"the clocks of {CLOCKS_MAX} servers have gone wrong: {broken}"
        log = tmp_path / f"server-{len(broken)}.log"
        async with await time_skipping.start(time_skipping_server, log=log) as env, timeline_on(env, log) as timeline:
            try:
                while batches:
                    seen.update(await _played(timeline, batches[0]))
                    batches.popleft()
            except BrokenClockError as error:
                broken.append(error)
    assert len(cases) == SEQUENCES
    if (SEQUENCES, SEED) == (500, 1):
        # A model that is compared where nothing happens proves nothing.
        wanted = {str(word) for word in (*ReasonCode, *OrderState)} - WITH_A_REASON
        assert wanted <= set(seen), f"no sequence came to {sorted(wanted - set(seen))}"


async def _played(timeline: Timeline, batch: Sequence[tuple[tuple[int, ...], Script]]) -> Counter[str]:
    """Holds the orders of a batch to the model; returns what they came to."""
    times = batch[0][0]
    seen: Counter[str] = Counter()
    for life in await timeline.play(times, [script for _, script in batch]):
        if life.failure is not None:
            smallest = await timeline.smallest(times, life.script)
            told = f"MODEL_SEED={SEED}, waits of {times} minutes: {smallest.failure or life.failure}"
            told += f"\nthe server says: {timeline.clock.log.read_text()[:2_000]}"
            raise AssertionError(told) from life.failure
        seen.update(str(out.reason or out.state) for out in life.model.out)
    return seen
