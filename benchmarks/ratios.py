"""Two things measured in turns, and what their ratio is worth."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

NOISE_MIN, NOISE_MAX = 0.97, 1.03
"""The baseline against itself; outside of this a run is too noisy to trust."""

Measure = Callable[[], Awaitable[float]]
"""One turn; returns a rate or a time."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The measured thing against its baseline."""

    measured: float
    """Median over the turns."""
    baseline: float
    """Median over the turns."""
    noise: float
    """Median of the baseline's even turns over that of its odd ones; 1 in a quiet run."""
    measured_turns: tuple[float, ...]
    baseline_turns: tuple[float, ...]

    @property
    def value(self) -> float:
        """Measured over baseline."""
        return self.measured / self.baseline

    @property
    def is_trustworthy(self) -> bool:
        """Whether the baseline agrees with itself."""
        return NOISE_MIN <= self.noise <= NOISE_MAX


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
    return Ratio(
        measured=statistics.median(results),
        baseline=statistics.median(baselines),
        noise=statistics.median(baselines[::2]) / statistics.median(baselines[1::2]),
        measured_turns=tuple(results),
        baseline_turns=tuple(baselines),
    )
