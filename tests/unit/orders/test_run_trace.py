"""Which trace the work of a workflow's run belongs to."""

from orders.telemetry.run_trace import CAUSES_MAX, RunTrace, place_below, trace_id_of

FIRST = f"00-{'a' * 32}-{'1' * 16}-01"
SECOND = f"00-{'b' * 32}-{'2' * 16}-01"
SAME_TRACE = f"00-{'a' * 32}-{'3' * 16}-01"


def trace(begun_by: str | None = FIRST, carried: dict[str, str] | None = None) -> RunTrace:
    return RunTrace("run", begun_by, "order_created", carried)


def test_a_span_s_id_is_the_same_at_every_replay_and_another_for_another_run() -> None:
    place = place_below(FIRST, "run", "take")
    assert place == place_below(FIRST, "run", "take")
    assert len({place.own, place_below(FIRST, "other", "take").own, place_below(SAME_TRACE, "run", "take").own}) == 3
    version, trace_id, span_id, flags = place.own.split("-")
    assert (version, trace_id, flags) == ("00", "a" * 32, "01")
    assert int(span_id, 16) == place.span_id != 0


def test_a_run_s_work_belongs_to_the_trace_that_began_it() -> None:
    one = trace()
    assert one.run is not None
    assert one.current == one.run.own
    assert trace_id_of(one.run.own) == "a" * 32


def test_a_run_that_was_begun_without_a_trace_has_none() -> None:
    one = trace(None)
    assert (one.run, one.current, one.carried) == (None, None, {})


def test_a_run_s_work_belongs_to_the_trace_of_its_main_signal_once_that_has_come() -> None:
    one = trace()
    one.took("approve_order", SAME_TRACE, "e-1")
    place = one.took("order_created", SECOND, "e-2")
    assert one.current == place.own
    one.took("order_created", FIRST, "e-3")
    assert one.current == place.own, "the first one counts"


def test_a_main_signal_of_the_run_s_own_trace_changes_nothing() -> None:
    one = trace()
    one.took("order_created", SAME_TRACE, "e-1")
    assert one.run is not None
    assert one.current == one.run.own


def test_what_an_event_causes_belongs_to_its_own_trace() -> None:
    one = trace()
    place = one.took("approve_order", SECOND, "e-1")
    one.took("cancel_order", SAME_TRACE, "e-2")
    one.took("cancel_order", SECOND, None)
    assert one.of_causes(frozenset({"e-1", "e-2", "e-3"})) == {"e-1": place.own}
    again = one.took("approve_order", f"00-{'c' * 32}-{'4' * 16}-01", "e-1")
    assert again.own not in one.of_causes(frozenset({"e-1"})).values(), "a repeat causes nothing"


def test_a_run_that_continues_another_remembers_what_that_one_knew() -> None:
    one = trace()
    approved = one.took("approve_order", f"00-{'c' * 32}-{'4' * 16}-01", "e-1")
    created = one.took("order_created", SECOND, "e-2")
    following = RunTrace("next", FIRST, "order_created", one.carried)
    assert following.current == created.own
    assert following.of_causes(frozenset({"e-1", "e-2"})) == {"e-1": approved.own}


def test_a_run_remembers_a_bounded_number_of_signals() -> None:
    one = trace()
    for number in range(CAUSES_MAX + 1):
        one.took("approve_order", SECOND, f"e-{number}")
    assert len(one.carried) == CAUSES_MAX
