"""`orders bench` on real servers: orders go through the whole system, and what they left is measured."""

import json
from pathlib import Path

import pytest

from orders.processes.exit_status import ExitStatus
from stack.endpoints import Endpoints
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.system import order_system
from tests.helpers.system.waiting import assert_eventually


async def test_a_measurement_reports_what_orders_took_and_left(endpoints: Endpoints, tmp_path: Path) -> None:
    async with order_system(endpoints, tmp_path) as system:
        command = ("bench", "--orders", "24", "--open", "4", "--within", "180", "--json")
        ended = await run_to_end(command, system.settings, tmp_path, within_seconds=200)
        assert ended.returncode == 0, ended.stderr
        found = json.loads(ended.stdout)
        assert found["ends"] == {"COMPLETED": 24}
        assert found["orders_per_second"] == pytest.approx(22 / found["seconds"])
        together = found["latency"]["together"]
        assert 0 < together["p50"] <= together["p99"] <= found["seconds"] + 1
        assert found["stages"][0]["stage"] == "handed over and validated"
        assert sum(found["bytes_an_order"]["postgres"].values()) > 1_000
        assert found["bytes_an_order"]["kafka"][system.events_topic] > 1_000
        assert found["bytes_an_order"]["temporal_history"] > 5_000
        assert found["temporal"]["orders_read"] == 20
        # At least: two signals, the payment, and the child with what it asks the carrier.
        assert found["temporal"]["actions_an_order"] > 6
        assert found["binds"]

        async def all_is_there() -> bool:
            published = await system.published()
            keys = {record.key for record in published if b'"COMPLETED"' in (record.value or b"")}
            return len([key for key in keys if key and key.startswith(found["prefix"].encode())]) == 24

        await assert_eventually(all_is_there, 30)


async def test_orders_that_are_not_over_in_time_are_named(endpoints: Endpoints, tmp_path: Path) -> None:
    async with order_system(endpoints, tmp_path, start=False) as system:
        command = ("bench", "--orders", "24", "--open", "4", "--within", "3")
        ended = await run_to_end(command, system.settings, tmp_path)
        assert ended.returncode == ExitStatus.TIMED_OUT
        assert "0 of 24 orders were over within 3 s" in ended.stderr
        assert "explain bench-" in ended.stderr


async def test_providers_that_may_be_real_are_not_sent_orders(endpoints: Endpoints, tmp_path: Path) -> None:
    async with order_system(endpoints, tmp_path, start=False) as system:
        settings = {**system.settings, "PAYMENT_GATEWAY_URL": "https://payments.example"}
        ended = await run_to_end(("bench",), settings, tmp_path)
        assert ended.returncode == ExitStatus.USAGE
        assert "--yes" in ended.stderr
        assert not await system.published()
