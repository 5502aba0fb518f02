"""Bytes that change on the broker's disk: the partition waits for a person, and the others for nobody."""

from pathlib import Path

import pytest

from orders.clients.opened import open_clients
from orders.clients.topic_scan import topic_scan
from orders.errors import OrdersError
from orders.settings import Settings
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, group_offsets
from tests.helpers.messages.raw_batches import produce_batch
from tests.helpers.servers.guarded_kafka import PASSWORD, guarded_kafka
from tests.helpers.system.bridge_room import Noting
from tests.helpers.system.order_room import OrderRoom, open_order_room
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id


async def produce_to_each_partition(room: OrderRoom, numbers: range) -> list[str]:
    records = [record_of(room, partition, number) for number in numbers for partition in range(3)]
    await room.produce(*records)
    return [(record.key or b"").decode() for record in records]


def record_of(room: OrderRoom, partition: int, number: int) -> Outgoing:
    return room.created(room.id_of(f"{partition}-{number}"), partition=partition)


def damage(folder: Path, topic: str, marked_by: bytes) -> None:
    """Changes a byte of partition 0 behind the broker's back."""
    (log,) = folder.rglob(f"{topic}-0/*.log")
    with log.open("r+b") as file:
        file.seek(file.read().index(marked_by))
        file.write(marked_by.swapcase()[:1])


async def committed(room: OrderRoom) -> dict[int, int]:
    servers = room.endpoints.kafka_bootstrap_servers
    offsets = await group_offsets(servers, room.config.group_id, [room.topic()])
    return {one.partition: one.committed or 0 for one in offsets}


async def scan_all(room: OrderRoom) -> None:
    settings = Settings(kafka_bootstrap_servers=room.endpoints.kafka_bootstrap_servers)
    async with open_clients(settings) as clients, topic_scan(clients, [room.topic()]) as scan:
        async for _ in scan.read(await scan.ranges()):
            pass


async def test_a_damaged_batch_holds_its_partition_and_no_other(endpoints: Endpoints, tmp_path: Path) -> None:
    """I1, I2, I10: its header may be damaged as well, so nobody can tell where its records end."""
    async with guarded_kafka(tmp_path, endpoints) as kafka:
        await kafka.restart(password=PASSWORD, allowed=True)
        async with open_order_room(kafka.endpoints) as room:
            sent = set(await produce_to_each_partition(room, range(200)))
            batch = [record_of(room, 0, number) for number in range(900, 903)]
            (first, *_) = await produce_batch(room.endpoints.kafka_bootstrap_servers, batch)
            await room.produce(*[record_of(room, 0, number) for number in range(903, 910)])
            damage(tmp_path, room.topic(), room.id_of("0-901").encode())
            noting = Noting()
            async with room.bridge(noting) as bridge:
                place = ":".join(map(str, first))
                await assert_eventually(lambda: any(place in reason for reason in bridge.status().reasons), 20)
                later = await produce_to_each_partition(room, range(1_000, 1_200))
                sent |= {order_id for order_id in later if f"{room.name}-0-" not in order_id}
                await assert_eventually(lambda: noting.given.keys() == {order_workflow_id(one) for one in sent}, 20)
                assert bridge.status().live
            assert set(noting.given.values()) == {1}
            assert await committed(room) == {0: first[2], 1: 400, 2: 400}
            assert await room.dead_letters() == []
            with pytest.raises(OrdersError, match=r"damaged and cannot be read .*partition=0"):
                await scan_all(room)
