"""The two ways in which a message is sent: to Kafka, and straight to Temporal. Parameters here are options of both."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from orders.cli import options
from orders.cli.common import JsonOption, OrderIdArgument, console, print_json, run_on_servers
from orders.cli.rendering.moments import in_this_zone
from orders.cli.rendering.progress import progress
from orders.errors import OrdersError, UsageError
from orders.hints import as_typed
from orders.local.endpoints import server_settings
from orders.operations.bodies import build_body
from orders.operations.messages import Encoding, Message, order_id_in
from orders.processes.exit_status import ExitStatus
from schemas.event_types import EventType

Fields = dict[str, Any]
"""The fields of a message's body, as JSON values; None where an option was not given."""

_RECORD = "Record"

OrderIdOrFile = Annotated[
    str | None, typer.Argument(metavar="ORDER_ID", help="The order's id; not with --file.", show_default=False)
]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="PATH", rich_help_panel=_RECORD, help="Send these bytes as they are; - is stdin."),
]
Key = Annotated[
    str | None, typer.Option("--key", rich_help_panel=_RECORD, help="The record's key; the order_id unless given.")
]
NoKey = Annotated[bool, typer.Option("--no-key", rich_help_panel=_RECORD, help="Send it without a key.")]
SignWith = Annotated[
    Path | None,
    typer.Option(
        "--sign-with",
        metavar="KEY",
        rich_help_panel=_RECORD,
        help="Sign it with this private key: a PEM file, or a JWK. Its id: the JWK's, or the file's name without .pem.",
    ),
]
SignAs = Annotated[
    str | None,
    typer.Option("--sign-as", metavar="KEY_ID", rich_help_panel=_RECORD, help="The key's id, where it is another."),
]
EncodingOption = Annotated[
    Encoding,
    typer.Option(
        "--encoding", rich_help_panel=_RECORD, help="A bare JSON object, or CloudEvents in binary or structured mode."
    ),
]


# An operation is imported when it is called: a message to Kafka needs no client of Temporal, and the other way round.


def send_to_temporal(
    event_type: EventType,
    fields: Fields,
    *,
    order_id: OrderIdArgument,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    expected_sequence: options.ExpectedSequence = None,
    wait: options.Wait = options.WAIT_SECONDS,
    no_wait: options.NoWait = False,
    as_json: JsonOption = False,
) -> None:
    """Checks the message, delivers it to its order's workflow, waits for what becomes of it, and says so.

    Raises:
        typer.Exit: with the status `REFUSED` where it was refused, and `TIMED_OUT` where it is not decided.
    """
    from orders.cli.rendering.outcomes import delivered_line, outcome_json, outcome_line  # noqa: PLC0415 - see above
    from orders.operations.decide import OutcomeStatus, send_and_wait  # noqa: PLC0415 - see above
    from orders.operations.send import deliver  # noqa: PLC0415 - see above

    body = build_body(event_type, {"order_id": order_id, **fields, "event_id": event_id, "occurred_at": occurred_at})
    if no_wait:
        with progress("handing it to Temporal", lines=not as_json):
            sent = run_on_servers(
                server_settings(),
                lambda clients: deliver(clients, event_type, body, expected_sequence=expected_sequence),
            )
        if as_json:
            print_json(outcome_json(body.order_id, sent.event_id, sent.outcome, None))
        else:
            console().print(as_typed(delivered_line(event_type, body.order_id, sent.outcome)), markup=False)
        return
    with progress("waiting for what becomes of it", lines=not as_json):
        decision = run_on_servers(
            server_settings(),
            lambda clients: send_and_wait(
                clients, event_type, body, expected_sequence=expected_sequence, wait=timedelta(seconds=wait)
            ),
        )
    if as_json:
        print_json(outcome_json(body.order_id, decision.event_id, decision.delivery, decision.outcome))
    else:
        said = outcome_line(event_type, body.order_id, decision, wait)
        console().print(in_this_zone(as_typed(said)), markup=False)
    if decision.outcome.body_matches is False:
        raise OrdersError(
            f"another message had the event id {decision.event_id} before: what is told here became of that one; "
            "send this one with an event id of its own"
        )
    statuses = {OutcomeStatus.REJECTED: ExitStatus.REFUSED, OutcomeStatus.UNDECIDED: ExitStatus.TIMED_OUT}
    status = statuses.get(decision.outcome.status, ExitStatus.OK)
    if status:
        raise typer.Exit(int(status))


def produce_message(
    event_type: EventType,
    fields: Fields,
    *,
    order_id: OrderIdOrFile = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    sign_with: SignWith = None,
    sign_as: SignAs = None,
    as_json: JsonOption = False,
) -> None:
    """Checks the message, unless it comes from a file, sends it to its topic, and says where it is now."""
    from orders.operations.produce import produce  # noqa: PLC0415 - see above

    if key is not None and no_key:
        raise UsageError("--key and --no-key contradict each other: give one of them")
    if sign_as is not None and sign_with is None:
        raise UsageError("--sign-as names the key of --sign-with: give that too, or leave it out")
    given = {"order_id": order_id, **fields, "event_id": event_id, "occurred_at": occurred_at}
    message, named = _written(event_type, given, encoding) if file is None else _read(file, given, encoding)
    chosen = None if no_key else key if key is not None else named
    raw_key = None if chosen is None else chosen.encode()
    settings = server_settings()
    if sign_with is not None:
        from orders.operations.signing import signed_message  # noqa: PLC0415 - see above

        message = signed_message(settings, event_type, message, sign_with, sign_as)
    with progress("sending it to Kafka", lines=not as_json):
        sent = run_on_servers(settings, lambda clients: produce(clients, event_type, message, raw_key))
    if as_json:
        print_json({"topic": sent.topic, "partition": sent.partition, "offset": sent.offset, "key": chosen})
        return
    keyed = "no key" if chosen is None else f"key {chosen}"
    signed = "" if sign_with is None else ", signed"
    where = f"sent to {sent.topic}, partition {sent.partition}, offset {sent.offset}, {keyed}{signed}"
    console().print(where, markup=False)


def _written(event_type: EventType, given: Fields, encoding: Encoding) -> tuple[Message, str | None]:
    """A message made of options, and its order's id."""
    from orders.operations.produce import message_of  # noqa: PLC0415 - see above

    body = build_body(event_type, given)
    return message_of(event_type, body, encoding), body.order_id


def _read(path: str, given: Fields, encoding: Encoding) -> tuple[Message, str | None]:
    """A message as a file holds it and, where it can be told, its order's id."""
    named = [
        "ORDER_ID" if name == "order_id" else f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value not in (None, {})
    ]
    if named or encoding is not Encoding.BARE:
        what = ", ".join(named) or "--encoding"
        raise UsageError(f"--file sends its bytes as they are, so {what} has no place there")
    value = _bytes_of(path)
    return Message(value), order_id_in(value)


def _bytes_of(path: str) -> bytes:
    if path == "-":
        # A line typed or echoed ends in a newline that is not part of the message.
        return sys.stdin.buffer.read().removesuffix(b"\n")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--file {path} cannot be read: {error.strerror}") from error
