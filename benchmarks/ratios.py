"""Two things measured in turns, and what their ratio is worth."""

import math
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

NOISE_MIN, NOISE_MAX = 0.97, 1.03
"""The baseline against itself; outside of this a run is too noisy to trust."""

Measure = Callable[[], Awaitable[float]]
"""One turn; returns a rate or a time."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The measured thing against its baseline, each turn against its neighbours.

    A machine that others use too is faster in one minute than in the next. Neighbours share their minute, so that
    this changes neither their ratio nor the median of many.
    """

    measured_turns: tuple[float, ...]
    """In their order, at least one."""
    baseline_turns: tuple[float, ...]
    """In their order: the one before the first measured turn, and the one after each."""

    @property
    def measured(self) -> float:
        """Median over the turns."""
        return statistics.median(self.measured_turns)

    @property
    def baseline(self) -> float:
        """Median over the turns."""
        return statistics.median(self.baseline_turns)

    @property
    def value(self) -> float:
        """Median over the measured turns, each over the geometric mean of the baseline's turns before and after it."""
        return _against_neighbours(self.measured_turns, self.baseline_turns)

    @property
    def noise(self) -> float:
        """The same of every second turn of the baseline against those before and after it; 1 in a quiet run."""
        others, between = self.baseline_turns[::2], self.baseline_turns[1::2]
        return _against_neighbours(between, others)

    @property
    def is_trustworthy(self) -> bool:
        """Whether the baseline agrees with itself."""
        return NOISE_MIN <= self.noise <= NOISE_MAX


def _against_neighbours(turns: tuple[float, ...], others: tuple[float, ...]) -> float:
    """Compares each turn with the others before and after it; the last with the one before, if nothing comes after."""
    neighbours = [*pairwise(others), *([(others[-1], others[-1])] if len(others) == len(turns) else [])]
    return statistics.median(
        turn / math.sqrt(before * after) for turn, (before, after) in zip(turns, neighbours, strict=True)
    )


async def in_turns(measured: Measure, baseline: Measure, *, turns: int) -> Ratio:
    """Baseline, measured, baseline, measured ... and a last baseline.

    Args:
        measured: One turn of the thing itself.
        baseline: One turn of what it is compared with.
        turns: Of the thing itself; the baseline has one more.
    """
    baselines = [await baseline()]
    results = []
    for _ in range(turns):
        results.append(await measured())
        baselines.append(await baseline())
    return Ratio(tuple(results), tuple(baselines))
