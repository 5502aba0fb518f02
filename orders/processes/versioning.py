"""Which version of the workers a process is, and whether Temporal keeps runs on the version they began on."""

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from orders.settings import Settings
from orders.version import application_version


def deployment_config(settings: Settings) -> WorkerDeploymentConfig:
    """The worker's version; Temporal routes by it only where WORKER_BUILD_ID is set.

    Every run is then pinned to the version it began on: an order lives for minutes, so the workers of a version are
    soon idle, and a change of the workflows needs no `workflow.patched`. docs/evolving-workflows.md says what an
    operator does.
    """
    return WorkerDeploymentConfig(
        # Named also without versioning, as the SDK would otherwise hash the code of every module that is loaded: 3.5 s
        # of CPU for each start of a worker (seen in temporalio 1.35).
        version=WorkerDeploymentVersion(
            deployment_name=settings.worker_deployment_name,
            build_id=settings.worker_build_id or application_version(),
        ),
        use_worker_versioning=settings.worker_build_id is not None,
        default_versioning_behavior=(
            VersioningBehavior.UNSPECIFIED if settings.worker_build_id is None else VersioningBehavior.PINNED
        ),
    )
