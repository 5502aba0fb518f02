"""A bridge as it is made, before it runs."""

from dataclasses import replace
from typing import Any

import pytest

from bridge import Bridge, BridgeConfig, BridgeStatus, Kafka
from tests.helpers.devices import DeviceMapping


def make(mapping: Any) -> Bridge:
    client: Any = None
    return Bridge(BridgeConfig("g", "dead"), Kafka("nowhere:9"), client, mapping)


class Nothing:
    topics: tuple[str, ...] = ()


def test_a_mapping_without_topics_is_refused() -> None:
    with pytest.raises(ValueError, match="no topics"):
        make(Nothing())


def test_a_mapping_that_reads_the_dead_letters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dead_letter_topic.*every dead letter would come back"):
        make(DeviceMapping({"refilled": "refilled", "dead": "refilled"}))


def test_a_bridge_that_has_not_run_is_alive_and_not_ready() -> None:
    bridge = make(DeviceMapping())
    bridge.stop()
    bridge.stop()
    status = bridge.status()
    expected = BridgeStatus(live=True, ready=False, reasons=("starting",), partitions=0, records_held=0)
    assert replace(status, dependencies=()) == expected
    assert {one.lost_at for one in status.dependencies} == {None}
