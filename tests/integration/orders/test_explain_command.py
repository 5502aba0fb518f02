"""``orders explain`` on a whole system: bridge and workers as processes, all three servers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from orders.processes.exit_status import ExitStatus
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id

NOBODY = "127.0.0.1:1"
"""Nothing listens there."""


@pytest_asyncio.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: Any) -> AsyncIterator[OrderSystem]:
    folder: Path = tmp_path_factory.mktemp("explain")
    async with order_system(endpoints, folder, ORDER_APPROVAL_TIMEOUT_SECONDS="120") as opened:
        yield opened


async def explained(system: OrderSystem, order_id: str, *options: str, **settings: str) -> dict[str, Any]:
    ended = await run_in_process(["explain", order_id, "--json", *options], {**system.settings, **settings})
    assert ended.returncode == 0, ended.stderr
    known: dict[str, Any] = json.loads(ended.stdout)
    return known


def outgoing(system: OrderSystem, event_type: EventType, order_id: str, **fields: Any) -> Outgoing:
    message = message_of(event_type, {"order_id": order_id, **fields}, event_id=f"{event_type}-{order_id}")
    return Outgoing(system.topic_of(event_type), message.value, message.key, message.headers)


async def test_an_order_that_waits_for_approval_says_so_and_shows_where_it_came_from(system: OrderSystem) -> None:
    order_id = f"waiting-{system.tag}"
    created = outgoing(system, EventType.ORDER_CREATED, order_id, payment_id=f"p-{order_id}", amount=7)
    broken = Outgoing(system.topic_of(EventType.ORDER_APPROVED), f'{{"order_id": "{order_id}"'.encode(), b"\x1b[31m")
    ((topic, partition, offset), *_) = await system.produce([created, broken])
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
    await system.wait_until_drained()
    known: dict[str, Any] = {}

    async def decided() -> bool:
        known.update(await explained(system, order_id))
        return bool(known["database"]["inbound_events"])

    await assert_eventually(decided, 20, lambda: str(known))
    records = {record["topic"]: record for record in known["kafka"]["records"]}
    assert (records[topic]["partition"], records[topic]["offset"], records[topic]["outcome"]) == (
        partition,
        offset,
        "applied",
    )
    (letter,) = known["kafka"]["dead_letters"]
    assert letter["error_code"] == "json_truncated"
    assert records[broken.topic]["outcome"] == f"set aside (json_truncated) at {letter['at']}"
    assert known["temporal"]["status"]["step"] == "AWAITING_MANUAL_APPROVAL"
    assert [run["status"] for run in known["temporal"]["runs"]] == ["RUNNING"]
    assert any("approv" in sentence for sentence in known["waits_for"])
    assert [event["state"] for event in known["database"]["events"]] == ["RECEIVED", "VALIDATED"]
    page = await run_in_process(["explain", order_id], system.settings)
    assert page.returncode == 0
    assert "\x1b" not in page.stdout
    for expected in (
        order_id,
        "AWAITING_MANUAL_APPROVAL",
        "json_truncated",
        "RECEIVED",
        f"{topic}:{partition}:{offset}",
    ):
        assert expected in page.stdout


async def test_an_order_that_is_over_waits_for_nothing_and_shows_its_payment_and_shipping(system: OrderSystem) -> None:
    order_id = f"over-{system.tag}"
    address = {"street": "s", "city": "c", "state": "st", "zip_code": "z", "country": "DE"}
    await system.produce(
        [
            outgoing(
                system,
                EventType.ORDER_CREATED,
                order_id,
                payment_id=f"p-{order_id}",
                amount=7,
                shipping_address=address,
            ),
            outgoing(system, EventType.ORDER_APPROVED, order_id),
        ]
    )

    async def completed() -> bool:
        # Its run is over some moments after its last event is recorded and published.
        result = (await explained(system, order_id))["temporal"]["result"]
        return bool(result and result["state"] == "COMPLETED")

    await assert_eventually(completed, 60)
    await system.wait_until_drained()
    known = await explained(system, order_id)
    assert known["waits_for"] == []
    assert known["database"]["payment"]["status"] == "charged"
    assert {record["outcome"] for record in known["kafka"]["records"]} == {"applied"}
    assert f"shipping:{order_id}:1" in {run["workflow_id"] for run in known["temporal"]["runs"]}
    assert known["temporal"]["result"]["state"] == "COMPLETED"


async def test_what_cannot_be_reached_is_named_and_the_rest_is_shown(system: OrderSystem) -> None:
    order_id = f"rest-{system.tag}"
    await system.produce([outgoing(system, EventType.ORDER_CREATED, order_id, payment_id=f"p-{order_id}")])
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
    for name, value, side in (
        ("TEMPORAL_HOST", NOBODY, "temporal"),
        ("KAFKA_BOOTSTRAP_SERVERS", NOBODY, "kafka"),
        ("DB_PORT", "1", "database"),
    ):
        known = await explained(system, order_id, **{name: value, "KAFKA_REQUEST_TIMEOUT_SECONDS": "3"})
        assert {one for one in ("kafka", "temporal", "database") if known[one] is None} == {side}
        (problem,) = known["unreachable"]
        assert "does not answer" in problem


async def test_an_order_that_nobody_knows_is_one_sentence(system: OrderSystem) -> None:
    ended = await run_in_process(["explain", "never-heard-of"], system.settings)
    assert (ended.returncode, ended.stdout) == (ExitStatus.FAILURE, "")
    assert ended.stderr == "error: order 'never-heard-of' is unknown to Kafka, Temporal and Postgres: check the id\n"
    ended = await run_in_process(["explain", "never-heard-of"], {**system.settings, "DB_PORT": "1"})
    assert ended.returncode == ExitStatus.UNREACHABLE


async def test_a_limit_that_cuts_is_said(system: OrderSystem) -> None:
    order_id = f"cut-{system.tag}"
    topic = system.topic_of(EventType.ORDER_CREATED)
    message = message_of(EventType.ORDER_CREATED, {"order_id": order_id, "payment_id": "p"}, event_id="e")
    await system.produce([Outgoing(topic, message.value, message.key, partition=0) for _ in range(60)])
    await system.wait_until_drained()
    known = await explained(system, order_id, "--limit", "20")
    assert known["kafka"]["scanned"] <= 20
    assert known["kafka"]["skipped"] >= 40
    page = await run_in_process(["explain", order_id, "--limit", "20"], system.settings)
    assert "older ones were not" in page.stdout


async def test_another_team_s_workflow_under_an_order_s_workflow_id_is_named_and_taken_for_no_order(
    system: OrderSystem,
) -> None:
    order_id = f"theirs-{system.tag}"
    theirs = await system.client.start_workflow(
        "TheirWorkflow", id=order_workflow_id(order_id), task_queue=f"theirs-{system.tag}"
    )
    sentence = f"the workflow order:{order_id} in Temporal is a TheirWorkflow, and none of ours"
    try:
        for command, unknown in (("status", "unknown"), ("explain", "unknown to Kafka, Temporal and Postgres")):
            ended = await run_in_process([command, order_id], system.settings)
            assert ended.returncode == ExitStatus.FAILURE
            assert f"order '{order_id}' is {unknown}: {sentence}" in ended.stderr
        await system.produce(
            [outgoing(system, EventType.ORDER_CREATED, order_id, payment_id=f"p-{order_id}", amount=7)]
        )
        await system.wait_until_drained()
        known = await explained(system, order_id)
        assert known["temporal"]["in_the_way"].startswith(sentence)
        assert known["temporal"]["runs"] == []
        assert any(sentence in one for one in known["waits_for"]), known
    finally:
        await theirs.terminate()
