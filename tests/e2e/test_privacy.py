"""I16 through the whole system, with encryption: texts that are planted everywhere are looked for where none may be."""

import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message as Proto
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter, WorkflowSerializationContext

from orders.clients.payload_codec import AesGcmCodec
from orders.processes.exit_status import ExitStatus
from orders.settings.codec_keys import parse_codec_keys
from schemas.event_types import INBOUND, EventType
from stack import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.servers.databases import connected
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import PLANTED_SECRET, TASK_QUEUES, OrderSystem, order_system
from workflows.converter import DATA_CONVERTER, encrypting
from workflows.names import order_workflow_id

MARK = f"canary{secrets.token_hex(4)}"
"""Part of everything personal that this test sends."""
PERSONAL = {
    name: f"{MARK} {name}"
    for name in (
        *("street", "city", "state", "zip_code", "country", "note", "reason"),
        *("approved_by", "cancelled_by", "updated_by"),
    )
}
ADDRESS = {name: PERSONAL[name] for name in ("street", "city", "state", "zip_code", "country")}
CUSTOMER = f"{MARK}@example.org"
DB_PASSWORD = f"password-{MARK}"
KEY = base64.b64encode(secrets.token_bytes(32)).decode()
SECRETS = (MARK, MARK.encode().hex(), KEY, PLANTED_SECRET)
"""None of these may be anywhere. The database's password and all that is personal hold the mark."""

_DLQ_PREFIX = "dlq_"


@dataclass(slots=True)
class Told:
    """All that the system told outside of where data belong, by where it stood."""

    texts: dict[str, str] = field(default_factory=dict)

    def leaks(self) -> list[str]:
        """The places that hold a secret, and what stands around it."""
        return [
            f"{place}: …{text[max(0, found.start() - 120) : found.end() + 60]}…"
            for place, text in self.texts.items()
            for found in [re.search("|".join(map(re.escape, SECRETS)), text)]
            if found
        ]


@pytest.fixture
async def database_user(endpoints: Endpoints) -> AsyncIterator[str]:
    """A user of our own, whose password is a secret that can be looked for."""
    name = f"privacy_{secrets.token_hex(4)}"
    async with connected(endpoints) as connection:
        await connection.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{DB_PASSWORD}'")
        yield name
        await connection.execute(f"DROP ROLE {name}")


@asynccontextmanager
async def system_with_secrets(endpoints: Endpoints, folder: Path, user: str) -> AsyncIterator[OrderSystem]:
    ports = {"BRIDGE_HEALTH_PORT": str(free_port()), "DB_USER": user, "DB_PASSWORD": DB_PASSWORD}
    async with (
        running_gateway(folder, api_key=PLANTED_SECRET) as gateway,
        order_system(
            endpoints,
            folder,
            start=False,
            gateway=gateway,
            TEMPORAL_CODEC_KEYS=f"k1:{KEY}",
            LOG_LEVEL="debug",
            ORDER_APPROVAL_TIMEOUT_SECONDS="60",
            ORDER_EARLY_EVENT_TTL_SECONDS="3",
            ORDER_PROVIDER_TIME_ALLOWED_SECONDS="8",
            **ports,
        ) as system,
    ):
        workers = {queue: system.start_worker(queue, WORKER_HEALTH_PORT=str(free_port())) for queue in TASK_QUEUES}
        system.start_bridge()
        await system.wait_until_bridges_own_partitions()
        for queue, worker in workers.items():
            await system.wait_until_polled(queue, worker.pid)
        yield system


async def send(system: OrderSystem, event_type: EventType, body: dict[str, Any]) -> None:
    value = json.dumps(body).encode()
    await system.produce([Outgoing(system.topic_of(event_type), value, body["order_id"].encode())])


def created(order_id: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "payment_id": f"p-{order_id}",
        "customer_id": CUSTOMER,
        "amount": 1250,
        "shipping_address": ADDRESS,
    }


