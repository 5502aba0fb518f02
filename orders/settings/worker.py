"""Settings of workers."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from orders.settings.contradictions import too_short
from orders.settings.types import BuildId, Count, DeploymentName, OptionalPort, Seconds

_POLLERS_MAX = 1_000
"""More than a worker can use: each poller is an open call to Temporal."""


class WorkerSettings(BaseModel):
    """A worker process."""

    worker_build_id: BuildId | None = Field(
        None,
        description="Names this build of the workers, and has Temporal keep each order on the build it began on. New "
        "orders go to the build that an operator has made the current one (docs/evolving-workflows.md). Unset, any "
        "worker takes any order. All workers of one build have the same value, on both task queues.",
    )
    worker_deployment_name: DeploymentName = Field(
        "orders",
        description="What Temporal calls all builds of the workers together; of use with WORKER_BUILD_ID only.",
    )
    worker_health_port: OptionalPort = Field(
        0,
        description="Port on which a worker answers whether it is alive and ready, and "
        "with its metrics (/metrics); 0 for none.",
    )
    worker_sandbox: bool = Field(
        False,
        description="Whether workflows run in the SDK's sandbox, which stops one that reads the clock, the environment "
        "or a file. It costs about a third more of the processor; the project's tests run in it, so an installation "
        "that changes no workflow need not.",
    )
    worker_concurrent_workflow_tasks: int = Field(
        50,
        ge=2,
        le=10_000,
        description="Workflow tasks that run at once on each task queue, each on a thread of its own.",
    )
    worker_concurrent_activities: Count = Field(
        50,
        description="Activities that run at once on each task queue: our own records, calls of providers, and waits.",
    )
    worker_cached_workflows: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        None,
        description="Workflows kept in memory on each task queue; one that is not is replayed from its history. Unset, "
        "as many as fit into a quarter of the memory that the process may use.",
    )
    worker_workflow_pollers: int = Field(
        5,
        ge=2,
        le=_POLLERS_MAX,
        description="Open calls that ask for workflow tasks on each task queue, to begin with. Then Temporal says when "
        "more or fewer are of use (a server before 1.28 does not, and it stays at this).",
    )
    worker_workflow_pollers_max: int = Field(100, ge=2, le=_POLLERS_MAX, description="The most of these calls.")
    worker_activity_pollers: int = Field(
        5, ge=1, le=_POLLERS_MAX, description="Open calls that ask for activities on each task queue, to begin with."
    )
    worker_activity_pollers_max: int = Field(100, ge=1, le=_POLLERS_MAX, description="The most of these calls.")
    worker_shutdown_grace_seconds: Seconds = Field(
        10, description="How long running activities may finish when the worker stops; then they are cancelled."
    )


def contradictions(settings: WorkerSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant."""
    yield from too_short(
        settings,
        [
            ("worker_workflow_pollers", "worker_workflow_pollers_max"),
            ("worker_activity_pollers", "worker_activity_pollers_max"),
        ],
    )
