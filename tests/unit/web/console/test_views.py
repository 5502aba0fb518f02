"""What the pages show, from records."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.ports import StoredEvent
from orders.errors import UsageError
from orders.operations.dead_letters.prospects import Effect, Prospect
from orders.operations.dead_letters.selection import Place
from orders.operations.explain.database_side import DatabaseSide
from orders.operations.overview import BridgeMember, BridgesOverview
from orders.web.console.deciding import Chosen
from orders.web.console.pages.address_form import AddressForm
from orders.web.console.views.dead_letters import PlanPage, PlanRow, came_of
from orders.web.console.views.decisions import Choice, OutcomeLine, Outcomes, Standing
from orders.web.console.views.order import order_page, what_can_be_done
from orders.web.console.views.replay import replay_page
from orders.web.console.views.system import system_page
from orders.web.console.views.waiting import (
    GoneOrder,
    Shown,
    WaitingOrder,
    WaitingPage,
    dom_id,
    waiting_order,
    with_gone,
)
from orders.web.replays import Replay, ReplayRequest, ReplayState
from schemas.activity_io import EventOutcome
from schemas.event_types import EventType
from schemas.order import Item
from schemas.states import InboundOutcome, OrderState, ReasonCode
from tests.helpers.console.gallery import GALLERY
from tests.helpers.console.made_up import NOW, an_ended_order, an_order, journal, known_of


def test_a_form_names_an_order_as_it_was_shown() -> None:
    shown = Shown("o:1.a_b-c", 7)
    assert Shown.parse(shown.token) == shown


@pytest.mark.parametrize(
    "token", ["", "7", ":o-1", "7:", "-1:o-1", "7.0:o-1", "\N{SUPERSCRIPT TWO}:o-1", "9999999999:o-1"]
)
def test_a_form_that_names_none_is_refused(token: str) -> None:
    with pytest.raises(UsageError):
        Shown.parse(token)


def test_an_element_s_id_is_safe_in_a_selector_and_differs_for_each_order() -> None:
    ids = {dom_id(order_id) for order_id in ("o-1", "o:1", "o.1", "1")}
    assert len(ids) == 4
    assert all(one.replace("-", "").isalnum() for one in ids)


def test_a_row_says_what_is_to_be_decided() -> None:
    row = waiting_order(an_order("o-1"), NOW)
    assert (row.amount, row.customer) == ("1,234.50 EUR", "c-4711")
    assert row.items == ("12 \N{MULTIPLICATION SIGN} mug-blue", "4 \N{MULTIPLICATION SIGN} plate-large")
    assert row.address == "Rua Augusta 1, 1100-048 Lisbon, PT"
    assert row.left == timedelta(minutes=11, seconds=41)
    assert not row.is_over


def test_a_row_names_three_items_and_counts_the_others() -> None:
    items = tuple(Item(sku=f"sku-{number}", quantity=1, unit_amount=1) for number in range(5))
    row = waiting_order(an_order(items=items), NOW)
    assert (len(row.items), row.items_left) == (3, 2)


def test_an_order_without_a_price_is_not_shown_as_free() -> None:
    assert waiting_order(an_order(is_priced=False, amount=0), NOW).amount is None
    assert waiting_order(an_order(amount=0), NOW).amount == "0.00 EUR"


def test_an_order_that_has_gone_keeps_its_place() -> None:
    one, two, three, four = (waiting_order(an_order(f"o-{number}"), NOW) for number in range(1, 5))
    gone = GoneOrder("o-2", OrderState.APPROVED, "ada")
    shown = with_gone([one, three, four], [gone], ["o-1", "o-2", "o-3"])
    assert [order.order_id for order in shown] == ["o-1", "o-2", "o-3", "o-4"]
    assert shown[1] is gone
    first = with_gone([three], [GoneOrder("o-1", OrderState.EXPIRED, None), gone], ["o-1", "o-2", "o-3"])
    assert [order.order_id for order in first] == ["o-1", "o-2", "o-3"]
    assert two.order_id == "o-2"


def test_what_became_of_a_gone_order_names_who_decided() -> None:
    assert GoneOrder("o", OrderState.APPROVED, "ada").words == "approved by ada"
    assert GoneOrder("o", OrderState.PAID, None).words == "approved"
    assert GoneOrder("o", OrderState.CANCELLED, "bob").words == "cancelled by bob"
    assert GoneOrder("o", OrderState.EXPIRED, None).words == "nobody approved it in time"


def _page(*orders: WaitingOrder | GoneOrder) -> WaitingPage:
    return WaitingPage(
        now=NOW,
        orders=orders,
        total=2,
        is_more=False,
        longest=None,
        after=None,
        following=None,
        may_decide=True,
        batch="b",
    )


def test_a_page_is_another_one_when_an_order_comes_changes_or_goes_and_not_when_time_passes() -> None:
    row = waiting_order(an_order("o-1"), NOW)
    same = replace(
        _page(waiting_order(an_order("o-1"), NOW + timedelta(seconds=5))), now=NOW + timedelta(seconds=5), batch="c"
    )
    assert _page(row).digest == same.digest
    changed = waiting_order(an_order("o-1", last_sequence=3), NOW)
    others = [
        _page(changed),
        _page(),
        _page(row, waiting_order(an_order("o-2"), NOW)),
        _page(GoneOrder("o-1", OrderState.PAID, None)),
    ]
    assert len({_page(row).digest, *(one.digest for one in others)}) == 5


# Outcomes ------------------------------------------------------------------------------------------------------------


def line(standing: Standing, reason: str | None = None, choice: Choice = Choice.APPROVE) -> OutcomeLine:
    return OutcomeLine("o-1", choice, standing, reason)


def test_approved_is_said_only_of_what_was_applied() -> None:
    assert line(Standing.APPLIED).words == "is approved."
    for standing in set(Standing) - {Standing.APPLIED}:
        assert "is not approved" in line(standing, "x").words or "was not approved" in line(standing, "x").words


def test_a_refusal_says_why_and_what_to_do() -> None:
    refused = line(Standing.REJECTED, "order_changed")
    assert refused.words == "was not approved, because it changed since you looked."
    assert refused.what_to_do == "Look at it as it is now, then decide again."
    assert (
        line(Standing.REJECTED, "order_closed", Choice.CANCEL).words
        == "was not cancelled, because the order was over already."
    )


@pytest.mark.parametrize(
    ("standings", "summary"),
    [
        ([Standing.APPLIED], "1 order approved."),
        ([Standing.APPLIED] * 3, "3 orders approved."),
        ([Standing.REJECTED], "The order was not approved."),
        ([Standing.REJECTED] * 2, "None of 2 orders was approved."),
        ([Standing.APPLIED, Standing.UNDECIDED], "1 of 2 orders approved, 1 not."),
    ],
)
def test_the_outcomes_of_a_click_are_told_in_a_sentence(standings: list[Standing], summary: str) -> None:
    assert Outcomes.of(Choice.APPROVE, [line(one) for one in standings]).summary == summary


def test_what_needs_a_look_comes_first() -> None:
    outcomes = Outcomes.of(Choice.APPROVE, [line(Standing.APPLIED), line(Standing.UNSENT, "x"), line(Standing.APPLIED)])
    assert [one.standing for one in outcomes.lines] == [Standing.UNSENT, Standing.APPLIED, Standing.APPLIED]


# An order ------------------------------------------------------------------------------------------------------------


def test_the_line_of_steps_shows_what_is_done_what_is_awaited_and_what_would_come() -> None:
    record = an_order()
    page = order_page(
        record.order_id, known_of(record, journal(record.order_id, OrderState.RECEIVED, OrderState.VALIDATED))
    )
    assert [mark.standing for mark in page.line] == ["done", "done", "now", *["todo"] * 5]
    assert page.words == "Waits for approval."
    assert page.deadline == record.approval_deadline


def test_an_order_whose_events_were_archived_says_so_and_shows_its_whole_way() -> None:
    states = (OrderState.RECEIVED, OrderState.VALIDATED, OrderState.CANCELLED)
    archive: dict[str, Any] = {"archived_sequence": 3, "archived_states": states, "archived_in": ("orders-1.jsonl.gz",)}
    record = an_order(state=OrderState.CANCELLED, last_sequence=3, **archive)
    page = order_page(record.order_id, known_of(record, ()))
    assert page.archived == "Events 1 to 3 were moved into the archive: the file orders-1.jsonl.gz."
    assert [(mark.name, mark.standing, mark.at) for mark in page.line] == [
        ("Received", "done", None),
        ("Checked", "done", None),
        ("Cancelled", "failed", None),
    ]
    assert order_page("order-1001", known_of(an_order(), ())).archived is None


def test_an_order_that_ended_otherwise_has_nothing_more_to_come() -> None:
    page = order_page("order-2002", an_ended_order())
    assert [(mark.name, mark.standing) for mark in page.line][-2:] == [
        ("Shipping failed", "failed"),
        ("Refunded", "done"),
    ]
    assert all(mark.standing in ("done", "failed") for mark in page.line)
    assert page.words == "Could not be shipped, the money was given back: every attempt to ship it failed."
    assert page.deadline is None


def test_an_order_of_which_nothing_is_recorded_says_so() -> None:
    page = order_page("order-9", DatabaseSide(None, None, (), (), None, cut=False))
    assert page.words == "Nothing of it is recorded: no order.created of it was accepted."
    assert (page.amount, page.archived) == (None, None)
    assert not page.lines
    assert not page.can


def test_an_event_of_a_later_version_is_shown_by_its_type() -> None:
    body = json.dumps({"occurred_at": NOW.isoformat()})
    later = StoredEvent(order_id="order-1001", sequence=3, type="order.gift_wrapped", payload_json=body)
    page = order_page("order-1001", known_of(an_order(), (later,)))
    assert [line.what for line in page.journal] == ["order.gift_wrapped"]


def test_the_journal_says_who_decided_and_what_they_said() -> None:
    record = an_order(state=OrderState.CANCELLED)
    states = (OrderState.RECEIVED, OrderState.VALIDATED, OrderState.CANCELLED)
    page = order_page(record.order_id, known_of(record, journal(record.order_id, *states)))
    last = page.journal[-1]
    assert (last.cause, last.by, last.vouched, last.note) == ("cancellation", "bob", "unverified", "ordered twice")


def test_what_can_be_done_is_what_the_workflow_s_rules_apply() -> None:
    assert what_can_be_done(OrderState.VALIDATED) == {
        EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED, EventType.ORDER_ADDRESS_UPDATED,
    }  # fmt: skip
    assert what_can_be_done(OrderState.PAID) == set()
    assert all(what_can_be_done(state) == set() for state in OrderState if state.is_final)
    assert what_can_be_done(None) == set()


def test_an_address_form_sends_the_lines_that_changed() -> None:
    form = AddressForm(
        batch="b" * 32, order="2:o-1", street="Rua Augusta 1 ", was_street="Rua Augusta 1",
        city="Porto", was_city="Lisbon", zip_code="", was_zip_code="1100-048", country="PT",
    )  # fmt: skip
    assert form.changes == {"city": "Porto", "country": "PT"}


def test_a_form_with_another_address_is_another_decision() -> None:
    names = {
        Chosen(Choice.READDRESS, "b" * 32, address=address).name
        for address in ({"city": "Porto"}, {"city": "Lisbon"}, {"street": "Porto"}, {"city": "Porto"})
    }
    assert len(names) == 3


@pytest.mark.parametrize("choice", Choice)
@pytest.mark.parametrize("standing", Standing)
def test_only_what_is_applied_is_said_to_be_so(choice: Choice, standing: Standing) -> None:
    words = OutcomeLine("o-1", choice, standing, "order_changed").words
    assert (words == f"{choice.is_done}.") is (standing is Standing.APPLIED)
    assert ("not" in words or "keeps" in words or "of before" in words) is (standing is not Standing.APPLIED)


def test_a_server_that_does_not_answer_is_not_said_to_have_nothing() -> None:
    page = GALLERY["system-away"]()
    assert page.count("Not known.") == 4
    for claim in ("No bridge is in the group", "No worker asks", "There is no order"):
        assert claim not in page
    assert "Nothing stands still" not in page


def test_a_dry_run_warns_of_what_would_be_set_aside_again() -> None:
    good = PlanRow("0:1", "order.approved:0", "o-1", OrderState.VALIDATED, "It would be applied.")
    wrong = replace(good, place="0:2", in_vain=True)
    gone = replace(good, place="0:3", goes=False)
    said = [PlanPage(rows, 0, ()) for rows in ((good, gone), (wrong, gone), (good, wrong, wrong))]
    assert [page.warning for page in said] == [
        None,
        "Nothing would come of it: what is wrong with what was sent is not corrected.",
        "Nothing would come of 2 of them: what is wrong with what was sent is not corrected.",
    ]
    assert [page.is_in_vain for page in said] == [False, True, False]


# A replay, and the installation --------------------------------------------------------------------------------------


def outcome(kind: InboundOutcome, reason: ReasonCode | None = None) -> EventOutcome:
    return EventOutcome(event_id="e-1", type="order.approved", outcome=kind, reason=reason, at=NOW)


@pytest.mark.parametrize(
    ("effect", "recorded", "set_aside_at", "words"),
    [
        (Effect.APPLIED, None, None, "Sent; not decided yet."),
        (Effect.APPLIED, outcome(InboundOutcome.APPLIED), None, "Applied."),
        (
            Effect.APPLIED,
            outcome(InboundOutcome.REJECTED, ReasonCode.ORDER_CLOSED),
            None,
            "Rejected, because the order was over already.",
        ),
        (Effect.DUPLICATE, None, None, "Nothing: this very event had been decided before."),
        (Effect.SET_ASIDE, None, "0:7", "It was set aside again, at 0:7."),
    ],
)
def test_a_replayed_record_says_what_came_of_it(
    effect: Effect, recorded: EventOutcome | None, set_aside_at: str | None, words: str
) -> None:
    sent = Prospect(Place(0, 1), "0:1", "orders:0", "o-1", "e-1", EventType.ORDER_APPROVED, None, effect)
    assert came_of(sent, recorded, set_aside_at) == words


@pytest.mark.parametrize(
    ("state", "done", "total", "words"),
    [
        (ReplayState.WAITING, 0, None, "Waiting until others are done …"),
        (ReplayState.RUNNING, 0, None, "Being prepared …"),
        (ReplayState.RUNNING, 1, 2, "1 of 2 records sent …"),
        (ReplayState.FAILED, 1, 2, "The replay stopped after 1 record."),
        (ReplayState.DONE, 2, 2, "2 records sent again."),
    ],
)
def test_a_replay_says_how_far_it_is(state: ReplayState, done: int, total: int | None, words: str) -> None:
    begun = Replay("r-1", ReplayRequest(()), "ada", datetime.now(UTC), state, done, total)
    assert replay_page(begun, ()).words == words


@pytest.mark.parametrize(
    ("members", "group_state", "findings"),
    [
        ((), "Empty", ("No bridge runs: nothing that comes to Kafka is handed over. The group bridge is empty.",)),
        (("b-1",), "PreparingRebalance", ("The bridges are sharing their partitions out anew (PreparingRebalance).",)),
        (("b-1",), "Stable", ()),
    ],
)
def test_the_installation_s_page_says_where_no_bridge_works(
    members: tuple[str, ...], group_state: str, findings: tuple[str, ...]
) -> None:
    bridges = BridgesOverview("bridge", group_state, tuple(BridgeMember(one, one, "host", ()) for one in members), ())
    assert system_page(NOW, bridges, None, None, (), count_max=100, pace=None).findings == findings
