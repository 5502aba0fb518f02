"""How many runs a worker keeps in memory, and how many calls it asks by."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.pool import QueuePool
from temporalio.worker import PollerBehaviorAutoscaling

from orders.clients.database import database_engine
from orders.processes.worker_size import (
    CACHED_RUN_BYTES,
    SANDBOXED_RUN_BYTES,
    cached_runs,
    memory_bytes,
    worker_connections,
    worker_size,
)
from orders.settings import Settings

GIB = 1024**3


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but a test's own."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings_of(**fields: Any) -> Settings:
    return Settings(_env_file=None, **fields)


def test_a_quarter_of_the_memory_is_for_runs_and_the_sandbox_makes_them_larger() -> None:
    assert cached_runs(settings_of(), 4 * GIB) == GIB // CACHED_RUN_BYTES
    assert cached_runs(settings_of(worker_sandbox=True), 4 * GIB) == GIB // SANDBOXED_RUN_BYTES


def test_a_small_container_keeps_some_hundred_runs_all_the_same() -> None:
    assert cached_runs(settings_of(), 64 * 1024**2) == 500


def test_the_memory_is_the_containers_limit_where_it_has_one(tmp_path: Path) -> None:
    limit, none, huge = tmp_path / "limit", tmp_path / "none", tmp_path / "huge"
    limit.write_text(f"{GIB}\n")
    none.write_text("max\n")
    huge.write_text("9223372036854771712\n")
    machine = memory_bytes((tmp_path / "missing",))
    assert memory_bytes((none, huge)) == machine
    assert memory_bytes((none, limit)) == min(GIB, machine)


def test_two_queues_of_one_process_share_its_memory_unless_their_caches_are_set() -> None:
    alone = worker_size(settings_of(), queues=1)["max_cached_workflows"]
    assert worker_size(settings_of(), queues=2)["max_cached_workflows"] == alone // 2
    assert worker_size(settings_of(worker_cached_workflows=70), queues=2)["max_cached_workflows"] == 70


@pytest.mark.parametrize(
    ("activities", "queues", "connections"),
    [(50, 1, 10), (50, 2, 20), (200, 1, 40), (51, 1, 11), (3, 1, 2), (50, 0, 2)],
)
def test_connections_follow_the_activities_that_run_at_once(activities: int, queues: int, connections: int) -> None:
    settings = settings_of(worker_concurrent_activities=activities)
    assert worker_connections(settings, queues=queues) == connections


@pytest.mark.parametrize(("set_to", "connections"), [(None, 7), (3, 3), (90, 90)])
async def test_a_process_holds_no_more_connections_than_set_or_than_follow(
    set_to: int | None, connections: int
) -> None:
    async with database_engine(
        settings_of(db_pool_size=set_to), application_name="orders test", connections=7
    ) as engine:
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        assert (pool.size(), pool._max_overflow) == (connections, 0)


def test_calls_for_work_begin_and_end_as_set() -> None:
    size = worker_size(
        settings_of(
            worker_workflow_pollers=3,
            worker_workflow_pollers_max=9,
            worker_activity_pollers=2,
            worker_activity_pollers_max=4,
        ),
        queues=1,
    )
    assert size["workflow_task_poller_behavior"] == PollerBehaviorAutoscaling(minimum=2, maximum=9, initial=3)
    assert size["activity_task_poller_behavior"] == PollerBehaviorAutoscaling(minimum=1, maximum=4, initial=2)


@pytest.mark.parametrize("kind", ["workflow", "activity"])
def test_more_calls_to_begin_with_than_there_may_be_are_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match=f"WORKER_{kind.upper()}_POLLERS_MAX"):
        settings_of(**{f"worker_{kind}_pollers": 20, f"worker_{kind}_pollers_max": 10})
