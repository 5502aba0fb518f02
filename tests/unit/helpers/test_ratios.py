"""What a ratio of two things in turns says on a machine that becomes slower and faster meanwhile."""

from collections.abc import Callable

import pytest

from benchmarks.ratios import Measure, in_turns


def on_a_machine(speed: Callable[[int], float]) -> Callable[[float], Measure]:
    """Things measured one after the other on a machine of that speed at each turn."""
    turn = iter(range(1_000))

    def of_rate(rate: float) -> Measure:
        async def measure() -> float:
            return rate * speed(next(turn))

        return measure

    return of_rate


@pytest.mark.parametrize("turns", [1, 2, 3, 12])
async def test_a_quiet_machine_says_what_the_ratio_is(turns: int) -> None:
    machine = on_a_machine(lambda _: 1.0)
    ratio = await in_turns(machine(90.0), machine(100.0), turns=turns)

    assert (ratio.measured, ratio.baseline) == (90.0, 100.0)
    assert [ratio.value, ratio.noise] == pytest.approx([0.9, 1.0])
    assert ratio.is_trustworthy


@pytest.mark.parametrize(
    "speed",
    [lambda turn: 0.97**turn, lambda turn: 1.0 if turn < 9 else 0.4, lambda turn: 0.1 if turn in {4, 5, 13} else 1.0],
    ids=["ever slower", "slower from a moment on", "hiccups"],
)
async def test_a_machine_that_changes_leaves_the_ratio_alone(speed: Callable[[int], float]) -> None:
    machine = on_a_machine(speed)
    ratio = await in_turns(machine(90.0), machine(100.0), turns=12)

    assert [ratio.value, ratio.noise] == pytest.approx([0.9, 1.0])


async def test_a_machine_too_uneven_to_trust_is_called_so() -> None:
    machine = on_a_machine(lambda turn: 0.8 if turn % 4 == 2 else 1.0)
    ratio = await in_turns(machine(90.0), machine(100.0), turns=12)

    assert ratio.noise == pytest.approx(0.8)
    assert not ratio.is_trustworthy
