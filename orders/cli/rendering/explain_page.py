"""An explanation as a page for a person. Pure, but for that person's zone."""

import json
from collections.abc import Iterator

from orders.cli.rendering.dead_letters import summary_lines
from orders.cli.rendering.event_lines import event_line
from orders.cli.rendering.moments import in_this_zone, moment_text, timestamp_text
from orders.cli.rendering.safe_markup import safe_markup
from orders.hints import as_typed
from orders.operations.explain.database_side import DatabaseSide
from orders.operations.explain.gathering import Explanation
from orders.operations.explain.kafka_side import FOUND_MAX, KafkaSide
from orders.operations.explain.temporal_side import TemporalSide


def page(known: Explanation) -> Iterator[str]:
    """Lines in rich's markup."""
    yield f"[bold]order {safe_markup(known.order_id)}[/bold]  {_where(known)}"
    for problem in known.unreachable:
        yield f"[red]missing:[/red] {safe_markup(as_typed(problem))}"
    waits = known.waits_for
    for sentence in waits:
        yield f"[yellow]waits for[/yellow] {safe_markup(in_this_zone(as_typed(sentence)))}"
    if not waits and not known.unreachable:
        yield "[dim]waits for nothing[/dim]"
    if known.kafka is not None:
        yield from _kafka_lines(known, known.kafka)
    if known.temporal is not None:
        yield from _temporal_lines(known.temporal)
    if known.database is not None:
        yield from _database_lines(known.database)


def _where(known: Explanation) -> str:
    """Where the order is, in a word: its step while a run can say, else its recorded state."""
    status = known.temporal.status if known.temporal else None
    row = known.database.order if known.database else None
    if status is not None:
        return safe_markup(status.step.value + (f" ({status.reason.value})" if status.reason else ""))
    if row is not None:
        return safe_markup(row.state.value + (f" ({row.reason.value})" if row.reason else ""))
    return "no state recorded"


def _kafka_lines(known: Explanation, kafka: KafkaSide) -> Iterator[str]:
    yield _heading("Records that name it", len(kafka.records) + len(kafka.held))
    for record in kafka.records:
        event_id = f"  event {record.event_id}" if record.event_id else ""
        yield (
            f"  [dim]{timestamp_text(record.timestamp_ms)}[/dim]  {safe_markup(record.coordinates)}"
            f"[dim]{safe_markup(event_id)}[/dim]  {safe_markup(known.outcome_of(record))}"
        )
    for held in kafka.held:
        yield (
            f"  [dim]{timestamp_text(held.timestamp_ms)}[/dim]  {safe_markup(held.coordinates)}  "
            "[yellow]behind a producer's open transaction: cannot be read yet[/yellow]"
        )
    yield _heading("Dead letters", len(kafka.letters))
    for line in summary_lines(kafka.letters):
        yield f"  {line}"
    if kafka.skipped:
        yield (
            f"  [yellow]cut:[/yellow] {kafka.scanned} records of the topics were read, the newest; {kafka.skipped} "
            "older ones were not: --limit reads more"
        )
    if kafka.cut:
        yield f"  [yellow]cut:[/yellow] only the last {FOUND_MAX} records and dead letters that name it are shown"


def _temporal_lines(temporal: TemporalSide) -> Iterator[str]:
    yield _heading("Runs in Temporal", len(temporal.runs))
    for run in temporal.runs:
        span = f"{moment_text(run.started_at)} to {moment_text(run.closed_at) if run.closed_at else 'now'}"
        what = safe_markup(f"{run.workflow_id}  {run.type} {run.status}")
        yield f"  [dim]{span}[/dim]  {what}  [dim]{run.run_id}[/dim]"
    if temporal.runs_cut:
        yield f"  [yellow]cut:[/yellow] only {len(temporal.runs)} runs are shown"
    if temporal.failure:
        yield f"  [red]failed:[/red] {safe_markup(temporal.failure)}"
    for one in temporal.pending:
        again = f", next at {moment_text(one.next_attempt_at)}" if one.next_attempt_at else ""
        failure = f", last failure: {one.last_failure}" if one.last_failure else ""
        yield f"  at {safe_markup(one.type)}, attempt {one.attempt}{again}{safe_markup(failure)}"


def _database_lines(database: DatabaseSide) -> Iterator[str]:
    order, payment = database.order, database.payment
    yield _heading("Recorded", None)
    if order is None:
        yield "  no order.created of it was accepted"
    else:
        total = f"{order.details.amount} {order.details.currency} (minor units)"
        yield f"  {order.state.value}, {total}, payment {safe_markup(order.details.payment_id)}"
        if order.tracking_id:
            yield f"  tracking {safe_markup(order.tracking_id)}"
        if order.forgotten_at is not None:
            yield f"  personal data erased on {moment_text(order.forgotten_at)}"
    if payment is not None:
        owner = "" if order and payment.order_id == order.order_id else f", of order {payment.order_id}"
        reason = f" ({payment.reason.value})" if payment.reason else ""
        yield f"  payment {payment.status.value}{reason}: {payment.amount} {payment.currency}{safe_markup(owner)}"
    yield _heading("Published", len(database.events))
    if order is not None and order.archived_sequence:
        files = safe_markup(", ".join(order.archived_in))
        yield f"  events up to {order.archived_sequence} are in the archive: {files}"
    for event in database.events:
        yield f"  {event_line(event.type, json.loads(event.payload_json))}"
    yield _heading("Events decided", len(database.inbound))
    for one in database.inbound:
        reason = f" ({one.reason.value})" if one.reason else ""
        named = safe_markup(f"{one.type}  {one.event_id}")
        yield f"  [dim]{moment_text(one.at)}[/dim]  {named}  {one.outcome.value}{reason}"
    if database.cut:
        yield "  [yellow]cut:[/yellow] there are more than are shown"


def _heading(name: str, count: int | None) -> str:
    number = "" if count is None else f" [dim]({count})[/dim]"
    return f"\n[bold]{name}[/bold]{number}"
