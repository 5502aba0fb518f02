"""Records what was added within this version of the contract: ``make record-messages``.

It adds a recording of each message that has none of its name yet, and changes none: a recording is what others sent or
read at its time, and stays for as long as the version does. The contract itself is recorded anew only where it breaks
nothing of the one before. It needs Kafka (``orders stack up``, ``orders stack env``): a recording is what Kafka held.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from activities import journal
from activities.adapters.kafka import KafkaEventPublisher
from bridge.record import Record
from schemas.contract.__main__ import documents, render
from schemas.currencies import ISO_4217_CODES
from schemas.outbound import OutboundEvent
from stack.endpoints import Endpoints
from tests.contract.messages_to_record import inbound_messages, outbound_events
from tests.contract.recorded_messages import (
    CONTRACT,
    CURRENCIES,
    INBOUND,
    OUTBOUND,
    Recorded,
    as_recorded,
    read_by_the_bridge,
    recorded,
    to_line,
)
from tests.helpers.messages.compatibility import breaking_changes
from tests.helpers.messages.kafka_io import Outgoing, StoredRecord, produce, read_topic
from tests.helpers.messages.messages import Message
from tests.helpers.servers.kafka_topics import topics_made


async def _inbound(kafka: str, topic: str, messages: dict[str, tuple[str, Message]]) -> list[Recorded]:
    outgoing = [Outgoing(topic, one.value, one.key, one.headers) for _, one in messages.values()]
    await produce(kafka, outgoing)
    stored = await read_topic(kafka, topic)
    records = [_record(one, own) for one, (own, _) in zip(stored, messages.values(), strict=True)]
    return [
        Recorded(name, record, as_recorded(read_by_the_bridge(record)))
        for name, record in zip(messages, records, strict=True)
    ]


async def _outbound(kafka: str, topic: str, events: dict[str, OutboundEvent]) -> list[Recorded]:
    publisher = KafkaEventPublisher(bootstrap_servers=kafka, topic=topic, source="urn:temporal-order-orchestrator")
    await publisher.publish(tuple(journal.stored(event) for event in events.values()))
    await publisher.close()
    stored = await read_topic(kafka, topic)
    return [Recorded(name, _record(one, "order.events")) for name, one in zip(events, stored, strict=True)]


def _record(stored: StoredRecord, topic: str) -> Record:
    """A record under the name that its topic has in the contract."""
    record = Record("", stored.partition, stored.offset, stored.timestamp_ms, stored.key, stored.value, stored.headers)
    return replace(record, topic=topic)


def _add(path: Path, new: Iterable[Recorded]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for one in new:
            file.write(to_line(one) + "\n")
            sys.stdout.write(f"recorded: {path.stem}, {one.name}\n")


def _record_the_contract() -> None:
    """What was added holds from now on as well."""
    former, present = json.loads(CONTRACT.read_text()), documents()["asyncapi.json"]
    broken = breaking_changes(former, present)
    if broken:
        sys.exit("breaks what is recorded, and needs a version 2:\n" + "\n".join(broken))
    # What the former does not have of the present one was added.
    if breaking_changes(present, former) and present["info"]["version"] == former["info"]["version"]:
        sys.exit("something was added: raise the second number of CONTRACT_VERSION, and run make contract first")
    CONTRACT.write_text(render(present))
    currencies = set(json.loads(CURRENCIES.read_text())) | ISO_4217_CODES
    CURRENCIES.write_text(json.dumps(sorted(currencies)) + "\n")


async def _main() -> None:
    endpoints = Endpoints.from_environment()
    if endpoints is None:
        sys.exit("needs Kafka: run orders stack up, and put what orders stack env prints into the environment")
    _record_the_contract()
    kafka, mark = endpoints.kafka_bootstrap_servers, secrets.token_hex(4)
    messages = {name: one for name, one in inbound_messages().items() if name not in recorded(INBOUND)}
    events = {name: one for name, one in outbound_events().items() if name not in recorded(OUTBOUND)}
    topics = {f"recorded.in.{mark}": 1, f"recorded.out.{mark}": 1}
    async with topics_made(kafka, topics):
        to_read, to_write = topics
        _add(INBOUND, await _inbound(kafka, to_read, messages))
        _add(OUTBOUND, await _outbound(kafka, to_write, events))


if __name__ == "__main__":
    asyncio.run(_main())