def bad_records(system: OrderSystem) -> Iterator[Outgoing]:
    """What is set aside, with personal data in every part of it."""
    topic = system.topic_of(EventType.ORDER_CREATED)
    text = json.dumps(created("bad-1"))
    yield Outgoing(topic, text[:-2].encode())
    yield Outgoing(topic, text.encode(), f"{MARK} another key".encode())
    yield Outgoing(topic, text.replace("1250", f'"{MARK}"').encode())
    yield Outgoing(topic, text.replace("bad-1", CUSTOMER).encode(), CUSTOMER.encode())
    yield Outgoing(topic, json.dumps({**created("bad-2"), "currency": MARK}).encode())
    yield Outgoing(topic, json.dumps({**created("bad-3"), "customer_id": [CUSTOMER]}).encode())
    yield Outgoing(topic, json.dumps({**created("bad-4"), "occurred_at": MARK}).encode())
    headers = (("ce_specversion", MARK.encode()), ("ce_id", b"1"), ("ce_source", MARK.encode()))
    yield Outgoing(topic, text.encode(), None, headers)
    yield Outgoing(topic, f'{{"order_id": "bad-5", "{MARK}": NaN}}'.encode())


async def play(system: OrderSystem, reader: Client, plain: Client) -> list[str]:
    """Every road that personal data take, also those that fail. Returns what the commands told on standard error."""
    assert system.gateway is not None
    # Answers that nobody can use, and that repeat what they were asked.
    await system.gateway.misbehave("POST", "payments", f"body:{CUSTOMER}", "status:503")
    await system.gateway.misbehave("POST", "shipments", f"body:{MARK}")
    await system.produce(bad_records(system))
    completed, cancelled, orphan = (f"{name}-{system.tag}" for name in ("completed", "cancelled", "orphan"))
    await send(system, EventType.ORDER_CREATED, created(completed))
    await send(system, EventType.ORDER_CREATED, created(cancelled))
    await send(
        system,
        EventType.ORDER_ADDRESS_UPDATED,
        {"order_id": completed, "address": ADDRESS, "updated_by": PERSONAL["updated_by"]},
    )
    await send(system, EventType.ORDER_APPROVED, {"order_id": orphan, "approved_by": PERSONAL["approved_by"]})
    for order_id in (completed, cancelled):
        await system.wait_until_states(order_id, "RECEIVED", "VALIDATED", within_seconds=30)
    # By hand: without encryption, and with a body that is no event.
    approve = INBOUND[EventType.ORDER_APPROVED].signal
    await plain.get_workflow_handle(order_workflow_id(completed)).signal(approve, {"body": {"note": "plain"}})
    await reader.get_workflow_handle(order_workflow_id(completed)).signal(approve, [PERSONAL["note"]])
    approval = {"order_id": completed, "approved_by": PERSONAL["approved_by"], "note": PERSONAL["note"]}
    await send(system, EventType.ORDER_APPROVED, approval)
    told = []
    by_hand = [
        ["cancel", cancelled, "--reason", PERSONAL["reason"], "--cancelled-by", PERSONAL["cancelled_by"]],
        ["start", CUSTOMER, "--payment-id", "p-1"],
        ["start", f"refused-{system.tag}", "--payment-id", "p-1", "--currency", MARK],
        ["list", "--older-than", "1h"],
        ["explain", f"unknown-{system.tag}"],
        ["settings"],
    ]
    for arguments in by_hand:
        ended = await run_in_process(arguments, system.settings)
        told.append(ended.stderr.replace(CUSTOMER, "what was typed") + ended.stdout)
    await system.wait_until_idle()
    await read_by_those_who_have_the_key(system, completed, orphan)
    # Late, as the run is over.
    await send(system, EventType.ORDER_CANCELLED, {"order_id": completed, "reason": PERSONAL["reason"]})
    await system.wait_until_idle()
    return told


async def read_by_those_who_have_the_key(system: OrderSystem, completed: str, orphan: str) -> None:
    """The commands show people what Temporal holds of an order, and say so where they cannot."""
    status = await run_in_process(["status", completed, "--json"], system.settings)
    assert json.loads(status.stdout)["address"] == ADDRESS
    explained = await run_in_process(["explain", orphan], system.settings)
    assert "no order.created within the time to live" in explained.stdout, explained.stdout
    without = {name: value for name, value in system.settings.items() if name != "TEMPORAL_CODEC_KEYS"}
    refused = await run_in_process(["status", completed], without)
    assert (refused.returncode, refused.stdout) == (ExitStatus.USAGE, "")
    assert "TEMPORAL_CODEC_KEYS is not set" in refused.stderr
    other = {**without, "TEMPORAL_CODEC_KEYS": f"k2:{KEY}"}
    explained = await run_in_process(["explain", completed], other)
    assert "the key 'k1', which TEMPORAL_CODEC_KEYS does not have" in explained.stdout + explained.stderr
    assert "COMPLETED" in explained.stdout, "the other servers answer"


