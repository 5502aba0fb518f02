"""Every page in the forms that it may take, as markup, made from invented data."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiokafka import TopicPartition

from orders.operations.dead_letters.finding import Summary
from orders.operations.dead_letters.prospects import Effect, Prospect
from orders.operations.dead_letters.replay_plan import Refused
from orders.operations.dead_letters.selection import Place
from orders.operations.explain.gathering import Explanation
from orders.operations.explain.kafka_side import HeldRecord, KafkaSide, NamingRecord
from orders.operations.explain.temporal_side import RunView, TemporalSide
from orders.operations.overview import (
    BridgeMember,
    BridgesOverview,
    PartitionOverview,
    WorkerOverview,
    WorkersOverview,
)
from orders.web.console.pages.answers import NOBODY, UNKNOWN, Person
from orders.web.console.pages.order import Run, choices
from orders.web.console.rendering.templates import render
from orders.web.console.views.dead_letters import SPANS, Filter, LetterPage, LetterRow, LettersPage, PlanPage, PlanRow
from orders.web.console.views.decisions import Choice, OutcomeLine, Outcomes, Standing
from orders.web.console.views.order import address_lines, order_page
from orders.web.console.views.orders import AGES, SORTS, Group, OrderRow, OrdersPage, Query
from orders.web.console.views.pace import Pace
from orders.web.console.views.system import system_page
from orders.web.console.views.waiting import GoneOrder, Shown, WaitingPage, waiting_order
from schemas.event_types import EventType
from schemas.order import Address
from schemas.states import OrderState
from tests.helpers.console.made_up import (
    HOSTILE,
    NOW,
    an_ended_order,
    an_often_moved_order,
    an_order,
    journal,
    known_of,
    several_orders,
)

ADA = Person("ada", "approver", "/console/sign-out")


def _page(template: str, here: str = "", **values: Any) -> str:
    return render(template, now=NOW, caller=ADA, here=here, **values)


# Waiting -------------------------------------------------------------------------------------------------------------


def _waiting(*orders: Any, may_decide: bool = True, outcomes: Any = None, total: int | None = None) -> str:
    shown = WaitingPage(
        now=NOW,
        orders=orders,
        total=len(orders) if total is None else total,
        is_more=False,
        longest=timedelta(minutes=3, seconds=20) if orders else None,
        after=None,
        following="x" if total else None,
        may_decide=may_decide,
        batch="b" * 32,
    )
    return _page("waiting.html", "Waiting", page=shown, digest="x", outcomes=outcomes)


def waiting() -> str:
    orders: list[Any] = [waiting_order(one, NOW) for one in several_orders()]
    gone = [GoneOrder("order-0998", OrderState.EXPIRED, None), GoneOrder("order-0999", OrderState.APPROVED, "bob")]
    return _waiting(*orders[:2], *gone, *orders[2:])


def waiting_for_a_viewer() -> str:
    return _waiting(*[waiting_order(one, NOW) for one in several_orders()], may_decide=False)


def nothing_waits() -> str:
    return _waiting()


def decided() -> str:
    lines = [
        OutcomeLine("order-1001", Choice.APPROVE, Standing.APPLIED),
        OutcomeLine("order-1002", Choice.APPROVE, Standing.REJECTED, "order_changed"),
        OutcomeLine(
            "order-1003",
            Choice.APPROVE,
            Standing.UNANSWERED,
            "Temporal did not answer at 127.0.0.1:7233; start it with `orders up`",
        ),
        OutcomeLine("order-1004", Choice.APPROVE, Standing.UNDECIDED, "a worker, which has not answered"),
    ]
    orders = [waiting_order(one, NOW) for one in several_orders()]
    return _waiting(*orders, outcomes=Outcomes.of(Choice.APPROVE, lines), total=120)


def hostile_orders() -> str:
    orders = [
        an_order(
            f"o-{number}", customer_id=text[:1_000], items=(), address={"street": text[:1_000], "city": text[:1_000]}
        )
        for number, text in enumerate(HOSTILE.values())
    ]
    return _waiting(*[waiting_order(one, NOW) for one in orders])


# One order -----------------------------------------------------------------------------------------------------------


def _order(recorded: Any, order_id: str, **more: Any) -> str:
    shown = order_page(order_id, recorded)
    values = {
        "may_decide": True,
        "can": choices(shown.can),
        "token": Shown(order_id, 2).token,
        "batch": "b" * 32,
        "outcomes": None,
        "address_lines": address_lines(shown.details.address if shown.details else Address()),
    }
    return _page("order.html", "Orders", order=shown, **values, **{"known": None, **more})


def an_order_that_waits() -> str:
    record = an_order()
    known = known_of(record, journal(record.order_id, OrderState.RECEIVED, OrderState.VALIDATED))
    return _order(known, record.order_id)


def an_order_with_everything() -> str:
    known = an_ended_order()
    order_id = "order-2002"
    record = NamingRecord("order.created", 3, 17, 1_764_104_645_000, "e-1", "order.created", None, "x", taken=True)
    kafka = KafkaSide((record,), (), scanned=1_200, skipped=0, cut=False)
    run = RunView(f"order:{order_id}", "2a4b", "OrderWorkflow", "COMPLETED", NOW - timedelta(minutes=2), NOW)
    temporal = TemporalSide((run,), False, None, None, None, ())
    everything = Explanation(order_id, kafka, temporal, known, ())
    link = f"http://127.0.0.1:8233/namespaces/default/workflows/order%3A{order_id}/2a4b/history"
    runs = [Run(run.workflow_id, "the order", run.status, run.started_at, run.closed_at, link)]
    return _order(known, order_id, known=everything, runs=runs, times={record.coordinates: "2026-11-25 21:04:05 UTC"})


def an_order_told_much() -> str:
    known = an_often_moved_order()
    order_id, stamp = "order-4004", 1_764_104_645_000
    records = tuple(
        NamingRecord(topic, 3, 1_700 + number, stamp, f"upstream-{number:036}", topic, None, "x", taken=True)
        for number in range(41)
        for topic in ["order.address_updated" if number else "order.created"]
    )
    everything = Explanation(order_id, KafkaSide(records, (), scanned=1_200, skipped=0, cut=False), None, known, ())
    times = dict.fromkeys((one.coordinates for one in records), "2026-11-25 21:04:05 UTC")
    return _order(known, order_id, known=everything, runs=[], times=times)


def an_order_in_trouble() -> str:
    record = an_order("order-3003")
    known = known_of(record, journal(record.order_id, OrderState.RECEIVED, OrderState.VALIDATED))
    stamp = 1_764_104_645_000
    cut = NamingRecord("order.approved", 3, 4, stamp, None, "order.approved", "json_truncated", "a", taken=True)
    held = HeldRecord("order.cancelled", 3, 9, stamp, readable_to=9, end=12)
    letters = tuple(
        Summary(f"3:{n}", stamp, "order.approved:3:4", "a", "decode", "json_truncated", message, None, False, 0)
        for n, message in enumerate(("is cut off before its end: send the whole JSON document", HOSTILE["a tag"]))
    )
    kafka = KafkaSide((cut,), letters, scanned=100_000, skipped=4_000_000, cut=True, held=(held,))
    run = RunView("order:order-3003", "2a4b", "OrderWorkflow", "FAILED", NOW - timedelta(minutes=2), NOW)
    temporal = TemporalSide((run,), True, None, None, "OrphanedEvents: its order never came", (), "it is another's")
    problems = ("Postgres did not answer at 127.0.0.1:5432; start the servers with `orders up`",)
    everything = Explanation("order-3003", kafka, temporal, None, problems)
    runs = [Run(run.workflow_id, "the order", run.status, run.started_at, run.closed_at, None)]
    times = dict.fromkeys((cut.coordinates, held.coordinates), "2026-11-25 21:04:05 UTC")
    return _order(known, "order-3003", known=everything, runs=runs, times=times)


# Orders --------------------------------------------------------------------------------------------------------------

_COUNTS = tuple((state, number * 37) for number, state in enumerate(OrderState))


def _orders(query: Query, *groups: Group) -> str:
    shown = OrdersPage(query, groups, _COUNTS, 10_000, "next" if groups else None)
    return _page("orders.html", "Orders", page=shown, ages=AGES, sorts=SORTS, may_be_id=True)


def orders() -> str:
    return _orders(Query(), Group(None, tuple(OrderRow.of(one) for one in several_orders())))


def orders_of_a_customer() -> str:
    rows = tuple(OrderRow.of(one) for one in several_orders())
    query = Query("c-4711", OrderState.VALIDATED)
    return _orders(query, Group("Orders with this payment id", rows[:1]), Group("Orders of this customer", rows[1:]))


def no_orders() -> str:
    return _orders(Query('<img src=x onerror="x">', None, "1d"))


# Dead letters --------------------------------------------------------------------------------------------------------


def _rows() -> tuple[LetterRow, ...]:
    message = "is cut off before its end: send the whole JSON document"
    rows = [
        LetterRow(
            f"{n}:1{n}", "2026-11-25 21:04:05 UTC", f"order.created:{n}:17", "json_truncated", message, f"order-{n}", n
        )
        for n in range(3)
    ]
    hostile = [
        LetterRow(f"7:{n}", "2026-11-25 21:04:05 UTC", text[:300], text[:60], text, text[:200], 0)
        for n, text in enumerate(HOSTILE.values())
    ]
    return (*rows, *hostile)


def dead_letters() -> str:
    page = LettersPage(
        _rows(), 340, 329, (("json_truncated", 12), ("key_mismatch", 3)), ("order.created", "order.approved")
    )
    return _page(
        "dead_letters.html",
        "Dead letters",
        page=page,
        query=Filter(reason="json_truncated"),
        spans=SPANS,
        may_replay=True,
        replays=[],
    )


def no_dead_letters() -> str:
    page = LettersPage((), 0, 0, (), ("order.created",))
    return _page(
        "dead_letters.html", "Dead letters", page=page, query=Filter(), spans=SPANS, may_replay=False, replays=[]
    )


def dead_letter() -> str:
    letter = LetterPage(
        place="3:17", at="2026-11-25 21:04:05 UTC", origin="order.created:3:17", stage="decode",
        error_code="json_truncated",
        message="is cut off before its end: send the whole JSON document", attempts="1", bridge_version="0.1.0",
        replay_count=1, gone=None, order_id="order-1001", key="order-1001",
        headers=(("traceparent", "00-4bf9"), ("x", HOSTILE["a tag"])), renamed_headers=True,
        value_bytes=9_000, shown_bytes=4_096,
        lines=('{"order_id": "order-1001",', ' "payment_id": "<b>p</b>'), is_hexdump=False,
    )  # fmt: skip
    return _page("dead_letter.html", "Dead letters", letter=letter, may_replay=True)


def plan() -> str:
    effects = {
        Effect.APPLIED: None, Effect.STARTS: None, Effect.HELD: None, Effect.REFUSED: "order_closed",
        Effect.DUPLICATE: None, Effect.SET_ASIDE: "json_truncated", Effect.GONE: "its topic does not keep it any more",
    }  # fmt: skip
    rows = [
        PlanRow.of(
            Prospect(
                Place(3, n),
                "x",
                "order.approved:3",
                f"order-{n}",
                "e",
                EventType.ORDER_APPROVED,
                OrderState.VALIDATED,
                effect,
                why,
            )
        )
        for n, (effect, why) in enumerate(effects.items())
    ]
    refused = (
        Refused("3:99", "was replayed 3 times already and set aside each time: look at it with `orders dlq show 3:99`"),
    )
    page = PlanPage(tuple(rows), 2, refused)
    return _page("plan.html", "Dead letters", plan=page, batch="b" * 32)


# System --------------------------------------------------------------------------------------------------------------


def _partition(number: int, **changes: Any) -> PartitionOverview:
    values: dict[str, Any] = {
        "owner": "orders-bridge-1",
        "unread": 0,
        "held": 0,
        "end": 4_000,
        "oldest_offset": None,
        "oldest_at": None,
    }
    return PartitionOverview("order.created", number, **(values | changes))


def system() -> str:
    partitions = tuple(TopicPartition("order.created", number) for number in range(4))
    stuck = _partition(3, unread=120, held=4, oldest_offset=17, oldest_at=NOW - timedelta(minutes=12))
    bridges = BridgesOverview(
        "orders-bridge", "Stable", (BridgeMember("m", "orders-bridge-1", "10.0.0.7", partitions),),
        (*(_partition(n) for n in range(3)), stuck),
    )  # fmt: skip
    workers = WorkersOverview(
        ("order-tq", "shipping-tq"), (WorkerOverview("order-tq", "4711@worker-1", NOW - timedelta(seconds=9)),)
    )
    counts = {OrderState.VALIDATED: 12, OrderState.PAID: 10_000}
    pace = Pace(timedelta(seconds=60), came=1_200, settled=1_080)
    page = system_page(NOW, bridges, workers, counts, [], count_max=10_000, pace=pace)
    return _page("system.html", "System", system=page)


def system_away() -> str:
    problems = ["Kafka did not answer at 127.0.0.1:9092: start it, or set KAFKA_BOOTSTRAP_SERVERS"]
    return _page(
        "system.html", "System", system=system_page(NOW, None, None, None, problems, count_max=10_000, pace=None)
    )


def message() -> str:
    sentence = "Postgres did not answer at 127.0.0.1:5432; start the servers with `orders up`"
    values: dict[str, Any] = {
        "title": "A server does not answer",
        "sentence": sentence,
        "try_again": "/console/",
        "home": None,
    }
    return _page("message.html", sign_in=None, **values)


def message_to_nobody() -> str:
    sentence = "Nothing is at this address. It may be mistyped, or from an earlier version of the console."
    values = {"title": "There is no such page", "sentence": sentence, "try_again": None, "home": "/console/"}
    return render("message.html", now=NOW, caller=NOBODY, here="", sign_in="/console/sign-in?next=x", **values)


def message_to_somebody_unknown() -> str:
    sentence = "More was asked for than one may ask for in a minute. Nothing was done. Wait 12 s, then try again."
    values = {"title": "Too many requests", "sentence": sentence, "try_again": "/console/orders", "home": "/console/"}
    return render("message.html", now=NOW, caller=UNKNOWN, here="", sign_in=None, **values)


GALLERY: dict[str, Callable[[], str]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        waiting, waiting_for_a_viewer, nothing_waits, decided, hostile_orders, an_order_that_waits,
        an_order_with_everything, an_order_told_much, an_order_in_trouble, orders, orders_of_a_customer, no_orders,
        dead_letters, no_dead_letters, dead_letter, plan, system, system_away, message, message_to_nobody,
        message_to_somebody_unknown,
    )
}  # fmt: skip
"""Every page, by name."""
