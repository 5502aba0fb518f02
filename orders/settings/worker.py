"""Settings of workers."""

from pydantic import BaseModel, Field

from orders.settings.types import BuildId, Count, DeploymentName, OptionalPort, Seconds


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
        0, description="Port on which a worker answers whether it is alive and ready; 0 for none."
    )
    worker_concurrent_activities: Count = Field(50, description="Activities that run at once on each task queue.")
    worker_concurrent_workflow_tasks: int = Field(
        50, ge=2, le=10_000, description="Workflow tasks that run at once on each task queue."
    )
    worker_cached_workflows: Count = Field(
        1_000, description="Workflows kept in memory; one that is not is replayed from its history."
    )
    worker_activity_pollers: int = Field(5, ge=1, le=100, description="Pollers for activities on each task queue.")
    worker_workflow_pollers: int = Field(5, ge=2, le=100, description="Pollers for workflow tasks on each task queue.")
    worker_shutdown_grace_seconds: Seconds = Field(
        10, description="How long running activities may finish when the worker stops; then they are cancelled."
    )
