"""Kafka restarts, crashes, freezes, resets, grows and refuses: the bridge waits, and each record has one fate."""

from collections.abc import AsyncIterator

import pytest

from stack import RunningStack
from tests.faults.drivers.outages import MORE_PARTITIONS, Outages
from tests.faults.drivers.rooms import NEEDS_ITS_PARTITION, WAITS_FOR_A_TIME_OUT, patient_system
from tests.helpers.messages.kafka_io import group_offsets
from tests.helpers.system.campaign import (
    orders_from_environment,
    rounds_from_environment,
    run_campaign,
    work_seconds,
)

pytestmark = pytest.mark.timeout(1_800)

ORDERS = 40


@pytest.fixture
async def outages(own_servers_only: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outages]:
    async with patient_system(own_servers_only, tmp_path_factory.mktemp("kafka")) as prepared:
        yield prepared


async def test_every_fault_of_kafka_is_waited_out(outages: Outages) -> None:
    """I1, I2, I12."""
    rounds = rounds_from_environment(1)
    faults = [
        outages.kafka_connections_reset,
        outages.kafka_restarted,
        outages.dead_letters_refused,
        outages.kafka_stopped,
        outages.kafka_killed,
    ]
    orders = orders_from_environment(ORDERS * rounds)
    campaign = await run_campaign(
        outages.system,
        orders,
        faults=[outages.partitions_added, *faults * rounds],
        without=(*WAITS_FOR_A_TIME_OUT, *NEEDS_ITS_PARTITION),
        still_seconds=work_seconds(orders),
    )
    assert dict(outages.injected) == {
        "partitions added": 1,
        "kafka connections reset": rounds,
        "kafka restarted": rounds,
        "dead letters refused": rounds,
        "kafka stopped": rounds,
        "kafka killed": rounds,
    }
    campaign.assert_as_planned()
    offsets = await group_offsets(
        outages.system.endpoints.kafka_bootstrap_servers, outages.system.group_id, list(outages.system.input_topics)
    )
    added = [partition for partition in offsets if partition.partition == MORE_PARTITIONS - 1]
    assert any(partition.committed for partition in added), "records of added partitions were read as well"
