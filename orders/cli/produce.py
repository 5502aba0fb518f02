"""``orders produce``: a command for each of the four inbound topics."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from orders.cli.common import command_app, console, print_json, run_command
from orders.errors import UsageError
from orders.local.endpoints import server_settings
from orders.operations.bodies import body_fields, build_body
from orders.operations.messages import Encoding, Message, encode_message, order_id_in
from orders.operations.produce import _produce
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


class _Record:
    """How the message becomes a record."""

    def __init__(self, encoding: Encoding, file: str | None, key: str | None, *, no_key: bool) -> None:
        if key is not None and no_key:
            raise UsageError("--key and --no-key contradict each other: give one of them")
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
            raise UsageError(f"--file sends its bytes as they are, so {what} has no place there")
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
        raise UsageError(f"--file {path} cannot be read: {error.strerror}") from error
