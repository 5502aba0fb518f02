"""Somebody refuses the bridge: it says so once, pauses, sets nothing aside, and goes on once that is corrected."""

import asyncio
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.service import RPCStatusCode

from bridge import Kafka
from stack import Endpoints
from tests.faults.drivers.outages import OVER
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.servers.guarded_kafka import PASSWORD, guarded_kafka
from tests.helpers.servers.refusing_proxy import RefusingProxy
from tests.helpers.system.bridge_room import connect
from tests.helpers.system.order_room import OrderRoom, open_order_room
from tests.helpers.system.system import make_namespace
from tests.helpers.system.waiting import assert_eventually

ORDERS = 20
DRAINED_WITHIN_SECONDS = 60.0
"""Work goes on within 30 s of a correction (I12), and is done soon after."""
ALARM_WITHIN_SECONDS = 60.0
STANDS_FOR_SECONDS = 15.0
"""Three looks of the bridge at Kafka."""
Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


def alarms(logs: Logs) -> list[str]:
    """Which dependencies somebody has to correct, by the log."""
    return [str(line["dependency"]) for line in logs if line["event"] == "bridge.dependency.misconfigured"]


def changes(logs: Logs) -> dict[str, list[str]]:
    """What was said of each dependency, in order."""
    said: dict[str, list[str]] = {}
    for line in logs:
        if str(line["event"]).startswith("bridge.dependency."):
            said.setdefault(str(line["dependency"]), []).append(str(line["event"]))
    return said


async def assert_recovered_and_said_once_per_change(logs: Logs) -> None:
    """To be awaited while the bridge runs: the last record may be committed before the recovery is met, and said."""

    def recovered() -> bool:
        return all(said[-1] in OVER for said in changes(logs).values())

    await assert_eventually(recovered, DRAINED_WITHIN_SECONDS, lambda: f"the recovery: {changes(logs)}")
    for dependency, said in changes(logs).items():
        assert all(one != after for one, after in pairwise(said)), (dependency, said)


async def orders_to(room: OrderRoom, first: int) -> list[str]:
    """Produces orders and one bad record."""
    ids = [room.id_of(number) for number in range(first, first + ORDERS)]
    await room.produce(*map(room.created, ids), Outgoing(room.topic(), b"{", f"bad-{first}".encode()))
    return ids


@pytest.mark.parametrize("status", [RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED])
async def test_a_refused_call_on_temporal_is_an_alarm_and_goes_on_when_corrected(
    endpoints: Endpoints, logs: Logs, status: RPCStatusCode
) -> None:
    """I1, I12."""
    async with RefusingProxy(endpoints.temporal_host) as temporal, open_order_room(endpoints) as room:
        async with room.bridge(client=await connect(temporal.address)) as bridge:
            ids = await orders_to(room, 0)
            await room.await_drained()
            temporal.refusal = status
            await temporal.drop()
            ids += await orders_to(room, ORDERS)
            await assert_eventually(lambda: "temporal" in alarms(logs), ALARM_WITHIN_SECONDS, "the alarm")
            await assert_eventually(lambda: bridge.status().records_held >= ORDERS, ALARM_WITHIN_SECONDS, "waiting")
            await assert_eventually(lambda: not bridge.status().ready, ALARM_WITHIN_SECONDS, "not ready")
            assert bridge.status().live
            temporal.refusal = None
            await temporal.drop()
            await room.await_drained(DRAINED_WITHIN_SECONDS)
            # A refused call may be followed by one that is cut off or takes too long, and that by another refused one.
            await assert_recovered_and_said_once_per_change(logs)
        assert {*alarms(logs)} == {"temporal"}
        assert {letter.key for letter in await room.dead_letters()} == {b"bad-0", f"bad-{ORDERS}".encode()}
        assert [order_id for order_id in ids if not await room.signals(order_id)] == []


async def test_a_missing_namespace_is_an_alarm_and_goes_on_when_it_is_made(endpoints: Endpoints, logs: Logs) -> None:
    """I1, I12."""
    async with open_order_room(endpoints) as room:
        namespace = f"{room.name}-made-later"
        client = await connect(endpoints.temporal_host, namespace=namespace)
        ids = await orders_to(room, 0)
        async with room.bridge(client=client):
            await assert_eventually(lambda: bool(alarms(logs)), ALARM_WITHIN_SECONDS, "the alarm")
            assert await room.dead_letters() == []
            await make_namespace(endpoints, namespace)
            await room.await_drained(DRAINED_WITHIN_SECONDS)
            # A new namespace answers before it takes calls, so the alarm may come once more.
            await assert_recovered_and_said_once_per_change(logs)
        assert [letter.key for letter in await room.dead_letters()] == [b"bad-0"]
        there = replace(room, client=client)
        assert [order_id for order_id in ids if not await there.signals(order_id)] == []


async def test_a_wrong_password_and_missing_rights_in_kafka_are_alarms_and_go_on_when_corrected(
    endpoints: Endpoints, tmp_path: Path, logs: Logs
) -> None:
    """I1, I12."""
    async with guarded_kafka(tmp_path, endpoints) as kafka:
        await kafka.restart(password="another", allowed=True)  # noqa: S106 -- not one
        async with open_order_room(kafka.endpoints) as room:
            ids = await orders_to(room, 0)
            async with room.bridge(kafka=Kafka(kafka.guarded_address, **kafka.security)) as bridge:
                await assert_eventually(lambda: bool(alarms(logs)), ALARM_WITHIN_SECONDS, "the alarm")
                assert alarms(logs) == ["kafka"]
                await kafka.restart(password=PASSWORD, allowed=True)
                await room.await_drained(DRAINED_WITHIN_SECONDS)
                assert len(await room.dead_letters()) == 1
                corrected = len(logs)

                await kafka.restart(password=PASSWORD, allowed=False)
                ids += await orders_to(room, ORDERS)
                await assert_eventually(lambda: "kafka" in alarms(logs[corrected:]), ALARM_WITHIN_SECONDS, "the alarm")
                # What Kafka still grants, such as the group, is answered all the time, and does not take it back.
                await asyncio.sleep(STANDS_FOR_SECONDS)
                said = changes(logs[corrected:])["kafka"]
                assert not {*OVER} & {*said[said.index("bridge.dependency.misconfigured") :]}
                assert not bridge.status().ready
                await kafka.restart(password=PASSWORD, allowed=True)
                await room.await_drained(DRAINED_WITHIN_SECONDS)
                await assert_recovered_and_said_once_per_change(logs)
            assert {letter.key for letter in await room.dead_letters()} == {b"bad-0", f"bad-{ORDERS}".encode()}
            assert [order_id for order_id in ids if not await room.signals(order_id)] == []