async def health_answers(system: OrderSystem) -> str:
    ports = re.findall(r'"port": (\d+)', "\n".join(process.log for process in system.processes))
    assert len(ports) == len(system.processes)
    async with httpx.AsyncClient(trust_env=False) as client:
        answers = [
            await client.get(f"http://127.0.0.1:{port}{path}") for port in ports for path in ("/livez", "/readyz")
        ]
    return "\n".join(answer.text for answer in answers)


def failures_in(message: Proto) -> Iterator[Failure]:
    """Every failure anywhere in a message of Temporal's."""
    if isinstance(message, Failure):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            # Of repeated fields and maps only the messages in them; no failure is in a map.
            for one in [value] if isinstance(value, Proto) else value:
                yield from failures_in(one) if isinstance(one, Proto) else ()


async def told_by_run(reader: Client, run: WorkflowExecution, told: Told) -> str:
    """Adds what Temporal shows of a run; returns its history as those read it who have the keys."""
    handle = reader.get_workflow_handle(run.id, run_id=run.run_id)
    description = await handle.describe()
    place = f"{run.workflow_type} {run.id}"
    details = await handle.query("__temporal_workflow_metadata")
    summary = f"{await description.static_summary()} {await description.static_details()}"
    told.texts |= {
        f"{place}, as it is listed": str(run.raw_info),
        f"{place}, as it is described": str(description.raw_description),
        f"{place}, memo": str(await description.memo()),
        f"{place}, search attributes": str(description.typed_search_attributes),
        f"{place}, static summary and details": summary,
        f"{place}, current details": str(details),
    }
    history = await handle.fetch_history()
    clear = []
    for event in history.events:
        told.texts[f"{place}, event {event.event_id}"] = event.SerializeToString().decode("latin-1")
        for failure in failures_in(event):
            told.texts[f"{place}, failure of event {event.event_id}"] = await failure_text(
                converter_for(reader, _child_of(event) or run.id), failure
            )
        for payload in event.workflow_execution_signaled_event_attributes.input.payloads:
            clear += await _decoded(converter_for(reader, run.id), payload)
    return "\n".join(clear)


def converter_for(reader: Client, workflow_id: str) -> DataConverter:
    """What is encrypted is bound to its workflow."""
    place = WorkflowSerializationContext(namespace=reader.namespace, workflow_id=workflow_id)
    return reader.data_converter.with_context(place)


def _child_of(event: HistoryEvent) -> str:
    """The workflow whose failure an event tells, where it is a child's; else nothing."""
    return event.child_workflow_execution_failed_event_attributes.workflow_execution.workflow_id


async def failure_text(converter: DataConverter, failure: Failure) -> str:
    """A failure's message, trace and causes, decrypted."""
    own = Failure()
    own.CopyFrom(failure)
    if converter.payload_codec is not None:
        await converter.payload_codec.decode_failure(own)
    return str(own)


async def _decoded(converter: DataConverter, payload: Any) -> list[str]:
    assert converter.payload_codec is not None
    return [one.data.decode() for one in await converter.payload_codec.decode([payload])]


async def test_nothing_personal_and_no_secret_is_told_anywhere(
    endpoints: Endpoints, tmp_path: Path, database_user: str
) -> None:
    codec = encrypting(AesGcmCodec(parse_codec_keys(f"k1:{KEY}")))
    async with system_with_secrets(endpoints, tmp_path, database_user) as system:
        services, namespace = system.client.service_client, system.client.namespace
        reader = Client(services, namespace=namespace, data_converter=codec)
        plain = Client(services, namespace=namespace, data_converter=DATA_CONVERTER)
        told = Told()
        told.texts["commands"] = "\n".join(await play(system, reader, plain))
        told.texts["health"] = await health_answers(system)
        letters = await system.dead_letters()
        for letter in letters:
            ours = [header for header in letter.headers if header[0].startswith(_DLQ_PREFIX)]
            told.texts[f"dead letter {letter.coordinates}"] = str(ours)
        clear = [await told_by_run(reader, run, told) async for run in reader.list_workflows("")]
        for process in system.processes:
            await process.terminate()
            told.texts[f"log of {process.name}"] = process.log
        rows = str(await system.evidence())
    # The canaries were there: in the records set aside, in the signals, and in the tables where they belong.
    assert len(letters) == len(list(bad_records(system)))
    assert all(MARK in f"{letter.value!r}{letter.headers}" for letter in letters)
    assert any(MARK in text for text in clear)
    assert PERSONAL["street"] in rows
    assert any("failure of event" in place for place in told.texts), "runs that failed were looked at"
    assert told.leaks() == []
