"""``orders produce``: a command for each of the four inbound topics."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from orders.cli import options
from orders.cli.common import JsonOption, command_app, console, print_json, run_command, server_settings
from orders.clients.kafka import kafka_producer, kafka_unreachable
from orders.operations.bodies import body_fields, build_body
from orders.operations.messages import Encoding, Message, encode_message, order_id_in
from orders.processes.exit_status import ExitStatus, OrdersError, UnreachableError
from orders.settings import Settings
from schemas.event_types import EventType

app = command_app(
    no_args_is_help=True,
    help=(
        "Send a message to Kafka, as upstream would.\n\n"
        "The message is checked by the contract before it is sent; with --file it is sent as it is, also a bad one.\n\n"
        "Examples: [bold]orders produce created o-1 --payment-id p-1[/bold], "
        "[bold]orders produce approved o-1 --encoding binary[/bold], "
        '[bold]echo \'{"order_id": "o-1"}\' | orders produce cancelled --file -[/bold]'
    ),
)

_RECORD = "Record"

OrderId = Annotated[
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
EncodingOption = Annotated[
    Encoding,
    typer.Option(
        "--encoding", rich_help_panel=_RECORD, help="A bare JSON object, or CloudEvents in binary or structured mode."
    ),
]


@app.command()
def created(
    order_id: OrderId = None,
    *,
    payment_id: options.PaymentId = None,
    customer_id: options.CustomerId = None,
    currency: options.Currency = None,
    amount: options.Amount = None,
    item: options.Items = None,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """An order was placed.

    Example: [bold]orders produce created o-1 --payment-id p-1 --item mug:2:1250[/bold]
    """
    fields = {
        "order_id": order_id,
        "payment_id": payment_id,
        "customer_id": customer_id,
        "currency": currency,
        "amount": amount,
        "items": options.item_fields(item),
        "shipping_address": options.address_fields(street, city, state, zip_code, country),
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_CREATED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


@app.command()
def approved(
    order_id: OrderId = None,
    *,
    approved_by: options.ApprovedBy = None,
    note: options.Note = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """A person or a system approved the order.

    Example: [bold]orders produce approved o-1 --approved-by ada[/bold]
    """
    fields = {
        "order_id": order_id,
        "approved_by": approved_by,
        "note": note,
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_APPROVED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


@app.command()
def cancelled(
    order_id: OrderId = None,
    *,
    cancelled_by: options.CancelledBy = None,
    reason: options.Reason = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """The order is no longer wanted.

    Example: [bold]orders produce cancelled o-1 --reason "ordered twice"[/bold]
    """
    fields = {
        "order_id": order_id,
        "cancelled_by": cancelled_by,
        "reason": reason,
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_CANCELLED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


@app.command("address-updated")
def address_updated(
    order_id: OrderId = None,
    *,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """The order goes elsewhere.

    Example: [bold]orders produce address-updated o-1 --city Porto[/bold]
    """
    fields = {
        "order_id": order_id,
        "address": options.address_fields(street, city, state, zip_code, country) or {},
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_ADDRESS_UPDATED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


class _Record:
    """How the message becomes a record."""

    def __init__(self, encoding: Encoding, file: str | None, key: str | None, *, no_key: bool) -> None:
        if key is not None and no_key:
            raise OrdersError("--key and --no-key contradict each other: give one of them", ExitStatus.USAGE)
        self.encoding = encoding
        self.file = file
        self._key = key
        self._no_key = no_key

    def key_for(self, order_id: str | None) -> bytes | None:
        """The key: none, the one that was given, or the order's id."""
        if self._no_key:
            return None
        chosen = self._key if self._key is not None else order_id
        return None if chosen is None else chosen.encode()


def _send(event_type: EventType, fields: dict[str, Any], record: _Record, *, as_json: bool) -> None:
    message, order_id = _message(event_type, fields, record)
    settings = server_settings()
    topic = settings.inbound_topics[event_type]
    key = record.key_for(order_id)
    partition, offset = run_command(_produce(settings, topic, key, message))
    shown_key = None if key is None else key.decode()
    if as_json:
        print_json({"topic": topic, "partition": partition, "offset": offset, "key": shown_key})
        return
    keyed = "no key" if shown_key is None else f"key {shown_key}"
    console().print(f"sent to {topic}, partition {partition}, offset {offset}, {keyed}", markup=False)


def _message(event_type: EventType, fields: dict[str, Any], record: _Record) -> tuple[Message, str | None]:
    """The message and, where it can be told, its order's id."""
    if record.file is not None:
        given = [
            "ORDER_ID" if name == "order_id" else f"--{name.replace('_', '-')}"
            for name, value in fields.items()
            if value not in (None, {})
        ]
        if given or record.encoding is not Encoding.BARE:
            what = ", ".join(given) or "--encoding"
            raise OrdersError(f"--file sends its bytes as they are, so {what} has no place there", ExitStatus.USAGE)
        value = _read(record.file)
        return Message(value), order_id_in(value)
    body = build_body(event_type, fields)
    message = encode_message(
        event_type,
        body_fields(body),
        encoding=record.encoding,
        event_id=body.event_id or str(uuid4()),
        time=body.occurred_at or datetime.now(UTC),
    )
    return message, body.order_id


def _read(path: str) -> bytes:
    if path == "-":
        # A line typed or echoed ends in a newline that is not part of the message.
        return sys.stdin.buffer.read().removesuffix(b"\n")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OrdersError(f"--file {path} cannot be read: {error.strerror}", ExitStatus.USAGE) from error


async def _produce(settings: Settings, topic: str, key: bytes | None, message: Message) -> tuple[int, int]:
    async with kafka_producer(settings) as producer:
        try:
            # An idempotent producer repeats a request for ever: the wait has its bound here.
            async with asyncio.timeout(settings.kafka_request_timeout_seconds):
                known = await producer.client.fetch_all_metadata()
                if topic not in known.topics():
                    raise OrdersError(f"there is no topic {topic}: make it with `orders migrate`")
                sent = await producer.send_and_wait(topic, message.value, key=key, headers=list(message.headers))
        except MessageSizeTooLargeError as error:
            raise OrdersError(f"Kafka takes no record of {len(message.value)} bytes on {topic}") from error
        except (KafkaError, TimeoutError) as error:
            raise UnreachableError(f"{kafka_unreachable(settings)} ({type(error).__name__})") from error
        return sent.partition, sent.offset
