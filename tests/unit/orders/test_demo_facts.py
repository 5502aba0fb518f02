"""The demonstration's own judgement: it must see what does not agree."""

import pytest

from orders.local.demo.facts import Facts, Verdict, expected_facts
from orders.local.demo.scenarios import Scenario, scenarios

SCENARIOS = scenarios("r1")


def test_every_scenario_has_an_order_of_its_own_and_an_outcome() -> None:
    assert len({scenario.order_id("r1") for scenario in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        assert scenario.events or scenario.dead_letter, scenario.name


def test_orders_of_two_runs_do_not_meet() -> None:
    assert not {one.order_id("r1") for one in SCENARIOS} & {one.order_id("r2") for one in SCENARIOS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_happened_agrees_only_with_all_that_was_expected(scenario: Scenario) -> None:
    expected = expected_facts(scenario)
    same = Verdict(scenario, "o-1", expected, expected_facts(scenario))
    assert same.agrees
    assert same.differences == []
    for about in expected.further:
        other = Facts(expected.events, {**expected.further, about: "something else"})
        verdict = Verdict(scenario, "o-1", expected, other)
        assert not verdict.agrees
        assert any(line.startswith(f"{about}: ") for line in verdict.differences)
        assert "something else" in other.phrase
    fewer = Verdict(scenario, "o-1", expected, Facts((*expected.events, "COMPLETED"), expected.further))
    assert not fewer.agrees
    nothing = Verdict(scenario, "o-1", expected, Facts())
    assert not nothing.agrees
    assert nothing.happened.phrase == "nothing"
