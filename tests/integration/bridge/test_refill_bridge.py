"""Another team's bridge as examples/ has it, as a process on real servers: killed, started again, and stopped."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from examples.refill_workflow import LateRefillWorkflow, RefillWorkflow
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, delete_topics, group_offsets, produce, read_topic, remove_members
from tests.helpers.system.bridge_room import connect, create_topics
from tests.helpers.system.waiting import assert_eventually, patient_timeout

ROOT = Path(__file__).parents[3]
DEVICES, REFILLS = 10, 30
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Shop:
    """The team's topics, their worker's client, and what they sent."""

    endpoints: Endpoints
    client: Client
    topic: str

    @property
    def servers(self) -> str:
        return self.endpoints.kafka_bootstrap_servers

    def device(self, number: int) -> str:
        return f"{self.topic}-{number}"

    def workflow_id(self, number: int) -> str:
        return f"refill:{self.device(number)}"

    def refill(self, number: int, litres: int, *, last: bool = False) -> Outgoing:
        device = self.device(number)
        value = {"device_id": device, "litres": litres, "is_last": last}
        return Outgoing(self.topic, json.dumps(value).encode(), key=device.encode())

    @contextmanager
    def bridge(self, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The example, as a process of its own."""
        names = {"KAFKA": self.servers, "TEMPORAL": self.endpoints.temporal_host, "REFILLS_TOPIC": self.topic}
        command = [sys.executable, "-m", "examples.refill_bridge"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=os.environ | names, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def is_drained(self) -> bool:
        offsets = await group_offsets(self.servers, f"{self.topic}-bridge", [self.topic])
        return all(partition.drained for partition in offsets)

    async def status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        try:
            return (await self.client.get_workflow_handle(workflow_id).describe()).status
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise


@pytest_asyncio.fixture
async def shop(endpoints: Endpoints) -> AsyncIterator[Shop]:
    topic = f"refills-{secrets.token_hex(4)}"
    topics = [topic, f"{topic}.dead_letters"]
    await create_topics(endpoints.kafka_bootstrap_servers, topics, 3)
    try:
        yield Shop(endpoints, await connect(endpoints.temporal_host), topic)
    finally:
        await delete_topics(endpoints.kafka_bootstrap_servers, topics)


async def test_a_bridge_to_another_workflow_loses_and_doubles_nothing(shop: Shop, tmp_path: Path) -> None:
    """Killed in the middle; with records that come before any worker runs, bad ones, and late ones."""
    bad = [
        Outgoing(shop.topic, b"{", b"truncated"),
        Outgoing(shop.topic, b'{"device_id": "d-1", "litres": "7"}', b"d-1"),
        Outgoing(shop.topic, b'{"device_id": "d-1", "litres": 7}', b"d-2"),
    ]
    first = [shop.refill(device, litres) for litres in range(REFILLS) for device in range(DEVICES)]
    await produce(shop.servers, [*first, *bad])
    with shop.bridge(tmp_path / "killed") as bridge:
        await assert_eventually(lambda: shop.status(shop.workflow_id(0)), PATIENCE_SECONDS, "a run that a record began")
        bridge.send_signal(signal.SIGKILL)
        bridge.wait()
    await remove_members(shop.servers, f"{shop.topic}-bridge")
    await produce(shop.servers, [shop.refill(device, 1_000, last=True) for device in range(DEVICES)])
    async with refill_worker(shop.client):
        with shop.bridge(tmp_path / "second") as bridge:
            for device in range(DEVICES):
                async with patient_timeout(PATIENCE_SECONDS):
                    litres = await shop.client.get_workflow_handle(shop.workflow_id(device)).result()
                assert litres == 1_000 + sum(range(REFILLS)), "each refill once, whatever was delivered again"
            await assert_eventually(shop.is_drained, PATIENCE_SECONDS, "everything committed")
            await assert_late_is_answered_once(shop)
            bridge.send_signal(signal.SIGTERM)
            await asyncio.to_thread(bridge.wait, 25)
    assert "bridge.stopped" in (tmp_path / "second").read_text()
    letters = {letter.key: letter for letter in await read_topic(shop.servers, f"{shop.topic}.dead_letters")}
    assert {key: letter.header("dlq_error_code") for key, letter in letters.items()} == {
        b"truncated": "json_truncated",
        b"d-1": "field_text_for_number",
        b"d-2": "key_mismatch",
    }
    assert [letters[sent.key].value for sent in bad] == [sent.value for sent in bad]


def refill_worker(client: Client) -> Worker:
    return Worker(client, task_queue="refills", workflows=[RefillWorkflow, LateRefillWorkflow])


async def assert_late_is_answered_once(shop: Shop) -> None:
    """The run has completed: no second one begins, and another workflow has the refill."""
    handle = shop.client.get_workflow_handle(shop.workflow_id(0))
    run = (await handle.describe()).run_id
    ((topic, partition, offset),) = await produce(shop.servers, [shop.refill(0, 7)])
    await assert_eventually(shop.is_drained, PATIENCE_SECONDS, "the late refill committed")
    place = f"late:{shop.device(0)}:{topic}:{partition}:{offset}:"

    async def has_one_answer() -> bool:
        found = shop.client.list_workflows(f'WorkflowId STARTS_WITH "{place}"')
        return len([run async for run in found]) == 1

    await assert_eventually(has_one_answer, PATIENCE_SECONDS, "a workflow of the late refill")
    (late,) = [run async for run in shop.client.list_workflows(f'WorkflowId STARTS_WITH "{place}"')]
    assert f"late:{shop.device(0)}:{await shop.client.get_workflow_handle(late.id).result()}" == late.id
    assert (await handle.describe()).run_id == run
