"""The one checker: reads what a run left behind and names every invariant that it breaks.

Pure: `tests.helpers.system.system` gathers the evidence. The invariants' numbers are explained beside each rule, in
`rules_of_records`, `rules_of_processes` and `rules_of_orders`; ``LIFE`` is the state machine of an order.
"""

from collections import Counter

from tests.helpers.checker import rules_of_orders, rules_of_processes, rules_of_records
from tests.helpers.checker.evidence import Evidence
from tests.helpers.checker.facts import Facts, Violation

SHOWN_VIOLATIONS_MAX = 40

ALWAYS = (
    rules_of_records.offsets_within_the_log,
    rules_of_records.commits_never_go_back,
    rules_of_records.one_completed_run,
    rules_of_records.dead_letters_hold_their_source,
    rules_of_records.nothing_confidential_is_told,
    rules_of_processes.processes_end_as_they_are_told,
    rules_of_processes.records_held_are_bounded,
    rules_of_processes.work_goes_on_after_an_outage,
    rules_of_processes.bad_records_delay_no_others,
    rules_of_processes.a_stuck_order_holds_up_no_other,
    rules_of_orders.approved_in_time_does_not_expire,
    rules_of_orders.money_moves_once,
    rules_of_orders.sequences_are_gapless,
    rules_of_orders.states_follow_each_other,
    rules_of_orders.providers_end_orders,
)
"""What holds at any moment."""

AT_THE_END = (
    rules_of_records.offsets_reach_the_end,
    rules_of_records.one_fate_each,
    rules_of_records.effects_follow_offsets,
    rules_of_records.effects_happen_once,
    rules_of_records.effects_are_what_was_recorded,
    rules_of_records.every_order_ended,
    rules_of_orders.money_follows_the_order,
    rules_of_orders.shipments_follow_the_order,
    rules_of_orders.audit_equals_published,
    rules_of_orders.projection_follows_the_events,
)
"""What holds once every record is read and every order is at its end."""


def check(evidence: Evidence, *, drained: bool = True) -> list[Violation]:
    """Tests every invariant.

    Args:
        evidence: What the run left behind.
        drained: Whether the run is over: every record read and every order at its end. Else only what must hold at any
            moment is tested.
    """
    facts = Facts(evidence)
    rules = ALWAYS + (AT_THE_END if drained else ())
    return [violation for rule in rules for violation in rule(facts)]


def assert_no_violations(evidence: Evidence, *, drained: bool = True) -> None:
    """Fails with a line for each violation."""
    violations = check(evidence, drained=drained)
    counts = dict(Counter(violation.invariant for violation in violations))
    lines = [str(violation) for violation in violations[:SHOWN_VIOLATIONS_MAX]]
    assert not violations, "\n".join([f"{len(violations)} violations {counts}:", *lines])
